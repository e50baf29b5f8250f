"""The database's own health, looked at without the code that uses it: it may be anything."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from mcp_vlsearch.cache.connecting import connect_to_read
from mcp_vlsearch.cache.migrating import state_of_steps
from mcp_vlsearch.core.health.check import Check, error, ok, warning

__all__ = ["complaint", "integrity", "is_of_an_index", "schema"]

_PATIENCE: Final = 3.0
"""Seconds to wait for one who has locked the whole file."""
_LARGE: Final = 256 * 2**20
"""Bytes of a database that take more than a moment to look through."""
_NAME: Final = "database"


def integrity(file: Path, *, whole: bool) -> Check:
    """Have SQLite look through the file's pages, and for rows that refer to nothing.

    With ``whole``, its own indexes are compared with the tables; without, a large file is left out.
    """
    size = file.stat().st_size
    if not whole and size > _LARGE:
        return ok(_NAME, f"{size / 2**20:.1f} MiB, not looked through: leave --quick out for that")
    try:
        found = complaint(file, whole=whole)
    except sqlite3.Error as problem:
        code = getattr(problem, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return warning(_NAME, "another process has locked it", "try again when it is done")
        if code not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            said = f"{file} can't be read ({problem})"
            return error(_NAME, said, "make it and its folder readable")
        found = str(problem)
    if not found:
        return ok(_NAME, f"whole, {size / 2**20:.1f} MiB")
    said = f"{file} is damaged ({found})"
    if is_of_an_index(found):
        mend = "mcp-vlsearch doctor --fix, which makes its own indexes again from its tables"
        return error(_NAME, said, mend, can_fix=True)
    mend = (
        "mcp-vlsearch doctor --fix, which keeps all that can be read, and the damaged file beside"
    )
    return error(_NAME, said, mend, can_fix=True)


def complaint(file: Path, *, whole: bool) -> str:
    """Return the first thing that SQLite finds wrong, or nothing. Raises :class:`sqlite3.Error`."""
    check = "integrity_check" if whole else "quick_check"
    with closing(connect_to_read(file, _PATIENCE)) as connection:
        (found,) = connection.execute(f"PRAGMA {check}(1)").fetchone()
        if found != "ok":
            return " ".join(str(found).split())
        astray = connection.execute("PRAGMA foreign_key_check").fetchone()
    return f"rows of {astray[0]} refer to nothing" if astray else ""


def is_of_an_index(found: str) -> bool:
    """Say whether a complaint is about one of SQLite's own indexes, of which no data is lost."""
    return "missing from index" in found or "entries in index" in found


def schema(file: Path) -> Check:
    """Say whether this version can read what was written."""
    name = "schema"
    with closing(connect_to_read(file, _PATIENCE)) as connection:
        newer, pending = state_of_steps(connection)
    if newer:
        said = f"written by a newer mcp-vlsearch ({', '.join(sorted(newer))})"
        return error(name, said, "pip install --upgrade mcp-vlsearch")
    if pending:
        said = f"written by an older mcp-vlsearch ({len(pending)} steps behind)"
        return warning(name, said, "mcp-vlsearch status, which brings it up to this version")
    return ok(name, "of this version")
