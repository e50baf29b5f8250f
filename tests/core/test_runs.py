"""An index run outlives the call that began it, and the next call for the same waits for it."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mcp_vlsearch.core.progress import Progress, ProgressCallback, silent
from mcp_vlsearch.core.runs import Run, Runs, SoFar, StillRunning, nothing_done
from mcp_vlsearch.errors import CancelledError, LibraryBusyError, RootError
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


def test_at_the_end_of_a_server_long_runs_stop_and_no_other_begins(
    runs: Runs, index: Index, work: "Work"
) -> None:
    call(runs, seconds=0.01)
    runs.end_long()
    assert index.stopped.wait(PATIENCE)
    for paths in ((), ("/other",)):
        with pytest.raises(CancelledError, match="call again"):
            runs.index(paths, recursive=True, force=False, report=silent, seconds=PATIENCE)
    assert len(index.calls) == 1
    work.go_on.set()
    assert runs.join("a search", work, silent, PATIENCE) == "result 1"


class Clock:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Work:
    """Work that ends when the test lets it, and counts how often it began."""

    def __init__(self) -> None:
        self.began: list[Run[str]] = []
        self.go_on = threading.Event()
        self.error: Exception | None = None

    def __call__(self, run: Run[str]) -> str:
        self.began.append(run)
        while not self.go_on.wait(0.01):
            run.note(Progress(1, 2, "comparing 1 of 2"))
        if self.error is not None:
            raise self.error
        return f"result {len(self.began)}"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed(index: Index, clock: Clock) -> Iterator[Runs]:
    one = Runs(index, clock)
    yield one
    one.stop()


@pytest.fixture
def work() -> Iterator[Work]:
    one = Work()
    yield one
    one.go_on.set()


def leave(runs: Runs, work: Work, about: str = "copies", **given: Any) -> Run[str]:
    """Begin some work, do not wait for it, let it end, and return it."""
    work.go_on.clear()
    with pytest.raises(StillRunning, match="call again with the same arguments"):
        runs.join(about, work, silent, 0, **given)
    work.go_on.set()
    run = runs._runs[about]
    assert run.over.wait(PATIENCE)
    return run


def ask(runs: Runs, work: Work, about: str = "copies", **given: Any) -> str:
    return runs.join(about, work, silent, PATIENCE, **given)


def test_a_result_that_nobody_fetched_is_given_once(timed: Runs, work: Work) -> None:
    leave(timed, work)
    assert [ask(timed, work) for _ in range(2)] == ["result 1", "result 2"]


def test_so_is_an_error(timed: Runs, work: Work) -> None:
    work.error = RootError("no folder is allowed yet: give one")
    leave(timed, work)
    work.error = None
    with pytest.raises(RootError, match="give one"):
        ask(timed, work)
    assert ask(timed, work) == "result 2"


def test_a_result_waits_for_minutes_not_for_hours(timed: Runs, work: Work, clock: Clock) -> None:
    leave(timed, work)
    clock.now += 290
    assert ask(timed, work) == "result 1"
    leave(timed, work)
    clock.now += 310
    assert ask(timed, work) == "result 3"


def test_of_many_results_the_latest_wait(timed: Runs, clock: Clock) -> None:
    for number in range(20):
        clock.now = number
        leave(timed, Work(), str(number))
    ask(timed, done_work(), "other")
    assert sorted(map(str, timed._runs)) == sorted(map(str, range(4, 20)))


def done_work() -> Work:
    work = Work()
    work.go_on.set()
    return work


def test_what_was_read_before_a_change_is_read_again(timed: Runs, work: Work) -> None:
    leave(timed, work)
    ask(timed, done_work(), "removing", changes=True)
    assert ask(timed, work) == "result 2"


def test_a_change_is_told_by_its_own_result_and_not_made_again_unless_another_came(
    timed: Runs, work: Work
) -> None:
    leave(timed, work, "removing", changes=True)
    assert ask(timed, work, "removing", changes=True) == "result 1"
    leave(timed, work, "removing", changes=True)
    ask(timed, done_work(), "indexing", changes=True)
    assert ask(timed, work, "removing", changes=True) == "result 3"


def test_work_that_was_replaced_is_stopped_at_the_end_too(timed: Runs, work: Work) -> None:
    with pytest.raises(StillRunning):
        timed.join("copies", work, silent, 0)
    ask(timed, done_work(), "removing", changes=True)
    with pytest.raises(StillRunning):
        timed.join("copies", work, silent, 0)
    timed.stop()
    for run in work.began:
        assert run.over.wait(PATIENCE)


def test_work_without_bounds_is_refused(timed: Runs, work: Work) -> None:
    for number in range(64):
        with pytest.raises(StillRunning):
            timed.join(number, work, silent, 0)
    with pytest.raises(LibraryBusyError, match="wait until one has ended"):
        timed.join("one more", work, silent, 0)


def test_long_work_without_bounds_is_refused_and_what_is_soon_done_is_not(
    timed: Runs, work: Work
) -> None:
    for number in range(32):
        with pytest.raises(StillRunning):
            timed.join(number, work, silent, 0, is_long=True)
    with pytest.raises(LibraryBusyError, match="32 calls are under way"):
        timed.join("one more", work, silent, 0, is_long=True)
    assert ask(timed, done_work(), "a search") == "result 1"
