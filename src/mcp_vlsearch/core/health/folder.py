"""The folder of a library: whether it is there, its disk, its lock, what dead processes left."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import Final

from filelock import FileLock, Timeout

from mcp_vlsearch.core.health.check import Check, error, ok, warning
from mcp_vlsearch.core.thumbnails import FOLDER
from mcp_vlsearch.core.writing import LOCK, WRITER, told_writer
from mcp_vlsearch.settings import Settings

__all__ = ["DATABASE", "disk", "is_locked", "leftovers", "library", "lock", "log", "unfinished"]

DATABASE: Final = "library.db"

_BESIDE: Final = re.compile(r".+\.[0-9a-f]{16}")
"""What a file is called while it is written (see :func:`mcp_vlsearch.files.write_whole`)."""
_HALF_AN_HOUR: Final = 1800.0
"""Nothing is written for as long; a folder of an index may be, and is known by its lock."""
_LITTLE: Final = 2**30
_LONG: Final = 64 * 2**20
"""Bytes of a log; SQLite keeps it to a few MiB where nobody is killed or reads for long."""
_NOTHING: Final = 50 * 2**20


def library(settings: Settings) -> Check:
    """Say where the library is, and whether it can be read and written."""
    name, folder = "library", settings.library
    if not folder.exists():
        mend = f"mcp-vlsearch index FOLDER --library {quote(str(folder))}"
        return warning(name, f"there is none at {folder} yet", mend)
    if not folder.is_dir():
        return error(name, f"{folder} is a file", "give another --library")
    if not (folder / DATABASE).exists():
        mend = f"mcp-vlsearch index FOLDER --library {quote(str(folder))}"
        return warning(name, f"nothing was indexed into {folder} yet", mend)
    if not os.access(folder, os.R_OK | os.X_OK) or not os.access(folder / DATABASE, os.R_OK):
        return error(name, f"{folder} can't be read", f"make {folder} and its files readable")
    if settings.read_only:
        return ok(name, f"{folder}, read-only by MCP_VLSEARCH_READ_ONLY")
    if not os.access(folder, os.W_OK) or not os.access(folder / DATABASE, os.W_OK):
        mend = f"make {folder} and its files writable, or set MCP_VLSEARCH_READ_ONLY=true"
        return warning(name, f"{folder} can be searched but not written", mend)
    return ok(name, str(folder))


def disk(settings: Settings) -> Check:
    """Compare the free space with what storing the index and clearing out take meanwhile."""
    folder = next(
        place for place in (settings.library, *settings.library.parents) if place.is_dir()
    )
    free = shutil.disk_usage(folder).free
    files = (settings.library / DATABASE, settings.library / f"{DATABASE}-wal")
    need = max(_LITTLE, sum(file.stat().st_size for file in files if file.exists()))
    said = f"{free / 2**30:.1f} GiB free"
    mend = f"free some space on the disk of {folder}"
    if free < _NOTHING:
        return error("disk", said, mend)
    if free < need:
        return warning("disk", f"{said}; up to {need / 2**30:.1f} GiB may be needed", mend)
    return ok("disk", said)


def lock(settings: Settings) -> Check:
    """Say who writes now, and whether a dead writer has left word of itself."""
    note = settings.library / WRITER
    if is_locked(settings):
        return ok("lock", f"{told_writer(note)} is writing; searches go on")
    if note.exists():
        return warning(
            "lock",
            "a writer ended without taking its note away; it holds nothing up",
            "mcp-vlsearch doctor --fix, which deletes it",
            can_fix=not settings.read_only,
        )
    return ok("lock", "nobody is writing")


def log(settings: Settings) -> Check:
    """Say how much waits in the database's log, which a killed process may have left."""
    file = settings.library / f"{DATABASE}-wal"
    size = file.stat().st_size if file.exists() else 0
    said = f"{size / 2**20:.1f} MiB wait in the database's log"
    if size < _LONG:
        return ok("log", said)
    mend = "mcp-vlsearch doctor --fix, which writes them into the database"
    return warning("log", said, mend, can_fix=not settings.read_only)


def is_locked(settings: Settings) -> bool:
    """Say whether a process holds the writer's lock; nothing is made where there is none."""
    file = settings.library / LOCK
    if not file.exists() or not os.access(file, os.W_OK):
        return False
    try:
        FileLock(file, thread_local=False).acquire(timeout=0).lock.release()
    except Timeout:
        return True
    return False


def leftovers(settings: Settings) -> Check:
    """Look for files that a killed process had not renamed yet."""
    found = list(unfinished(settings.library))
    if not found:
        return ok("leftovers", "none")
    size = sum(_size(path) for path in found)
    return warning(
        "leftovers",
        f"{len(found)} unfinished files or folders of killed processes, {size / 2**20:.1f} MiB",
        "mcp-vlsearch doctor --fix",
        can_fix=not settings.read_only,
    )


def unfinished(folder: Path) -> Iterator[Path]:
    """Yield what nobody is at work on any more, among our own names only."""
    places = (folder.glob("*"), folder.glob(f"{FOLDER}/*/*"))
    for path in (path for found in places for path in found):
        if _BESIDE.fullmatch(path.name) and path.is_file() and _is_old(path):
            yield path
    for path in folder.glob("index/*/unfinished-*"):
        if _is_old(path):
            yield path


def _is_old(path: Path) -> bool:
    """Say whether nothing was written to a file, or into a folder, for long."""
    inside = path.iterdir() if path.is_dir() else ()
    with suppress(OSError):
        newest = max(each.stat().st_mtime for each in (path, *inside))
        return bool(time.time() - newest > _HALF_AN_HOUR)
    return False  # its process has just gone on


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else (path,)
    with suppress(OSError):
        return sum(file.stat().st_size for file in files)
    return 0
