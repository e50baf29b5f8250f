"""What rewriters wrote, kept beside the database: a search never waits for whoever writes there."""

import json
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

__all__ = ["Phrasings"]

FILE: Final = "phrasings.db"
_ON_DISK: Final = 10_000
"""Queries that are kept; the one that was not searched for the longest time goes first."""
_IN_MEMORY: Final = 1024
_BUSY_SECONDS: Final = 1.0
"""How long another process is waited for; a phrasing that is not kept is only written again."""
_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS phrasings (
        rewriter TEXT NOT NULL,
        query TEXT NOT NULL,
        written TEXT NOT NULL,
        used INTEGER NOT NULL,
        PRIMARY KEY (rewriter, query)
    ) WITHOUT ROWID
"""

_Key = tuple[str, str]


class Phrasings:
    """Phrasings by (rewriter's fingerprint, query), in memory and on disk, both bounded.

    A library that is read-only, or not there yet, keeps them in memory only. Whatever goes wrong
    with the file, nothing is found or kept there; no search fails for it. May be used by several
    threads and processes.
    """

    def __init__(self, library: Path, *, read_only: bool = False, on_disk: int = _ON_DISK) -> None:
        self._path = library / FILE
        self._read_only = read_only
        self._on_disk = on_disk
        self._memory: OrderedDict[_Key, list[str]] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, rewriter: str, query: str) -> list[str] | None:
        """Return what a rewriter wrote for a query, None if that is not known."""
        key = rewriter, query
        with self._lock:
            if key in self._memory:
                self._memory.move_to_end(key)
                return list(self._memory[key])
        found = self._read(key)
        if found is not None:
            self._remember(key, found)
        return found

    def keep(self, rewriter: str, query: str, written: Sequence[str]) -> None:
        """Keep what a rewriter wrote."""
        key = rewriter, query
        self._remember(key, list(written))
        if self._read_only or not self._path.parent.is_dir():
            return
        with self._mended(), self._connected() as connection, connection:
            connection.execute(_TABLE)
            connection.execute(
                "REPLACE INTO phrasings SELECT ?, ?, ?, IFNULL(MAX(used), 0) + 1 FROM phrasings",
                (*key, json.dumps(written, ensure_ascii=False)),
            )
            connection.execute(
                """DELETE FROM phrasings WHERE (rewriter, query) IN (
                    SELECT rewriter, query FROM phrasings ORDER BY used DESC LIMIT -1 OFFSET ?
                )""",
                (self._on_disk,),
            )

    def count(self) -> int:
        """Return for how many queries the file has phrasings."""
        with suppress(sqlite3.Error), self._connected("ro") as connection:
            return int(connection.execute("SELECT COUNT(*) FROM phrasings").fetchone()[0])
        return 0

    def clear(self) -> int:
        """Forget all of them; return of how many queries they were in the file."""
        count = self.count()
        with self._lock:
            self._memory.clear()
        self._path.unlink(missing_ok=True)
        return count

    def _read(self, key: _Key) -> list[str] | None:
        try:
            with self._connected("ro") as connection:
                query = "SELECT written FROM phrasings WHERE rewriter = ? AND query = ?"
                row = connection.execute(query, key).fetchone()
            written = json.loads(row[0]) if row else None
        except (sqlite3.Error, ValueError):
            return None
        if not isinstance(written, list) or not all(isinstance(text, str) for text in written):
            return None
        self._touch(key)
        return written

    def _touch(self, key: _Key) -> None:
        if self._read_only:
            return
        with suppress(sqlite3.Error), self._connected() as connection, connection:
            connection.execute(
                """UPDATE phrasings SET used = (SELECT MAX(used) + 1 FROM phrasings)
                WHERE rewriter = ? AND query = ?""",
                key,
            )

    def _remember(self, key: _Key, written: list[str]) -> None:
        with self._lock:
            self._memory[key] = written
            self._memory.move_to_end(key)
            while len(self._memory) > _IN_MEMORY:
                self._memory.popitem(last=False)

    @contextmanager
    def _connected(self, mode: str = "rwc") -> Iterator[sqlite3.Connection]:
        uri = f"{self._path.absolute().as_uri()}?mode={mode}"
        with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)) as connection:
            connection.execute("PRAGMA synchronous = OFF")  # what a power cut takes is made again
            yield connection

    @contextmanager
    def _mended(self) -> Iterator[None]:
        """Let nothing out that is wrong with the file; one that is damaged goes."""
        try:
            yield
        except sqlite3.OperationalError:  # busy, or not to be written
            return
        except sqlite3.DatabaseError:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
