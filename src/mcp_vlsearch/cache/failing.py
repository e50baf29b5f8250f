"""The files that could not be read, and why."""

from collections.abc import Sequence

from mcp_vlsearch.cache.conditions import within
from mcp_vlsearch.cache.database import Database

__all__ = ["failures"]


def failures(
    database: Database, limit: int, folders: Sequence[str] | None = None
) -> list[tuple[str, str]]:
    """Return path and error of files that hold no image, or lack some of their parts.

    They come by path, at most so many; with ``folders``, only files at or below one of these.
    """
    those = within(folders)
    query = f"""SELECT path, error FROM files WHERE error IS NOT NULL AND {those.sql}
        ORDER BY path LIMIT ?"""
    with database.read() as connection:
        rows = connection.execute(query, (*those.parameters, limit))
        return [(path, error) for path, error in rows]
