"""The SQLite file of a library: a connection per thread, transactions, errors that help."""

import math
import os
import shlex
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mcp_vlsearch.cache.connecting import (
    BUSY_SECONDS,
    connect,
    connect_to_read,
    file_of,
    log_ahead,
    make_folder,
)
from mcp_vlsearch.cache.migrating import migrate
from mcp_vlsearch.cache.tables import Tables
from mcp_vlsearch.errors import LibraryBusyError, LibraryError

__all__ = ["EARTH_RADIUS_KM", "Database"]

EARTH_RADIUS_KM: Final = 6371.0088
"""Mean radius (IUGG)."""

_FILE_BITS: Final = 40
_CACHE_KIB: Final = 32 * 1024


class Database:
    """One ``library.db``, opened at first use, and made by the first write unless ``read_only``.

    Until then there is nothing in it to read. Every thread gets its own connection, which ends with
    the thread. Any number of readers in any number of processes work beside one writer; each sees
    what was committed when it began.
    """

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self.path = path
        self._read_only = read_only
        self._local = threading.local()
        self._sessions: weakref.WeakSet[_Session] = weakref.WeakSet()
        self._opening = threading.Lock()
        self._watching = threading.Lock()
        self._watch: _Session | None = None
        self._migrated = False
        self._closed = False
        self._replaced = 0
        """How often another file was found in the place of the one that was open."""

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Give the thread's connection, in one snapshot of the database.

        Inside :meth:`write` it is that transaction. Raises :class:`LibraryError`.
        """
        with _explained(self.path):
            session = self._session(make=False)
            connection = session.connection
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    @contextmanager
    def write(self) -> Iterator[Tables]:
        """Give the thread's connection in a transaction: all of the block is kept, or nothing.

        A block within a block of the same thread joins it. Raises :class:`LibraryBusyError` if
        another process writes for too long, :class:`LibraryError` for what else goes wrong.
        """
        with _explained(self.path):
            session = self._session(make=True)
            if session.writing:
                yield session.tables
                return
            if session.connection.in_transaction:
                raise RuntimeError("a snapshot can't be written to: leave read() first")
            session.connection.execute("BEGIN IMMEDIATE")
            session.writing = True
            try:
                yield session.tables
                session.connection.execute("COMMIT")
            except BaseException:
                session.connection.rollback()
                raise
            finally:
                session.writing = False

    def make(self) -> None:
        """Make the file where there is none, so that the library is what it will be later."""
        with self.write():
            return

    def library_id(self) -> str:
        """Return what tells this library from all others, 16 hex digits."""
        with self.read() as connection:
            return str(connection.execute("SELECT id FROM library").fetchone()[0])

    def version(self) -> int:
        """Return a number that changes with every commit, of whichever process or thread.

        What is read after it was asked for is no older than that.
        """
        with _explained(self.path), self._watching:
            if self._watch is None or self._closed or self._is_outdated(self._watch, False):
                # SQLite counts what others commit: this connection never writes.
                self._watch = self._new_session(make=False)
            if self._watch.is_stand_in:
                return 0
            row = self._watch.connection.execute("PRAGMA data_version").fetchone()
            return int(row[0]) + (self._replaced << _FILE_BITS)  # it counts anew in another file

    def bytes(self) -> int:
        """Return the size on disk, with what waits in the write-ahead log."""
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def compact(self) -> None:
        """Give the space of deleted rows back to the disk; takes as much meanwhile as stays.

        Readers go on. What one of them still looks at is given back when it is done.
        """
        with _explained(self.path):
            connection = self._session(make=True).connection
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the connections of all threads; the database can't be used any more."""
        with self._opening:
            self._closed = True
            for session in list(self._sessions):
                session.connection.close()
            self._sessions.clear()

    def _session(self, make: bool) -> "_Session":
        session: _Session | None = getattr(self._local, "session", None)
        if session is None or self._closed or self._is_outdated(session, make):
            session = self._local.session = self._new_session(make)
        return session

    def _new_session(self, make: bool) -> "_Session":
        if self._closed:
            raise LibraryError(f"{self.path.parent} is closed: open the library again")
        with self._opening:
            return self._open(make)

    def _is_outdated(self, session: "_Session", make: bool) -> bool:
        if session.connection.in_transaction:
            return False
        if session.is_stand_in:
            return make or self.path.exists()
        if make and session.replaced == self._replaced and session.file != file_of(self.path):
            # Such as by a recovery while a server runs: what it writes must not go to the old one.
            self._replaced += 1
            self._migrated = False
        return session.replaced != self._replaced

    def _open(self, make: bool) -> "_Session":
        if not self.path.exists():
            if self._read_only:
                raise LibraryError(
                    f"{self.path} does not exist: index a folder into this library first"
                )
            if not make:
                return self._opened(_Session(None))
        make_folder(self.path.parent)
        session = _Session(self.path, self._is_sealed())
        session.file, session.replaced = file_of(self.path), self._replaced
        self._opened(session)
        self._migrated = True
        return session

    def _is_sealed(self) -> bool:
        """Whether the file is only read: as it was asked for, or as its disk has it."""
        return self._read_only or not os.access(self.path.parent, os.W_OK)

    def _opened(self, session: "_Session") -> "_Session":
        if session.is_stand_in or not self._migrated:
            migrate(session.tables, read_only=not session.is_stand_in and self._is_sealed())
        self._sessions.add(session)
        return session


class _Session:
    """A thread's connection, closed when the thread ends and its session is collected.

    Without a path it is a stand-in, in memory, for a library that is not there yet.
    """

    def __init__(self, path: Path | None, read_only: bool = False) -> None:
        if path is None:
            self.connection = sqlite3.connect(
                ":memory:", isolation_level=None, check_same_thread=False
            )
        else:
            self.connection = (
                connect_to_read(path) if read_only else connect(path, "mode=rwc", BUSY_SECONDS)
            )
        self.is_stand_in = path is None
        self.file: tuple[int, int] | None = None
        self.replaced = 0
        self.writing = False
        self.connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self.connection.execute("PRAGMA foreign_keys = ON")
        if path is not None and not read_only:
            log_ahead(self.connection)
            # Safe against crashes of the process; a power cut may take the last batches, no more.
            self.connection.execute("PRAGMA synchronous = NORMAL")
        self.connection.create_function("distance_km", 4, _distance_km, deterministic=True)
        self.tables = Tables(self.connection, execute_plugins=False)

    def __del__(self) -> None:
        # Python 3.13 and later warn of connections that are left to the collector.
        if connection := getattr(self, "connection", None):
            connection.close()


def _distance_km(
    latitude: float, longitude: float, other_latitude: float, other_longitude: float | None
) -> float | None:
    """Return the great-circle distance between two places in degrees, by the haversine formula."""
    if other_longitude is None:
        return None
    a, b = math.radians(latitude), math.radians(other_latitude)
    east = math.radians(other_longitude - longitude)
    h = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(east / 2) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(h, 1.0)))


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what SQLite reports about the file into one line that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        # Extended codes keep the primary one in their low byte.
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise LibraryBusyError(
                f"another process is writing to {path}: try again when it is done"
            ) from error
        if code in _ADVICE:
            doctor = f"mcp-vlsearch doctor --fix --library {shlex.quote(str(path.parent))}"
            raise LibraryError(f"{path} {_ADVICE[code].format(doctor=doctor)}") from error
        raise


_ADVICE: Final = {
    sqlite3.SQLITE_FULL: "can't grow, the disk is full: free some space, then run it again",
    sqlite3.SQLITE_READONLY: "can't be written: make it and its folder writable, or set "
    "MCP_VLSEARCH_READ_ONLY",
    sqlite3.SQLITE_CANTOPEN: "can't be opened: make its folder readable and writable, or give "
    "another --library",
    sqlite3.SQLITE_PERM: "can't be opened: make its folder readable and writable, or give another "
    "--library",
    sqlite3.SQLITE_IOERR: "can't be read or written: check that its disk works and has space",
    sqlite3.SQLITE_NOTADB: "is not a database, or its beginning is damaged: run `{doctor}`, which "
    "keeps it under another name, or give another --library",
    sqlite3.SQLITE_CORRUPT: "is damaged: run `{doctor}`, which keeps what can still be read",
}
