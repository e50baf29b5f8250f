"""Progress on stderr, and a Ctrl-C that lets the batch in flight finish."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from types import FrameType
from typing import Final

import typer

from mcp_vlsearch.core.progress import Progress, ProgressCallback
from mcp_vlsearch.errors import CancelledError

__all__ = ["RESUMABLE", "interruptible", "lasting", "lines", "shown", "working"]

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


def lasting(report: ProgressCallback) -> ProgressCallback:
    """Pass on news of work that lasts for seconds; after a pause as long, other work has begun."""
    began = heard = -inf

    def told(progress: Progress) -> None:
        nonlocal began, heard
        now = time.monotonic()
        if now - heard >= _SECONDS_BETWEEN_LINES:
            began = now
        heard = now
        if now - began >= _SECONDS_BETWEEN_LINES:
            report(progress)

    return told


class _Lines:
    """Writes a line for each kind of work when it begins, every few seconds, and when it is done.

    The kind is the first word: work of two kinds may take turns.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._written: dict[str, float] = {}
        self._done: set[str] = set()

    def __call__(self, progress: Progress) -> None:
        kind, now = progress.message.partition(" ")[0], time.monotonic()
        is_done = bool(progress.total) and progress.done == progress.total
        is_news = is_done and kind not in self._done
        self._done = self._done | {kind} if is_done else self._done - {kind}
        if is_news or now - self._written.get(kind, -inf) >= _SECONDS_BETWEEN_LINES:
            self._written[kind] = now
            self._write(progress.message)
