"""Which images lie in which files, where a file holds several: each has a part of it."""

import json
from collections.abc import Collection, Sequence
from typing import Final

from mcp_vlsearch.cache.database import Database

__all__ = ["Parts"]

_IN_ORDER: Final = "ORDER BY CAST(substr(part, instr(part, '=') + 1) AS REAL), part"
"""``page=2`` before ``page=10``."""


class Parts:
    """The images of one library by their source: the id of the bytes of the file they are in.

    A picture that is a file by itself is its own source, and has no part.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, source: str) -> list[str]:
        """Return the images of a source, in the order of their parts."""
        query = f"SELECT image_id FROM images WHERE source = ? {_IN_ORDER}"
        with self._database.read() as connection:
            return [image_id for (image_id,) in connection.execute(query, (source,))]

    def part(self, image_id: str) -> str | None:
        """Return which part of its files an image is; None if it is all of them, or unknown."""
        query = "SELECT part FROM images WHERE image_id = ?"
        with self._database.read() as connection:
            row = connection.execute(query, (image_id,)).fetchone()
        return str(row[0]) if row and row[0] else None

    def whole(self, source: str) -> bool:
        """Say whether a file of this source was read to its end, and is not to be read again."""
        query = "SELECT EXISTS (SELECT 1 FROM files WHERE image_id = ? AND NOT retry)"
        with self._database.read() as connection:
            return bool(connection.execute(query, (source,)).fetchone()[0])

    def error(self, source: str) -> str | None:
        """Return what a file of this source lacks, if some of its parts have no image."""
        query = "SELECT error FROM files WHERE image_id = ? AND NOT retry LIMIT 1"
        with self._database.read() as connection:
            row = connection.execute(query, (source,)).fetchone()
        return row[0] if row else None

    def keep(self, source: str, image_ids: Collection[str]) -> None:
        """Forget images of a source other than these: it has fewer parts than it had before."""
        with self._database.write() as tables:
            tables.execute(
                """DELETE FROM images WHERE source = ?
                AND image_id NOT IN (SELECT value FROM json_each(?))""",
                (source, json.dumps(list(image_ids))),
            )

    def sources(self, seqs: Sequence[int], besides: str = "") -> dict[int, str]:
        """Return the source of the image behind each seq, but for one image.

        Those that went meanwhile have none.
        """
        query = """
            SELECT seq, source FROM json_each(?) AS wanted
            JOIN entries ON seq = wanted.value JOIN images USING (image_id) WHERE image_id <> ?
        """
        with self._database.read() as connection:
            return dict(connection.execute(query, (json.dumps(seqs), besides)).fetchall())
