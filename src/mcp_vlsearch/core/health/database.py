"""The database's own health, looked at without the code that uses it: it may be anything."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from mcp_vlsearch.cache.database import connect_to_read
from mcp_vlsearch.cache.migrating import state_of_steps
from mcp_vlsearch.core.health.check import Check, error, ok, warning

__all__ = ["integrity", "schema"]

_PATIENCE: Final = 3.0
"""Seconds to wait for one who has locked the whole file."""
_NAME: Final = "database"


def integrity(file: Path) -> Check:
    """Have SQLite look through the file's pages, and for rows that refer to nothing."""
    move = f"move {file} away and run `mcp-vlsearch index`; pictures are not touched"
    try:
        with closing(connect_to_read(file, _PATIENCE)) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            astray = connection.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.Error as problem:
        code = getattr(problem, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return warning(_NAME, "another process has locked it", "try again when it is done")
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return error(_NAME, f"{file} is damaged ({problem})", move)
        return error(_NAME, f"{file} can't be read ({problem})", "make it and its folder readable")
    if found != "ok":
        return error(_NAME, f"{file} is damaged ({found})", move)
    if astray is not None:
        return error(_NAME, f"{file} has rows of {astray[0]} that refer to nothing", move)
    return ok(_NAME, f"whole, {file.stat().st_size / 2**20:.1f} MiB")


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
