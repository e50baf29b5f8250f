"""A profile says where the time of a run went, and what limits it."""

import threading
from collections.abc import Mapping

import pytest

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.progress import Progress
from mcp_vlsearch.core.stages import Stages
from mcp_vlsearch.errors import CancelledError
from mcp_vlsearch.types import StageName


class Clock:
    """Tells each thread a time of its own, which moves by what the test says."""

    def __init__(self) -> None:
        self._local = threading.local()

    def __call__(self) -> float:
        return float(getattr(self._local, "now", 0))

    def pass_by(self, seconds: float) -> None:
        self._local.now = self() + seconds


def spent(times: Mapping[StageName, float]) -> Stages:
    """Return stages that took so many seconds each, one after another."""
    clock = Clock()
    stages = Stages(clock)
    for name, seconds in times.items():
        with stages(name):
            clock.pass_by(seconds)
    return stages


def test_seconds_are_summed_over_all_threads_and_visits_of_a_stage() -> None:
    clock = Clock()
    stages = Stages(clock)
    together = threading.Barrier(4)

    def work() -> None:
        together.wait()  # so that each has an identity of its own
        for _ in range(1000):
            with stages("decoding"):
                clock.pass_by(1)
        together.wait()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (decoding,) = stages.profile().stages
    assert (decoding.name, decoding.seconds, decoding.threads) == ("decoding", 4000, 4)
    assert (stages.profile().seconds, decoding.share) == (1000, 1)


def test_shares_are_of_the_threads_time_and_the_encoders_of_its_own() -> None:
    times: dict[StageName, float] = {
        "scanning": 10, "loading": 30, "reading": 8, "waiting": 6, "encoding": 45, "writing": 9,
    }  # fmt: skip
    profile = spent(times).profile()
    assert profile.seconds == 108
    assert {stage.name: stage.seconds for stage in profile.stages} == times
    assert {stage.name: stage.share for stage in profile.stages} == pytest.approx(
        {name: seconds / 108 for name, seconds in times.items()}
    )
    assert profile.encoder_busy == pytest.approx(45 / 60)
    assert profile.encoder_waited == pytest.approx(6 / 60)


def test_time_counts_also_where_a_stage_fails() -> None:
    clock = Clock()
    stages = Stages(clock)

    def fail() -> None:
        with stages("decoding"):
            clock.pass_by(2)
            raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        fail()
    assert stages.profile().stages[0].seconds == 2


def test_a_stage_that_never_was_is_not_listed() -> None:
    assert [stage.name for stage in spent({"writing": 1}).profile().stages] == ["writing"]
    assert Stages().profile().stages == []


@pytest.mark.parametrize(
    ("times", "limit"),
    [
        ({"waiting": 5, "encoding": 93, "writing": 2}, "the encoder is busy 93% of the time: "),
        (
            {"decoding": 90, "reading": 70, "preparing": 9, "waiting": 60, "encoding": 40},
            "decoding limits, the encoder waits 60% of the time: ",
        ),
        ({"reading": 3, "decoding": 2, "waiting": 3}, "reading limits, the encoder waits 100% "),
        ({"preparing": 3, "decoding": 2, "waiting": 3, "encoding": 1}, "preparing limits, "),
        ({"scanning": 9, "waiting": 3, "encoding": 4, "writing": 3}, "scanning limits: "),
        ({"loading": 9, "encoding": 4}, "loading limits: "),
        ({"writing": 9, "encoding": 4, "waiting": 4}, "writing limits: "),
    ],
    ids=lambda value: value.split()[0] if isinstance(value, str) else "",
)
def test_what_took_longest_of_what_comes_in_turn_is_said_to_limit(
    times: dict[StageName, float], limit: str
) -> None:
    said = spent(times).profile().limit
    assert said.startswith(limit)
    assert "\n" not in said


def test_a_run_has_every_stage_and_takes_as_long_as_those_in_turn(library: Library) -> None:
    stages = Stages()
    library.index(stages=stages)
    profile = stages.profile()
    found = {stage.name: stage for stage in profile.stages}
    ahead: list[StageName] = ["reading", "decoding", "preparing"]
    in_turn: list[StageName] = ["scanning", "loading", "waiting", "encoding", "writing"]
    assert sorted(found) == sorted([*ahead, *in_turn])
    assert all(found[name].threads == 1 for name in in_turn)
    assert 0 < sum(found[name].seconds for name in in_turn) <= profile.seconds
    assert 0 < profile.encoder_busy < 1


def test_a_run_with_nothing_new_reads_and_encodes_nothing(library: Library) -> None:
    library.index()
    stages = Stages()
    library.index(stages=stages)
    profile = stages.profile()
    assert {stage.name for stage in profile.stages} == {"loading", "scanning", "writing"}
    assert (profile.encoder_busy, profile.encoder_waited) == (0, 0)


def test_a_run_that_is_stopped_has_a_profile_of_what_was_done(library: Library) -> None:
    def stop(progress: Progress) -> None:
        if progress.total and progress.done >= 4:
            raise CancelledError("stopped")

    stages = Stages()
    with pytest.raises(CancelledError):
        library.index(report=stop, stages=stages)
    assert "encoding" in {stage.name for stage in stages.profile().stages}
