"""One writer at a time: the lock of a library, held by a process and freed by its death."""

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from mcp_vlsearch.core.progress import Progress, ProgressCallback
from mcp_vlsearch.errors import LibraryError
from mcp_vlsearch.files import write_whole

__all__ = ["LOCK", "WRITER", "told_writer", "writer_lock"]

LOCK: Final = "writer.lock"
WRITER: Final = "writer.json"
"""Who has the lock; only to tell those who wait, it decides nothing."""

_POLL: Final = 0.5
_OWN_NAMES: Final = ("mcp-vlsearch", "mcp_vlsearch")


class _Writer(BaseModel):
    """A process that writes, as others are told of it."""

    model_config = ConfigDict(frozen=True)

    process: int
    host: str
    command: str
    since: datetime

    def __str__(self) -> str:
        since = self.since.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        here = "" if self.host == platform.node() else f" on {self.host}"
        return f"process {self.process}{here}, {self.command}, since {since}"

    @property
    def is_gone(self) -> bool:
        """Whether it is known to be there no more: only of this machine's own can that be told."""
        if self.host != platform.node() or os.name != "posix":
            return False
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return True
        except OSError:  # another user's
            return False
        return False


@contextmanager
def writer_lock(library: Path, report: ProgressCallback) -> Iterator[None]:
    """Hold the library's lock; wait with progress while another process or thread has it.

    The operating system frees it when its holder ends, however that ends. Raises
    :class:`LibraryError` where nothing can be written.
    """
    lock = FileLock(library / LOCK, thread_local=False)
    while True:
        try:
            lock.acquire(timeout=_POLL)
            break
        except Timeout:
            report(
                Progress(0, None, f"waiting for another writer ({told_writer(library / WRITER)})")
            )
        except OSError as error:
            raise LibraryError(
                f"{library} can't be written ({error.strerror}): make it writable and see that its "
                "disk has space, or give another --library"
            ) from error
    try:
        _tell(library / WRITER)
        yield
    finally:
        with suppress(OSError):
            (library / WRITER).unlink(missing_ok=True)
        lock.release()


def _tell(file: Path) -> None:
    """Say who writes; a full disk is told by what is written next."""
    writer = _Writer(
        process=os.getpid(), host=platform.node(), command=_command(), since=datetime.now(UTC)
    )
    with suppress(OSError):
        write_whole(file, writer.model_dump_json())


def told_writer(file: Path) -> str:
    """Return who writes; a file of one that was killed says nothing about the next."""
    try:
        writer = _Writer.model_validate_json(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError):
        return "unknown process"
    return "unknown process" if writer.is_gone else str(writer)


def _command() -> str:
    """Return the program, of our own with its command; further arguments may be secret."""
    program = Path(sys.argv[0] or sys.executable)
    name = program.parent.name if program.name == "__main__.py" else program.name
    if name not in _OWN_NAMES:
        return name
    words = [word for word in sys.argv[1:3] if not word.startswith("-")]
    is_group = words[:1] in (["cache"], ["encoder"])
    return " ".join(["mcp-vlsearch", *words[: 2 if is_group else 1]])
