"""Work that outlives the call that began it.

Whoever calls gets the result if the work ends in time. Else it goes on, and the next call for the
same joins it, or gets what it came to meanwhile.
"""

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from contextvars import copy_context
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar, cast

from mcp_vlsearch.core.progress import NO_NEWS, Progress, ProgressCallback
from mcp_vlsearch.errors import CancelledError, LibraryBusyError, VLSearchError
from mcp_vlsearch.types import IndexReport

__all__ = ["Index", "Run", "Runs", "SoFar", "StillRunning", "nothing_done"]

T = TypeVar("T")

SoFar = Callable[[], IndexReport]
"""Says what an index run has done by now; from any thread."""

_LOOK: Final = 0.1
"""Seconds between two looks at a run that is waited for."""
_KEPT: Final = 16
"""Ended runs whose results wait to be fetched."""
_KEPT_SECONDS: Final = 300.0
"""How long they wait: an assistant asks its user something, but does not come back tomorrow."""
_MOST: Final = 64
"""Runs at a time: more than that, mostly left by those who began them, would only hold each other
up."""
_MOST_LONG: Final = 32
"""Long runs beside them: those that wait for a writer, minutes maybe, are no reason to refuse a
search."""


class Index(Protocol):
    """``Library.index``."""

    def __call__(
        self,
        paths: Sequence[str | Path] = (),
        *,
        recursive: bool = True,
        force: bool = False,
        report: ProgressCallback = ...,
        begun: Callable[[SoFar], None] = ...,
    ) -> IndexReport:
        """Bring the library up to what lies below paths."""
        ...


class StillRunning(VLSearchError):  # noqa: N818 - nothing went wrong
    """The work takes longer than its caller can wait; ``run`` is what it is about."""

    def __init__(self, run: "Run[Any]") -> None:
        self.run = run
        super().__init__(
            f"this takes longer than a call may ({run.latest.message}): it goes on by itself, "
            "call again with the same arguments to get its result"
        )


class Runs:
    """What goes on in a library, by what it is about, and results that wait to be fetched."""

    def __init__(self, index: Index, clock: Callable[[], float] = time.monotonic) -> None:
        self._index = index
        self._clock = clock
        self._turn = threading.Lock()
        self._runs: dict[Hashable, Run[Any]] = {}
        self._active: set[Run[Any]] = set()
        self._changes = 0
        self._ends = False

    def join(
        self,
        about: Hashable,
        work: "Callable[[Run[T]], T]",
        report: ProgressCallback,
        seconds: float,
        *,
        keep: bool = True,
        changes: bool = False,
        is_long: bool = False,
    ) -> T:
        """Do some work, or wait for that which is about the same; return its result.

        Work that ``changes`` the library ends what reading found before: nobody joins that any
        more. Results that nobody fetched are given to the next who asks if they are to be kept; so
        are errors. Raises :class:`StillRunning` after so many seconds, and
        :class:`LibraryBusyError` where too much goes on already; work that ``is_long`` is counted
        apart. If ``report`` raises and nobody else waits, the work stops at its next report.
        """
        with self._turn:
            run = self._current(about, keep)
            if run is None:
                run = self._runs[about] = self._new(changes, is_long)
                run.start(work, self._ended)
            run.callers.append(report)
        try:
            run.wait(report, seconds)
        except CancelledError:
            run.is_abandoned()  # is told before this caller goes
            raise
        finally:
            with self._turn:
                run.callers.remove(report)
        with self._turn:
            if self._runs.get(about) is run:
                del self._runs[about]
        result: T = run.result()
        return result

    def index(
        self,
        paths: Sequence[str],
        *,
        recursive: bool,
        force: bool,
        report: ProgressCallback,
        seconds: float,
    ) -> IndexReport:
        """Index, or wait for the run that does it already; return after so many seconds at most.

        A report that is not ``complete`` says in ``next_step`` how far the run is.
        """

        def work(run: Run[IndexReport]) -> IndexReport:
            return self._index(
                paths, recursive=recursive, force=force, report=run.note, begun=run.begin
            )

        about = "index", tuple(sorted(set(paths))), recursive, force
        try:
            # What was forced must not be forced anew by asking how it ended. Else there may be new
            # files since, and to look again costs one walk.
            return self.join(about, work, report, seconds, keep=force, changes=True, is_long=True)
        except StillRunning as still:
            step = (
                f"still under way ({still.run.latest.message}): it goes on by itself; call again "
                "with the same arguments to wait for the rest, or search what is there by now"
            )
            update = {"complete": False, "next_step": step}
            return still.run.so_far().model_copy(update=update)

    def stop(self) -> None:
        """Let all runs end at their next report; does not wait for that."""
        with self._turn:
            for run in self._active:
                run.stop()

    def end_long(self) -> None:
        """Stop those that won't end within the seconds that a server has left, and begin no more.

        Who asks for one gets :class:`CancelledError`.
        """
        with self._turn:
            self._ends = True
            for run in self._active:
                if run.is_long:
                    run.stop()

    def _current(self, about: Hashable, keep: bool) -> "Run[Any] | None":
        """Return the run to join, if there is one, and forget results that are of no use."""
        self._tidy()
        run = self._runs.get(about)
        if run is None or run.is_abandoned() or (run.ended_at is not None and not keep):
            return None
        is_up_to_date = run.began_at_change == self._changes
        is_changing = run.changes and run.ended_at is None
        return run if is_up_to_date or is_changing else None

    def _tidy(self) -> None:
        """Forget results that waited for too long, and the oldest of too many."""
        waiting = {
            about: run.ended_at
            for about, run in self._runs.items()
            if run.ended_at is not None and not run.callers
        }
        by_age = sorted(waiting, key=waiting.__getitem__, reverse=True)
        for number, about in enumerate(by_age):
            if number >= _KEPT or self._clock() - waiting[about] > _KEPT_SECONDS:
                del self._runs[about]

    def _new(self, changes: bool, is_long: bool) -> "Run[Any]":
        if is_long and self._ends:
            raise CancelledError("the server ends: what is done stays; call again to go on")
        most = _MOST_LONG if is_long else _MOST
        if sum(run.is_long == is_long for run in self._active) >= most:
            raise LibraryBusyError(
                f"{most} calls are under way: wait until one has ended, then call again"
            )
        run: Run[Any] = Run(changes, self._changes, is_long)
        self._active.add(run)
        return run

    def _ended(self, run: "Run[Any]") -> None:
        with self._turn:
            self._active.remove(run)
            run.ended_at = self._clock()
            if run.changes:
                self._changes += 1
                run.began_at_change = self._changes


class Run(Generic[T]):
    """One piece of work, in a thread of its own.

    ``latest`` is its last news, ``so_far`` says what an index run has done. ``began_at_change``
    counts the changes of the library that it saw, ``ended_at`` is the time of its end.
    """

    def __init__(
        self, changes: bool = False, began_at_change: int = 0, is_long: bool = False
    ) -> None:
        self.over = threading.Event()
        self.callers: list[ProgressCallback] = []
        self.latest = NO_NEWS
        self.so_far: SoFar = nothing_done
        self.changes = changes
        self.is_long = is_long
        self.began_at_change = began_at_change
        self.ended_at: float | None = None
        self._stopped = threading.Event()
        self._result: T | None = None
        self._error: BaseException | None = None

    def start(self, work: "Callable[[Run[T]], T]", ended: "Callable[[Run[T]], None]") -> None:
        """Begin; ``ended`` is called at the end, before anybody who waits goes on."""

        def run() -> None:
            try:
                self._result = work(self)
            except BaseException as error:  # whoever waits must hear of it
                self._error = error
            finally:
                ended(self)
                self.over.set()

        threading.Thread(target=copy_context().run, args=(run,), name="run").start()

    def wait(self, report: ProgressCallback, seconds: float) -> None:
        """Wait for the end, with progress. Raises :class:`StillRunning` after so many seconds."""
        until = time.monotonic() + seconds
        while not self.over.wait(max(0.0, min(_LOOK, until - time.monotonic()))):
            report(self.latest)
            if time.monotonic() >= until:
                raise StillRunning(self)

    def result(self) -> T:
        """Return what the work came to, or raise what it raised, once it is over."""
        if self._error is not None:
            raise self._error
        return cast("T", self._result)

    def stop(self) -> None:
        """Let the work end at its next report."""
        self._stopped.set()

    def is_abandoned(self) -> bool:
        """Say whether the work is to end: it was stopped, or all who wait for it gave up."""
        callers = list(self.callers)
        if callers and all(_gives_up(report, self.latest) for report in callers):
            self.stop()
        return self._stopped.is_set()

    def note(self, progress: Progress) -> None:
        """Take news of the work. Raises :class:`CancelledError` where it is to end."""
        self.latest = progress
        if self.is_abandoned():
            raise CancelledError("stopped: what is done stays; call again to go on from it")

    def begin(self, so_far: SoFar) -> None:
        """Take what says how far an index run is."""
        self.so_far = so_far


def _gives_up(report: ProgressCallback, progress: Progress) -> bool:
    try:
        report(progress)
    except CancelledError:
        return True
    return False


def nothing_done(total_images: int = 0) -> IndexReport:
    """Return the report of a run that has not begun to look for files."""
    return IndexReport(
        scanned=0,
        added=0,
        updated=0,
        moved=0,
        unchanged=0,
        removed=0,
        failed=0,
        encoded=0,
        from_cache=0,
        failures=[],
        seconds=0,
        total_images=total_images,
        complete=False,
        remaining=None,
    )
