"""The embedding cache of one fingerprint, and the entries that an index is made from."""

import json
import random
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mcp_vlsearch.cache import removals
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.removals import Removals
from mcp_vlsearch.cache.vectors import STORED, Maker, check_vectors
from mcp_vlsearch.contracts import ImageFacts

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs, Vectors

__all__ = ["Embeddings"]

_TRIES: Final = 4
"""Seqs looked up for each vector of a sample."""

# Should an index remember the fingerprint from before it was dropped, then it begins anew.
_DESCRIBE: Final = f"""
    INSERT INTO fingerprints (
        fingerprint, encoder, model, precision, dim, created_at, choices, forgotten
    )
    VALUES (
        :fingerprint, :encoder, :model, :precision, :dim, :created_at, :choices, {removals.LAST}
    )
    ON CONFLICT (fingerprint) DO UPDATE SET choices = excluded.choices WHERE choices IS NULL
"""

_FINGERPRINT: Final = "(SELECT id FROM fingerprints WHERE fingerprint = ?)"
_ENTRIES_AFTER: Final = f"""
    SELECT seq, vector FROM entries JOIN embeddings USING (image_id, fingerprint)
    WHERE entries.fingerprint = {_FINGERPRINT} AND seq > ? ORDER BY seq LIMIT ?
"""


class Embeddings:
    """Vectors of images under one encoder's fingerprint, which was made with ``choices``.

    A vector, once paid for, stays when the image's files go: a picture that comes back costs
    nothing. It may even be there before its picture is. An image is an *entry*, with a growing
    ``seq``, while a file holds it.
    """

    def __init__(
        self, database: Database, encoder: Maker, choices: Mapping[str, Any] | None = None
    ) -> None:
        self.fingerprint = encoder.fingerprint
        self.removals = Removals(database, encoder.fingerprint)
        self._database = database
        self._encoder = encoder
        self._choices = choices

    def version(self) -> int:
        """Return a number that changes with every commit, of whichever process or thread."""
        return self._database.version()

    def cached(self, image_ids: Collection[str]) -> set[str]:
        """Return those of the images that have a vector."""
        query = f"""
            SELECT image_id FROM json_each(?) JOIN embeddings ON image_id = value
            WHERE fingerprint = {_FINGERPRINT}
        """
        with self._database.read() as connection:
            rows = connection.execute(query, (json.dumps(list(image_ids)), self.fingerprint))
            return {image_id for (image_id,) in rows}

    def put(self, image_ids: Sequence[str], vectors: "Vectors", *, replace: bool = True) -> None:
        """Cache one vector per image, shape (n, dim); without ``replace`` what is there stays.

        Raises :class:`EncoderError` if the vectors are not what the encoder promises.
        """
        check_vectors(self._encoder, len(image_ids), vectors)
        rows = [
            (image_id, self.fingerprint, row.tobytes())
            for image_id, row in zip(image_ids, vectors.astype(STORED), strict=True)
        ]
        known = "DO UPDATE SET vector = excluded.vector" if replace else "DO NOTHING"
        with self._database.write() as tables:
            self.describe()
            tables.conn.executemany(
                f"""INSERT INTO embeddings (image_id, fingerprint, vector)
                VALUES (?, {_FINGERPRINT}, ?)
                ON CONFLICT (image_id, fingerprint) {known}""",
                rows,
            )

    def fail(self, errors: Mapping[str, str]) -> None:
        """Keep why images have no vector here: they are not what the fingerprint still lacks."""
        with self._database.write() as tables:
            self.describe()
            tables.conn.executemany(
                f"""INSERT INTO failures VALUES (?, {_FINGERPRINT}, ?)
                ON CONFLICT (image_id, fingerprint) DO UPDATE SET error = excluded.error""",
                [(image_id, self.fingerprint, error) for image_id, error in errors.items()],
            )

    def describe(self) -> None:
        """Keep what the fingerprint is made with, unless that is known."""
        encoder = self._encoder
        row = {
            "fingerprint": encoder.fingerprint,
            "encoder": encoder.name,
            "model": encoder.model,
            "precision": encoder.precision,
            "dim": encoder.dim,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "choices": None if self._choices is None else json.dumps(dict(self._choices)),
        }
        with self._database.write() as tables:
            tables.execute(_DESCRIBE, row)

    def settle_model(self, is_elsewhere: Callable[[str], bool]) -> None:
        """Have the model called as it is here, if it was at a path on another machine so far."""
        query = "SELECT model FROM fingerprints WHERE fingerprint = ? AND encoder = ?"
        named = self.fingerprint, self._encoder.name
        with self._database.read() as connection:
            row = connection.execute(query, named).fetchone()
        if row and row[0] != self._encoder.model and is_elsewhere(row[0]):
            with self._database.write() as tables:
                tables.execute(
                    "UPDATE fingerprints SET model = ? WHERE fingerprint = ?",
                    (self._encoder.model, self.fingerprint),
                )

    def publish(self, image_ids: Sequence[str], renew: bool = False) -> None:
        """Let images be found that have a vector and a file, under every fingerprint they have.

        An entry that is there keeps its seq, unless ``renew`` says that its vector has changed.
        """
        ids = [(image_id,) for image_id in image_ids]
        with self._database.write() as tables:
            if renew:
                tables.conn.executemany(
                    f"""DELETE FROM entries
                    WHERE image_id = ? AND fingerprint = {_FINGERPRINT}""",
                    [(image_id, self.fingerprint) for image_id in image_ids],
                )
            tables.conn.executemany(
                """INSERT INTO entries (image_id, fingerprint)
                SELECT image_id, fingerprint FROM embeddings AS new
                WHERE image_id = ?
                AND EXISTS (
                    SELECT 1 FROM images JOIN files ON files.image_id = images.source
                    WHERE images.image_id = new.image_id
                )
                AND NOT EXISTS (
                    SELECT 1 FROM entries
                    WHERE image_id = new.image_id AND fingerprint = new.fingerprint
                )""",
                ids,
            )

    def changes(
        self, after_seq: int, after_removal: int, limit: int
    ) -> tuple["Seqs", "Vectors", "Seqs", int]:
        """Return what an index lacks that holds entries up to a seq and knows removals up to an id.

        That is: up to ``limit`` new entries by seq, their unit-norm float32 vectors of shape
        (n, dim), the seqs up to ``after_seq`` that went, and the id of the last removal of this
        fingerprint. Fewer than ``limit`` entries mean that there are no more.
        """
        with self._database.read() as connection:
            given = self.fingerprint, after_seq, limit
            rows = connection.execute(_ENTRIES_AFTER, given).fetchall()
            removed, last = self.removals.after(after_removal, after_seq)
        seqs = np.fromiter((seq for seq, _ in rows), np.int64, len(rows))
        vectors = self._vectors(b"".join(vector for _, vector in rows))
        return seqs, vectors, removed, last

    def facts(self, seqs: "Seqs") -> list[ImageFacts]:
        """Return what filters may ask of each entry's image; nothing of entries that went."""
        query = f"""
            SELECT {", ".join(ImageFacts._fields)}
            FROM json_each(?) AS wanted LEFT JOIN entries ON seq = wanted.value
            LEFT JOIN images USING (image_id) ORDER BY wanted.key
        """
        with self._database.read() as connection:
            rows = connection.execute(query, (json.dumps(seqs.tolist()),))
            return [ImageFacts(*row) if row[0] else ImageFacts() for row in rows]

    def library_id(self) -> str:
        """Return what tells this library from all others."""
        return self._database.library_id()

    def remembers(self, last_removal: int) -> bool:
        """Say whether each removal after one can still be told; if not, an index begins anew."""
        return self.removals.are_told(last_removal)

    def newest(self) -> tuple[int, int]:
        """Return the highest seq and removal's id that were ever given out, to whichever space."""
        query = "SELECT IFNULL(MAX(seq), 0) FROM sqlite_sequence WHERE name = ?"
        with self._database.read() as connection:
            seq, removal = (
                int(connection.execute(query, (table,)).fetchone()[0])
                for table in ("entries", "removals")
            )
        return seq, removal

    def some(self, seqs: "Seqs") -> "tuple[Seqs, Vectors]":
        """Return entries near these seqs: for each the first one at or below it.

        That is their seqs, and their unit-norm float32 vectors of shape (n, dim).
        """
        query = f"""
            SELECT seq, vector FROM entries JOIN embeddings USING (image_id, fingerprint)
            WHERE entries.fingerprint = {_FINGERPRINT} AND seq <= ? ORDER BY seq DESC LIMIT 1
        """
        with self._database.read() as connection:
            rows = dict(
                row
                for seq in seqs.tolist()
                for row in connection.execute(query, (self.fingerprint, seq))
            )
        vectors = self._vectors(b"".join(rows.values()))
        return np.fromiter(rows, np.int64, len(rows)), vectors

    def at(self, seqs: "Seqs") -> "tuple[Seqs, Vectors]":
        """Return those of the seqs that are entries, in their order, and their vectors (n, dim)."""
        query = f"""
            SELECT seq, vector FROM json_each(?) AS wanted JOIN entries ON seq = wanted.value
            JOIN embeddings USING (image_id, fingerprint)
            WHERE entries.fingerprint = {_FINGERPRINT} ORDER BY wanted.key
        """
        with self._database.read() as connection:
            rows = connection.execute(query, (json.dumps(seqs.tolist()), self.fingerprint))
            found = rows.fetchall()
        vectors = self._vectors(b"".join(vector for _, vector in found))
        return np.fromiter((seq for seq, _ in found), np.int64, len(found)), vectors

    def vector(self, image_id: str) -> "Vectors | None":
        """Return the cached vector of an image, shape (dim,), if there is one."""
        query = f"SELECT vector FROM embeddings WHERE image_id = ? AND fingerprint = {_FINGERPRINT}"
        with self._database.read() as connection:
            row = connection.execute(query, (image_id, self.fingerprint)).fetchone()
        return self._vectors(row[0])[0] if row else None

    def any(self) -> bool:
        """Say whether there is an entry."""
        query = f"SELECT EXISTS (SELECT 1 FROM entries WHERE fingerprint = {_FINGERPRINT})"
        with self._database.read() as connection:
            return bool(connection.execute(query, (self.fingerprint,)).fetchone()[0])

    def count(self) -> int:
        """Return how many entries there are."""
        query = "SELECT IFNULL(SUM(entries), 0) FROM fingerprints WHERE fingerprint = ?"
        with self._database.read() as connection:
            return int(connection.execute(query, (self.fingerprint,)).fetchone()[0])

    def sample(self, count: int, seed: int | None = None) -> "Vectors":
        """Return the vectors of up to ``count`` random entries, shape (n, dim).

        With a ``seed``, the same ones until entries come or go.
        """
        chance = random.Random(seed)
        with self._database.read() as connection:
            (last,) = connection.execute("SELECT IFNULL(MAX(seq), 0) FROM entries").fetchone()
            # Most seqs are entries, as a rule; to sort all at random takes long in a large library.
            seqs = chance.sample(range(1, last + 1), min(_TRIES * count, last))
            rows = self._first(connection, seqs, count)
            if len(rows) < count and len(seqs) < last:
                query = f"SELECT seq FROM entries WHERE fingerprint = {_FINGERPRINT}"
                seqs = [seq for (seq,) in connection.execute(query, (self.fingerprint,))]
                rows = self._first(connection, chance.sample(seqs, min(count, len(seqs))), count)
        return self._vectors(b"".join(vector for (vector,) in rows))

    def _first(
        self, connection: sqlite3.Connection, seqs: Sequence[int], count: int
    ) -> list[tuple[bytes]]:
        """Return the stored vectors of the first ``count`` seqs that are entries."""
        # CROSS keeps the order of the seqs.
        query = f"""
            SELECT vector FROM json_each(?) CROSS JOIN entries ON seq = value
            CROSS JOIN embeddings USING (image_id, fingerprint)
            WHERE entries.fingerprint = {_FINGERPRINT} LIMIT ?
        """
        return connection.execute(query, (json.dumps(seqs), self.fingerprint, count)).fetchall()

    def _vectors(self, stored: bytes) -> "Vectors":
        vectors = np.frombuffer(stored, STORED).astype(np.float32).reshape(-1, self._encoder.dim)
        # Without the copy of the whole block that np.linalg.norm makes.
        vectors /= np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
        return vectors
