"""What a library holds: its roots and failures, and the index beside the vectors of the cache."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.embeddings import Embeddings
from mcp_vlsearch.cache.failing import failures
from mcp_vlsearch.cache.fingerprints import Fingerprints, SpaceRecord
from mcp_vlsearch.contracts import ClosingIndex, SharedIndex, Space, StoredIndex, VectorIndex
from mcp_vlsearch.core.following import followed, space_for
from mcp_vlsearch.core.health.check import Check, error, ok, warning
from mcp_vlsearch.core.lookup import is_of
from mcp_vlsearch.core.news import News, look
from mcp_vlsearch.core.progress import ProgressCallback, silent
from mcp_vlsearch.core.roots import Roots
from mcp_vlsearch.plugins import resolve
from mcp_vlsearch.settings import CONFIG_FILE, Settings

__all__ = [
    "drop_stored",
    "failed",
    "files",
    "index",
    "news_below",
    "roots",
    "searched",
    "spaces",
]

_MANY: Final = 20_000
"""Vectors; as many are read from the database in a moment."""
_REBUILD: Final = "mcp-vlsearch doctor --fix, which makes it again from the database"


def roots(settings: Settings, database: Database) -> Check:
    """Say which roots are there and can be read."""
    catalog, found = Catalog(database), _roots(settings, database)
    if not found.folders:
        return warning("roots", "none: no folder is allowed yet", "mcp-vlsearch index FOLDER")
    unreadable = [root for root in found.folders if _is_unreadable(root)]
    if unreadable:
        said = f"can't be read: {', '.join(unreadable)}"
        return warning("roots", said, "allow the user who runs this to read them")
    offline = [
        root
        for root in found.folders
        if not found.online(root) or (_is_empty(root) and catalog.file_count(root))
    ]
    if offline:
        return warning(
            "roots",
            f"offline or empty: {', '.join(offline)}",
            "connect the drive; if it is gone for good, mcp-vlsearch remove FOLDER",
        )
    return ok("roots", ", ".join(found.folders))


def files(settings: Settings, database: Database) -> Check:
    """Compare what lies below the roots with what the library knows of it; no file is opened."""
    news = news_below(settings, database, silent)
    new, gone = len(news.to_read), len(news.gone)
    if gone:
        said = f"{gone} known files are gone, such as {news.gone[0]}"
        mend = "mcp-vlsearch doctor --fix, which forgets them and keeps their vectors"
        return warning("files", said, mend, can_fix=not settings.read_only)
    if new:
        said = f"{new} files are new or changed, such as {news.to_read[0].path}"
        return warning("files", said, "mcp-vlsearch index")
    return ok("files", "as they were when they were indexed")


def news_below(settings: Settings, database: Database, report: ProgressCallback) -> News:
    """Return what an index run over all roots would read and forget."""
    found = _roots(settings, database)
    return look(settings, database, Catalog(database), found, found.folders, report)


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


def spaces(settings: Settings, database: Database) -> Check:
    """Say whether the pictures have vectors of the encoder and model that are set."""
    name = "settings"
    record = searched(settings, database)
    others = [each for each in Fingerprints(database).all() if each.entries]
    if record is None and others:
        other = max(others, key=lambda each: (each.searched, each.entries))
        return warning(
            name,
            f"no picture has a vector of {settings.encoder}, {settings.model}; "
            f"{other.entries} have one of {other.name}, {other.model}",
            f"leave encoder and model to {CONFIG_FILE}, or mcp-vlsearch index with these settings",
        )
    return ok(name, f"{settings.encoder}, {settings.model}, index {settings.index}")


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
    if found.last_seq and not is_of(found, embeddings):
        said = "it holds other vectors than the database, perhaps another library's"
        return error("index", said, _REBUILD, can_fix=fixable)
    waiting = record.entries - len(found)
    kept = f"{settings.index}, {len(found)} vectors stored"
    if waiting > max(_MANY, record.entries // 5):
        said = f"{kept}, {waiting} more must be read from the database at each start"
        return warning("index", said, _REBUILD, can_fix=fixable)
    if waiting > 0:
        kept += f", {waiting} more are read from the database at each start"
    return ok("index", kept)


def _roots(settings: Settings, database: Database) -> Roots:
    return Roots((*Catalog(database).roots(), *settings.roots))


def _is_unreadable(root: str) -> bool:
    return Path(root).exists() and not os.access(root, os.R_OK)


def _is_empty(root: str) -> bool:
    return Path(root).is_dir() and next(Path(root).iterdir(), None) is None


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
