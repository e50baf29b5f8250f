"""What a library holds: its roots and failures, and the index beside the vectors of the cache."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.embeddings import Embeddings
from mcp_vlsearch.cache.failing import failures
from mcp_vlsearch.cache.fingerprints import Fingerprints, SpaceRecord
from mcp_vlsearch.contracts import ClosingIndex, SharedIndex, Space, StoredIndex, VectorIndex
from mcp_vlsearch.core.following import followed, space_for
from mcp_vlsearch.core.health.check import Check, error, ok, warning
from mcp_vlsearch.core.roots import Roots
from mcp_vlsearch.plugins import resolve
from mcp_vlsearch.settings import Settings

__all__ = ["drop_stored", "failed", "index", "roots", "searched"]

_REBUILD: Final = "mcp-vlsearch doctor --fix, which makes it again from the database"


def roots(settings: Settings, database: Database) -> Check:
    """Say which roots are there."""
    found = Roots((*Catalog(database).roots(), *settings.roots))
    offline = [folder for folder in found.folders if not found.online(folder)]
    if not found.folders:
        return warning("roots", "none: no folder is allowed yet", "mcp-vlsearch index FOLDER")
    if offline:
        return warning(
            "roots",
            f"offline or empty: {', '.join(offline)}",
            "connect the drive; if it is gone for good, mcp-vlsearch remove FOLDER",
        )
    return ok("roots", ", ".join(found.folders))


def failed(database: Database) -> Check:
    """Say how many files could not be read."""
    count = Catalog(database).counts().failed
    if not count:
        return ok("failures", "every file could be read")
    path, reason = failures(database, 1)[0]
    return warning(
        "failures",
        f"{count} files could not be read, such as {path} ({reason})",
        "mend or remove them, then mcp-vlsearch index",
    )


def searched(settings: Settings, database: Database) -> SpaceRecord | None:
    """Return the space that is searched, if something was indexed for it."""
    return space_for(followed(settings, database), Fingerprints(database).all())


def index(settings: Settings, database: Database, *, whole: bool) -> Check:
    """Compare the stored index with the cache; with ``whole``, also its checksums.

    What was verified since it was written is not read again. Nothing is changed.
    """
    record = searched(settings, database)
    if record is None:
        return ok("index", "nothing was indexed with the library's encoder and model yet")
    looking = settings.model_copy(update={"read_only": True})
    with _warnings() as said, _opened(looking, database, record) as found:
        if not isinstance(found, SharedIndex):
            return ok("index", f"{settings.index}, made at each start")
        found.refresh()
        if isinstance(found, StoredIndex) and whole:
            found.verify(lambda: None)
            found.refresh()
        return _compared(settings, Embeddings(database, record), record, found, said)


def drop_stored(settings: Settings, database: Database, record: SpaceRecord) -> None:
    """Delete what the index stores of a space; the database has all of its vectors."""
    with _opened(settings, database, record) as found:
        if isinstance(found, SharedIndex):
            found.drop()


def _compared(
    settings: Settings,
    embeddings: Embeddings,
    record: SpaceRecord,
    found: SharedIndex,
    warnings: list[str],
) -> Check:
    fixable = not settings.read_only
    newest, removal = embeddings.newest()
    if warnings and not found.last_seq and record.entries:
        said = "its files are damaged, or another library's; searches go on without"
        return error("index", said, _REBUILD, can_fix=fixable)
    if found.last_seq > newest or found.last_removal > removal:
        said = "newer than the database, which is perhaps a copy from before"
        return error("index", said, _REBUILD, can_fix=fixable)
    waiting = record.entries - len(found)
    kept = f"{settings.index}, {len(found)} vectors stored"
    if waiting > 0:
        kept += f", {waiting} more are read from the database at each start"
    return ok("index", kept)


@contextmanager
def _opened(settings: Settings, database: Database, record: SpaceRecord) -> Iterator[VectorIndex]:
    space = Space(record.fingerprint, record.dim, database.library_id())
    opened: VectorIndex | None = None
    try:
        opened = resolve("indexes", settings.index)(settings, space)
        yield opened
    finally:
        if isinstance(opened, ClosingIndex):
            opened.close()


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Keep the package's warnings from being shown: the check tells of what they mean."""
    logger = logging.getLogger("mcp_vlsearch")
    said: list[str] = []

    def keep(entry: logging.LogRecord) -> bool:
        said.append(entry.getMessage())
        return False

    handler = logging.Handler(logging.WARNING)
    handler.addFilter(keep)
    logger.addHandler(handler)
    propagate, logger.propagate = logger.propagate, False
    try:
        yield said
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
