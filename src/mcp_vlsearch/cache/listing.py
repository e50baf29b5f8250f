"""The known files of a library in the order of their paths, as a scan is compared with them."""

import os
from collections.abc import Iterator
from itertools import chain
from typing import Final

from mcp_vlsearch.cache.conditions import below
from mcp_vlsearch.cache.database import Database

__all__ = ["KnownFile", "Listing"]

KnownFile = tuple[str, int, int, int, str | None, int]
"""Path, size in bytes and mtime in nanoseconds when the file was last read; whether it must be read
again even if it is as it was (1 or 0); why it has no image, or which of its parts have none; and
whether it has any (1 or 0)."""

_PAGE: Final = 2000
"""As many rows as stay in the processor's cache until they are compared."""
_LACKS_VECTOR: Final = """EXISTS (
    SELECT 1 FROM images WHERE source = files.image_id AND NOT EXISTS (
        SELECT 1 FROM embeddings WHERE embeddings.image_id = images.image_id
        AND fingerprint = (SELECT id FROM fingerprints WHERE fingerprint = :fingerprint)
    )
)"""


class Listing:
    """Lists files as they stand under one encoder's fingerprint."""

    def __init__(self, database: Database, fingerprint: str) -> None:
        self._database = database
        self._fingerprint = fingerprint

    def below(self, path: str, recursive: bool) -> Iterator[KnownFile]:
        """Give the known files at or below a path, sorted by path.

        They are read in pages, so that memory holds few of them and no transaction stays open.
        """
        return chain.from_iterable(self._pages(path, recursive))

    def _pages(self, path: str, recursive: bool) -> Iterator[list[KnownFile]]:
        again = "retry" if self._is_complete() else f"retry OR ({_LACKS_VECTOR})"
        files = f"SELECT path, size, mtime_ns, {again}, error, image_id IS NOT NULL FROM files"
        yield self._rows(f"{files} WHERE path = :path", path=path)
        low, high = below(path)
        direct = "" if recursive else f"AND instr(substr(path, {len(low) + 1}), :separator) = 0"
        page = f"{files} WHERE path > :low AND path < :high {direct} ORDER BY path LIMIT {_PAGE}"
        while rows := self._rows(page, low=low, high=high, separator=os.sep):
            yield rows
            low = rows[-1][0]

    def _is_complete(self) -> bool:
        """Say whether every image of a file has an entry, and so a vector.

        Nearly always it has, and then there is no need to look each one up.
        """
        query = """SELECT EXISTS (
            SELECT 1 FROM fingerprints JOIN totals ON entries = images WHERE fingerprint = ?
        )"""
        with self._database.read() as connection:
            return bool(connection.execute(query, (self._fingerprint,)).fetchone()[0])

    def _rows(self, query: str, **parameters: str) -> list[KnownFile]:
        parameters["fingerprint"] = self._fingerprint
        with self._database.read() as connection:
            return connection.execute(query, parameters).fetchall()
