"""An index run outlives the call that began it, and the next call for the same waits for it."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mcp_vlsearch.core.progress import Progress, ProgressCallback, silent
from mcp_vlsearch.core.runs import Runs, SoFar, nothing_done
from mcp_vlsearch.errors import CancelledError, RootError
from mcp_vlsearch.types import IndexReport

PATIENCE = 30
DONE = nothing_done().model_copy(update={"added": 5, "complete": True, "remaining": 0})


class Index:
    """Stands in for ``Library.index``: does nothing until the test lets it go on."""

    def __init__(self) -> None:
        self.calls: list[tuple[tuple[str, ...], bool, bool]] = []
        self.entered = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.stopped = threading.Event()
        self.error: Exception | None = None

    def __call__(
        self,
        paths: Any = (),
        *,
        recursive: bool = True,
        force: bool = False,
        report: ProgressCallback = silent,
        begun: Callable[[SoFar], None] = lambda _: None,
    ) -> IndexReport:
        self.calls.append((tuple(paths), recursive, force))
        begun(lambda: nothing_done().model_copy(update={"added": 2, "remaining": 3}))
        self.entered.release()
        try:
            while not self.go_on.wait(0.01):
                report(Progress(2, 5, "indexing 2 of 5"))
        except CancelledError:
            self.stopped.set()
            raise
        if self.error:
            raise self.error
        return DONE


@pytest.fixture
def index() -> Iterator[Index]:
    one = Index()
    yield one
    one.go_on.set()


@pytest.fixture
def runs(index: Index) -> Iterator[Runs]:
    one = Runs(index)
    yield one
    one.stop()


def call(runs: Runs, *, seconds: float = PATIENCE, report: Any = silent, **other: Any) -> Any:
    given = {"recursive": True, "force": False, **other}
    return runs.index(["/photos"], report=report, seconds=seconds, **given)


def test_a_short_run_is_reported_whole(runs: Runs, index: Index) -> None:
    index.go_on.set()
    assert call(runs) == DONE
    assert index.calls == [(("/photos",), True, False)]


def test_a_long_run_goes_on_and_the_next_call_waits_for_it(runs: Runs, index: Index) -> None:
    first = call(runs, seconds=0.05)
    assert (first.complete, first.added, first.remaining) == (False, 2, 3)
    assert "indexing 2 of 5" in first.next_step
    assert "call again" in first.next_step
    index.go_on.set()
    assert call(runs).complete
    assert call(runs) == DONE
    assert len(index.calls) in (2, 3), "the first run went on, and the last call began another"


def test_two_calls_at_a_time_share_a_run_and_the_progress(runs: Runs, index: Index) -> None:
    said: list[Progress] = []
    answers: list[IndexReport] = []
    threads = [
        threading.Thread(target=lambda: answers.append(call(runs, report=said.append)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    assert index.entered.acquire(timeout=PATIENCE)
    while not said:
        index.go_on.wait(0.01)
    index.go_on.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(answers) == 2
    assert all(answer.complete for answer in answers)


def test_other_arguments_begin_another_run(runs: Runs, index: Index) -> None:
    call(runs, seconds=0.01)
    call(runs, seconds=0.01, force=True)
    call(runs, seconds=0.01, recursive=False)
    assert len(set(index.calls)) == 3


def test_what_was_forced_is_not_forced_anew_by_asking_how_it_ended(
    runs: Runs, index: Index
) -> None:
    call(runs, seconds=0.01, force=True)
    index.go_on.set()
    assert call(runs, force=True) == DONE
    assert len(index.calls) == 1
    assert call(runs, force=True) == DONE
    assert len(index.calls) == 2


def test_a_cancelled_call_stops_its_run_and_the_next_one_begins_anew(
    runs: Runs, index: Index
) -> None:
    def cancel(_: Progress) -> None:
        raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        call(runs, report=cancel)
    assert index.stopped.wait(PATIENCE)
    index.go_on.set()
    assert call(runs) == DONE
    assert len(index.calls) == 2


def test_a_run_that_fails_fails_its_call(runs: Runs, index: Index) -> None:
    index.error = RootError("no folder is allowed yet: give one")
    index.go_on.set()
    with pytest.raises(RootError, match="give one"):
        call(runs)


def test_at_the_end_all_runs_stop(runs: Runs, index: Index) -> None:
    call(runs, seconds=0.01)
    runs.stop()
    assert index.stopped.wait(PATIENCE)
