"""Progress on stderr, and a Ctrl-C that lets the batch in flight finish."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import typer

from mcp_vlsearch.core.progress import Progress, ProgressCallback
from mcp_vlsearch.errors import CancelledError

__all__ = ["RESUMABLE", "interruptible", "lines", "shown", "working"]

RESUMABLE: Final = "stopped: what is done stays; run the same command to go on"

_STOPPING: Final = b"stopping after this batch; Ctrl-C again stops at once\n"
_SECONDS_BETWEEN_LINES: Final = 5.0


@contextmanager
def working(stopped: str = "stopped") -> Iterator[ProgressCallback]:
    """Show work on stderr while it runs: a bar on a terminal, else a line now and then.

    After Ctrl-C the next report raises :class:`CancelledError` with the text ``stopped``; a second
    Ctrl-C stops at once.
    """
    with interruptible() as interrupted, shown() as show:

        def report(progress: Progress) -> None:
            if interrupted.is_set():
                raise CancelledError(stopped)
            show(progress)

        yield report


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C sets; a second one raises :class:`KeyboardInterrupt`."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return
    before = signal.getsignal(signal.SIGINT)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        interrupted.set()
        # Not the handler from before: a shell's background job starts with SIGINT ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # Not through sys.stderr, which this handler may have interrupted in mid-write.
        os.write(2, _STOPPING)

    signal.signal(signal.SIGINT, stop)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def shown() -> Iterator[ProgressCallback]:
    """Show work on stderr while it runs; a Ctrl-C raises :class:`KeyboardInterrupt` as ever."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lines()
        return
    from rich.progress import BarColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as Bar

    text = TextColumn("{task.description}", markup=False)
    with Bar(SpinnerColumn(), BarColumn(), text, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)

        def show(progress: Progress) -> None:
            bar.update(
                task,
                completed=progress.done,
                total=progress.total,
                description=progress.message,
            )

        yield show


def lines() -> ProgressCallback:
    """Return what shows work as a line on stderr now and then, also on a terminal."""
    return _Lines(lambda line: typer.echo(line, err=True))


class _Lines:
    """Writes a line when the kind of work changes, and every few seconds."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._kind = ""
        self._written = 0.0

    def __call__(self, progress: Progress) -> None:
        kind = re.split(r"\d", progress.message, maxsplit=1)[0]
        now = time.monotonic()
        if kind != self._kind or now - self._written >= _SECONDS_BETWEEN_LINES:
            self._kind, self._written = kind, now
            self._write(progress.message)
