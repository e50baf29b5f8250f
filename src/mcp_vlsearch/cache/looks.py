"""Looks of pictures, kept so that a second comparison need not read the files again."""

import json
from collections.abc import Collection, Mapping

from mcp_vlsearch.cache.database import Database

__all__ = ["Looks"]


class Looks:
    """The looks of one ``version``, as bytes by image."""

    def __init__(self, database: Database, version: int) -> None:
        self._database = database
        self._version = version

    def of(self, image_ids: Collection[str]) -> dict[str, bytes]:
        """Return the looks that are known, by image."""
        query = """
            SELECT image_id, look FROM json_each(?) JOIN looks ON image_id = value
            WHERE version = ?
        """
        with self._database.read() as connection:
            rows = connection.execute(query, (json.dumps(list(image_ids)), self._version))
            return dict(rows.fetchall())

    def put(self, looks: Mapping[str, bytes]) -> None:
        """Keep looks, in place of those of other versions. Raises :class:`LibraryError`."""
        rows = [(image_id, self._version, look) for image_id, look in looks.items()]
        with self._database.write() as tables:
            tables.conn.executemany("INSERT OR REPLACE INTO looks VALUES (?, ?, ?)", rows)
