"""Deleting what is not needed any more, in transactions of bounded size."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.fingerprints import SpaceRecord

__all__ = ["Deleting"]

_ROWS: Final = 5_000
"""Vectors that one transaction deletes."""
_WITHOUT_FILE: Final = """
    NOT EXISTS (
        SELECT 1 FROM images JOIN files ON files.image_id = images.source
        WHERE images.image_id = embeddings.image_id
    )
"""

Counted = Callable[[int], None]
"""Is told how many vectors have gone; may raise to stop between two transactions."""


class Deleting:
    """What of a library's cache can go, and how; what breaks off is finished by a second call."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def unused(self) -> dict[int, int]:
        """Return by fingerprint's id how many vectors are of images without files."""
        query = f"""
            SELECT fingerprint, COUNT(*) FROM embeddings WHERE {_WITHOUT_FILE} GROUP BY fingerprint
        """
        with self._database.read() as connection:
            return dict(connection.execute(query).fetchall())

    def without_file(self, images: Sequence[str]) -> list[str]:
        """Return those of some images that no file holds."""
        query = """
            SELECT value FROM json_each(?) WHERE NOT EXISTS (
                SELECT 1 FROM images JOIN files ON files.image_id = images.source
                WHERE images.image_id = value
            )
        """
        with self._database.read() as connection:
            return [image for (image,) in connection.execute(query, (json.dumps(images),))]

    def delete_unused(self, counted: Counted) -> None:
        """Delete the vectors of images without files, and what was known of these images."""
        self._delete(_WITHOUT_FILE, (), counted)
        with self._database.write() as tables:
            tables.execute(
                """DELETE FROM images
                WHERE NOT EXISTS (SELECT 1 FROM files WHERE files.image_id = images.source)
                AND NOT EXISTS (SELECT 1 FROM embeddings WHERE image_id = images.image_id)"""
            )
            tables.execute("DELETE FROM looks WHERE image_id NOT IN (SELECT image_id FROM images)")

    def drop(self, space: SpaceRecord, counted: Counted) -> None:
        """Delete a fingerprint with its entries and vectors.

        Who searches it meanwhile begins anew with what is left: no single removal is kept for that.
        """
        gone = _ROWS
        while gone == _ROWS:
            with self._database.write() as tables:
                gone = tables.execute(
                    """DELETE FROM entries WHERE seq IN
                    (SELECT seq FROM entries WHERE fingerprint = ? LIMIT ?)""",
                    (space.id, _ROWS),
                ).rowcount
                tables.execute(
                    """UPDATE fingerprints SET forgotten = (SELECT MAX(id) FROM removals)
                    WHERE id = ? AND ?""",
                    (space.id, gone),
                )
                tables.execute("DELETE FROM removals WHERE fingerprint = ?", (space.id,))
        self._delete("fingerprint = ?", (space.id,), counted)
        with self._database.write() as tables:
            tables.execute("DELETE FROM failures WHERE fingerprint = ?", (space.id,))
            tables.execute("DELETE FROM fingerprints WHERE id = ?", (space.id,))

    def removals(self, known: Mapping[int, int]) -> int:
        """Return how many removals no index needs.

        ``known`` says by fingerprint's id which is the last that its stored index knows.
        """
        with self._database.read() as connection:
            query = f"SELECT COUNT(*) FROM removals WHERE {_KNOWN}"
            return int(connection.execute(query, {"known": json.dumps(known)}).fetchone()[0])

    def delete_removals(self, known: Mapping[int, int]) -> None:
        """Forget removals that no index needs."""
        parameters = {"known": json.dumps(known)}
        with self._database.write() as tables:
            tables.execute(_FORGET, parameters)
            tables.execute(f"DELETE FROM removals WHERE {_KNOWN}", parameters)

    def _delete(self, condition: str, parameters: tuple[int, ...], counted: Counted) -> None:
        query = f"SELECT id FROM embeddings WHERE id > ? AND {condition} ORDER BY id LIMIT {_ROWS}"
        after = 0
        while True:
            with self._database.write() as tables:
                ids = tables.execute(query, (after, *parameters)).fetchall()
                tables.conn.executemany("DELETE FROM embeddings WHERE id = ?", ids)
            if not ids:
                return
            after = ids[-1][0]
            counted(len(ids))


_KNOWN: Final = """
    removals.id <= IFNULL(
        CASE WHEN removals.fingerprint IS NULL
            THEN (SELECT MIN(value) FROM json_each(:known))
            ELSE (SELECT value FROM json_each(:known) WHERE key = removals.fingerprint || '')
        END,
        removals.id
    )
"""
"""Where a fingerprint has no stored index, its removals are not needed: it is made anew."""
_FORGET: Final = f"""
    UPDATE fingerprints SET forgotten = MAX(forgotten, IFNULL((
        SELECT MAX(id) FROM removals
        WHERE (removals.fingerprint = fingerprints.id OR removals.fingerprint IS NULL) AND {_KNOWN}
    ), 0))
"""
