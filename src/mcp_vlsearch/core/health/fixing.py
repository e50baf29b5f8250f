"""What ``doctor --fix`` does: nothing is asked, and nothing lost that can't be made again."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from filelock import FileLock, Timeout

from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.embeddings import Embeddings
from mcp_vlsearch.core.health.content import drop_stored, news_below, searched
from mcp_vlsearch.core.health.database import complaint, is_of_an_index
from mcp_vlsearch.core.health.folder import DATABASE, unfinished
from mcp_vlsearch.core.lookup import IndexSlot
from mcp_vlsearch.core.progress import ProgressCallback
from mcp_vlsearch.core.recovering import recover
from mcp_vlsearch.core.writing import LOCK, WRITER
from mcp_vlsearch.errors import LibraryBusyError, LibraryError
from mcp_vlsearch.settings import Settings

__all__ = ["FIXES", "fix"]

_SHOWN: Final = 5

Fix = Callable[[Settings, ProgressCallback], str]


def fix(name: str, settings: Settings, report: ProgressCallback) -> str:
    """Mend what a check found, and return what was done.

    Raises :class:`LibraryBusyError` while a process writes to the library.
    """
    with _alone(settings):
        if name != "database" or _is_of_an_index(settings):
            return FIXES[name](settings, report)
    recovered = recover(settings.library, report)  # which takes the lock itself
    lost = ", ".join(recovered.lost[:_SHOWN])
    return f"{recovered}" + (f"; to be read again: {lost}" if lost else "")


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    lock = FileLock(settings.library / LOCK, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise LibraryBusyError(
            "a process is writing to the library: try again when it is done"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _is_of_an_index(settings: Settings) -> bool:
    try:
        return is_of_an_index(complaint(settings.library / DATABASE, whole=True))
    except sqlite3.Error:
        return False


def _lock(settings: Settings, report: ProgressCallback) -> str:
    del report
    (settings.library / WRITER).unlink(missing_ok=True)
    return "the note of a dead writer was deleted"


def _leftovers(settings: Settings, report: ProgressCallback) -> str:
    del report
    found = list(unfinished(settings.library))
    for path in found:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return f"{len(found)} unfinished files or folders were deleted"


def _index(settings: Settings, report: ProgressCallback) -> str:
    """Delete what is stored, and store what the database has, if there is enough of it."""
    database = Database(settings.library / DATABASE)
    try:
        record = searched(settings, database)
        if record is None:
            return "nothing is indexed: the index was left as it is"
        drop_stored(settings, database, record)
        slot = IndexSlot(settings, Embeddings(database, record), record.dim)
        try:
            slot.settle(report)
        finally:
            slot.close()
    finally:
        database.close()
    return f"the index was made again from {record.entries} vectors of the database"


def _files(settings: Settings, report: ProgressCallback) -> str:
    """Forget what an index run would; a root that is offline keeps all that was below it."""
    database = Database(settings.library / DATABASE)
    try:
        gone = news_below(settings, database, report).gone
        Catalog(database).forget(gone)
    finally:
        database.close()
    return f"{len(gone)} files that are gone were forgotten; their vectors are kept"


def _log(settings: Settings, report: ProgressCallback) -> str:
    del report
    with _connected(settings) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return "the log was written into the database"


def _database(settings: Settings, report: ProgressCallback) -> str:
    """Make what SQLite keeps beside the tables again."""
    del report
    with _connected(settings) as connection:
        connection.execute("REINDEX")
    return "the database's own indexes were made again from its tables"


@contextmanager
def _connected(settings: Settings) -> Iterator[sqlite3.Connection]:
    """Connect without the code that uses the database: it may be damaged."""
    connection = sqlite3.connect(settings.library / DATABASE, isolation_level=None)
    try:
        yield connection
    except sqlite3.Error as error:
        raise LibraryError(f"{error}: try again when no other process uses the library") from error
    finally:
        connection.close()


FIXES: Final[Mapping[str, Fix]] = {
    "database": _database,
    "log": _log,
    "lock": _lock,
    "leftovers": _leftovers,
    "files": _files,
    "index": _index,
}
"""By the name of a check that says of itself that it can be fixed."""
