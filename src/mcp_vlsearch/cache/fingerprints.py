"""The fingerprints of a library: what each was made with, and what it lacks."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mcp_vlsearch.cache.conditions import Condition, inside
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.vectors import STORED

__all__ = ["Fingerprints", "SpaceRecord"]

_ALL: Final = """
    SELECT id, fingerprint, encoder, model, precision, dim, choices, searched, entries
    FROM fingerprints ORDER BY id
"""
_LACKED: Final = """
    entries.fingerprint IN ({others})
    AND NOT EXISTS (
        SELECT 1 FROM embeddings AS own
        WHERE own.image_id = entries.image_id AND own.fingerprint = ?
    )
    AND NOT EXISTS (
        SELECT 1 FROM failures AS own
        WHERE own.image_id = entries.image_id AND own.fingerprint = ?
    )
"""


@dataclass(frozen=True)
class SpaceRecord:
    """A fingerprint with what it was made with, and how many images can be found under it.

    ``choices`` are settings by name; None if an older version did not keep them. ``searched`` is 0,
    or grows with every time that the library goes over to a fingerprint.
    """

    id: int
    fingerprint: str
    name: str
    model: str
    precision: str
    dim: int
    choices: Mapping[str, Any] | None = field(hash=False)
    searched: int
    entries: int


class Fingerprints:
    """The fingerprints of one library, in the order in which they came."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[SpaceRecord]:
        """Return every fingerprint that has or had vectors."""
        with self._database.read() as connection:
            rows = connection.execute(_ALL).fetchall()
        names = [field.name for field in fields(SpaceRecord)]
        records = (dict(zip(names, row, strict=True)) for row in rows)
        return [
            SpaceRecord(
                **{**record, "choices": record["choices"] and json.loads(record["choices"])}
            )
            for record in records
        ]

    def complete(self, space: SpaceRecord, other: SpaceRecord | None) -> bool:
        """Say whether each image of the other space, or of any, is in this one or failed in it."""
        return not self._lacking(space, other)

    def missing(
        self, space: SpaceRecord, other: SpaceRecord | None, folders: Sequence[str] | None = None
    ) -> int:
        """Return how many images of the other space, or of all others, are not in this one.

        Those that failed in it don't count; with folders, only those that have a file below them.
        """
        lacking = self._lacking(space, other)
        if folders is None and len(lacking) < 2:
            return sum(lacking.values())
        lacked = _below(_lacked(space, list(lacking)), folders)
        return self._one(f"SELECT COUNT(DISTINCT image_id) FROM entries WHERE {lacked.sql}", lacked)

    def found(self, space: SpaceRecord, folders: Sequence[str] | None = None) -> int:
        """Return how many images can be found; with folders, only those with a file below them."""
        if folders is None:
            return space.entries
        own = _below(Condition("entries.fingerprint = ?", (space.id,)), folders)
        return self._one(f"SELECT COUNT(*) FROM entries WHERE {own.sql}", own)

    def cached(self, space: SpaceRecord) -> int:
        """Return how many vectors there are, of images with files and without."""
        own = Condition("fingerprint = ?", (space.id,))
        return self._one(f"SELECT COUNT(*) FROM embeddings WHERE {own.sql}", own)

    def vectors(
        self, space: SpaceRecord, block: int
    ) -> Iterator[tuple[list[str], NDArray[np.float16]]]:
        """Give image ids and their vectors as they lie in the cache, shape (n, dim), in blocks."""
        query = """SELECT id, image_id, vector FROM embeddings
            WHERE id > ? AND fingerprint = ? ORDER BY id LIMIT ?"""
        after = 0
        while True:
            with self._database.read() as connection:
                rows = connection.execute(query, (after, space.id, block)).fetchall()
            if not rows:
                return
            after = rows[-1][0]
            numbers = np.frombuffer(b"".join(row[2] for row in rows), STORED)
            yield [row[1] for row in rows], numbers.reshape(-1, space.dim)

    def go_over(self, fingerprint: str) -> None:
        """Note that a fingerprint is the one that is searched from now on."""
        with self._database.write() as tables:
            tables.execute(
                """UPDATE fingerprints SET searched = 1 + (SELECT MAX(searched) FROM fingerprints)
                WHERE fingerprint = ?
                AND (searched = 0 OR searched < (SELECT MAX(searched) FROM fingerprints))""",
                (fingerprint,),
            )

    def _lacking(self, space: SpaceRecord, other: SpaceRecord | None) -> dict[int, int]:
        """Return by the others' ids how many images they have that this space lacks, if any."""
        query = "SELECT other, images FROM lacking WHERE space = ? AND other = IFNULL(?, other)"
        given = space.id, None if other is None else other.id
        with self._database.read() as connection:
            return {id_: images for id_, images in connection.execute(query, given) if images}

    def _one(self, query: str, condition: Condition) -> int:
        with self._database.read() as connection:
            return int(connection.execute(query, condition.parameters).fetchone()[0])


def _lacked(space: SpaceRecord, others: Sequence[int]) -> Condition:
    """Return what holds for the entries of other spaces whose image has nothing here."""
    sql = _LACKED.format(others=", ".join("?" * len(others)))
    return Condition(sql, (*others, space.id, space.id))


def _below(condition: Condition, folders: Sequence[str] | None) -> Condition:
    """Return what also holds for the entries with a file at or below one of the folders."""
    if folders is None:
        return condition
    those = inside(folders)
    return Condition(
        f"{condition.sql} AND EXISTS (SELECT 1 FROM images JOIN files "
        f"ON files.image_id = images.source "
        f"WHERE images.image_id = entries.image_id AND {those.sql})",
        condition.parameters + those.parameters,
    )
