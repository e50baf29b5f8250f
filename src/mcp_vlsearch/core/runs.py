"""Index runs that outlive the call that began them.

Whoever calls gets the report if the run ends in time, and else what is done so far. The run goes
on, and the next call for the same waits for it.
"""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

from mcp_vlsearch.core.progress import Progress, ProgressCallback
from mcp_vlsearch.errors import CancelledError
from mcp_vlsearch.types import IndexReport

__all__ = ["Index", "Runs", "SoFar", "nothing_done"]

SoFar = Callable[[], IndexReport]
"""Says what a run has done by now; from any thread."""

_LOOK: Final = 0.1
"""Seconds between two looks at a run that is waited for."""


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


class Runs:
    """The runs of a library that are under way, by what they are about."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._turn = threading.Lock()
        self._runs: dict[object, _Run] = {}

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

        A report that is not ``complete`` says in ``next_step`` how far the run is. If ``report``
        raises and nobody else waits, the run stops after the batch in flight.
        """
        key = tuple(sorted(set(paths))), recursive, force
        with self._turn:
            run = self._runs.get(key)
            # What was forced must not be forced anew by asking how it ended.
            if run is None or (run.over.is_set() and not force) or run.is_abandoned():
                run = self._runs[key] = _Run(self._index, paths, recursive, force)
            run.callers.append(report)
        try:
            return run.wait(report, seconds)
        except CancelledError:
            run.is_abandoned()  # is told before this caller goes
            raise
        finally:
            with self._turn:
                run.callers.remove(report)
                if run.over.is_set() and self._runs.get(key) is run:
                    del self._runs[key]

    def stop(self) -> None:
        """Let all runs end after the batch in flight; does not wait for that."""
        with self._turn:
            for run in self._runs.values():
                run.stop()


class _Run:
    """One run, in a thread of its own."""

    def __init__(self, index: Index, paths: Sequence[str], recursive: bool, force: bool) -> None:
        self.over = threading.Event()
        self.callers: list[ProgressCallback] = []
        self._stopped = threading.Event()
        self._latest = Progress(0, None, "beginning")
        self._so_far: SoFar = nothing_done
        self._report: IndexReport | None = None
        self._error: BaseException | None = None

        def work() -> None:
            try:
                self._report = index(
                    paths, recursive=recursive, force=force, report=self._note, begun=self._begin
                )
            except BaseException as error:  # whoever waits must hear of it
                self._error = error
            finally:
                self.over.set()

        threading.Thread(target=work, name="index run").start()

    def wait(self, report: ProgressCallback, seconds: float) -> IndexReport:
        """Wait for the end, with progress; return how far the run is after so many seconds."""
        until = time.monotonic() + seconds
        while not self.over.wait(_LOOK):
            report(self._latest)
            if time.monotonic() >= until:
                step = (
                    f"still under way ({self._latest.message}): it goes on by itself; call again "
                    "with the same arguments to wait for the rest, or search what is there by now"
                )
                return self._so_far().model_copy(update={"complete": False, "next_step": step})
        if self._error is not None:
            raise self._error
        assert self._report is not None
        return self._report

    def stop(self) -> None:
        """Let the run end after the batch in flight."""
        self._stopped.set()

    def is_abandoned(self) -> bool:
        """Say whether the run is to end: it was stopped, or all who wait for it gave up."""
        callers = list(self.callers)
        if callers and all(_gives_up(report, self._latest) for report in callers):
            self.stop()
        return self._stopped.is_set()

    def _note(self, progress: Progress) -> None:
        self._latest = progress
        if self.is_abandoned():
            raise CancelledError("stopped: what is done stays; call again to go on from it")

    def _begin(self, so_far: SoFar) -> None:
        self._so_far = so_far


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
