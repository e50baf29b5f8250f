"""Connections to a SQLite file: to write ahead, or to read where nothing can be written."""

import sqlite3
import time
from pathlib import Path
from typing import Final

from mcp_vlsearch.errors import LibraryError

__all__ = ["BUSY_SECONDS", "connect", "connect_to_read", "file_of", "log_ahead", "make_folder"]

BUSY_SECONDS: Final = 60.0
"""How long a writer waits for another one; a batch is written in far less."""
_LOOK_AGAIN: Final = 0.01


def file_of(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one of its name, None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def log_ahead(connection: sqlite3.Connection) -> None:
    """Write ahead; SQLite does not wait by itself for others that begin to at the same moment."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_LOOK_AGAIN)


def connect(path: Path, how: str, patience: float = BUSY_SECONDS) -> sqlite3.Connection:
    """Connect as a URI's ``how`` says; who has locked the file is waited for so many seconds."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}",
        uri=True,
        timeout=patience,
        isolation_level=None,
        check_same_thread=False,  # close() may come from another thread
    )


def connect_to_read(path: Path, patience: float = BUSY_SECONDS) -> sqlite3.Connection:
    """Connect even where readers can't leave their marks: in a folder that can't be written.

    Nobody writes there, so the file is read as it lies, unless a log with more waits beside it. Who
    has locked it is waited for so many seconds. Raises :class:`sqlite3.Error`.
    """
    connection = connect(path, "mode=ro", patience)
    try:
        connection.execute("SELECT 1 FROM sqlite_schema").fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        log = path.with_name(path.name + "-wal")
        if not _is_refused(error) or (log.exists() and log.stat().st_size):
            raise
        return connect(path, "mode=ro&immutable=1", patience)
    return connection


def _is_refused(error: sqlite3.Error) -> bool:
    primary = error.sqlite_errorcode & 0xFF
    return primary in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


def make_folder(library: Path) -> None:
    """Make a library's folder where it is missing. Raises :class:`LibraryError`."""
    try:
        library.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LibraryError(
            f"{library} can't be made ({error.strerror}): give another --library"
        ) from error
