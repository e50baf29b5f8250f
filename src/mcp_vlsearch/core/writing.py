"""One writer at a time: the lock of a library, held by a process and freed by its death."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from mcp_vlsearch.core.progress import Progress, ProgressCallback

__all__ = ["writer_lock"]

_POLL = 0.5


@contextmanager
def writer_lock(library: Path, report: ProgressCallback) -> Iterator[None]:
    """Hold the library's lock; wait with progress while another process or thread has it."""
    lock = FileLock(library / "writer.lock", thread_local=False)
    owner = library / "writer.pid"
    while True:
        try:
            lock.acquire(timeout=_POLL)
            break
        except Timeout:
            report(Progress(0, None, f"waiting for another writer ({_owner(owner)})"))
    try:
        owner.write_text(str(os.getpid()))
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _owner(file: Path) -> str:
    try:
        return f"process {int(file.read_text())}"
    except (OSError, ValueError):
        return "unknown process"
