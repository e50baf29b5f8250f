"""Ways are timed in turn, in processes of their own, and their figures end up in tables."""

import json
import sys
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import pytest

from benchmarks import _columns
from benchmarks._columns import Column, Way, rounds, seconds_of
from benchmarks._machine import describe
from benchmarks._tables import Table, save

MIB = 2**20


class Clock:
    """Stands in for the time module; every round takes ``step`` seconds."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("until", "expected"), [(1000, [1, 2, 3, 4, 5]), (25, [1, 2]), (30, [1, 2, 3]), (0, [1])]
)
def test_no_round_begins_that_would_end_too_late(
    monkeypatch: pytest.MonkeyPatch, until: float, expected: list[int]
) -> None:
    clock = Clock(10)
    monkeypatch.setattr(_columns, "time", clock)
    done = []
    for number in rounds(5, until):
        done.append(number)
        clock.now += clock.step
    assert done == expected


def counting() -> Way:
    return lambda task: lambda: task + 1


def test_a_column_gives_the_result_and_notes_seconds_by_task(
    here: Callable[[], Executor],
) -> None:
    column = Column("counting", counting, start=here)
    assert [column.run(task) for task in (1, 5, 1)] == [2, 6, 2]
    column.close()
    assert {task: len(seconds) for task, seconds in column.seconds.items()} == {1: 2, 5: 1}
    column.seconds = {1: [3.0, 1.0, 100.0]}
    assert column.median(1) == 3
    assert seconds_of({"counting": column}) == {"counting": {"1": [3.0, 1.0, 100.0]}}


def failing() -> Way:
    raise ValueError("no weights")


def test_what_making_a_way_raises_is_raised_when_it_should_be_ready(
    here: Callable[[], Executor],
) -> None:
    column = Column("failing", failing, start=here)
    with pytest.raises(ValueError, match="no weights"):
        column.ready()
    column.close()


def allocating() -> Way:
    np.ones(400 * MIB, np.uint8)  # what is gone when the work begins does not count
    return lambda mib: lambda: int(np.ones(mib * MIB, np.uint8)[-1])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no peak can be forgotten")
def test_memory_is_the_peak_of_the_work_in_its_own_process() -> None:
    ballast = np.ones(400 * MIB, np.uint8)
    column = Column("allocating", allocating)
    column.ready()
    before = column.memory()
    column.run(200)
    after = column.memory()
    column.close()
    assert ballast.any()
    assert before < 300
    assert 190 < after - before < 230


def test_results_are_written_for_programs_and_for_people(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = Table("Speed", {"way": "", "a/s": ".1f"}, [["slow", 1.25], ["gone", None]], ["A note."])
    out = tmp_path / "results" / "speed.json"
    save(out, [table], {"cpu": "fast"}, {"images": 3, "out": out}, rates=[1])
    data = json.loads(out.read_text())
    assert data == {
        "machine": {"cpu": "fast"},
        "options": {"images": 3},
        "tables": [
            {
                "title": "Speed",
                "rows": [{"way": "slow", "a/s": 1.25}, {"way": "gone", "a/s": None}],
                "notes": ["A note."],
            }
        ],
        "rates": [1],
    }
    text = out.with_suffix(".md").read_text()
    rows = [line.strip("| ").split() for line in text.splitlines() if line.startswith("|")]
    assert rows[0] == ["way", "|", "a/s"]
    assert rows[2:] == [["slow", "|", "1.2"], ["gone", "|", "-"]]
    assert "A note." in text
    assert "cpu fast" in text
    assert str(tmp_path) not in text
    assert "slow" in capsys.readouterr().out


def test_a_machine_is_described_by_what_makes_it_fast() -> None:
    machine = describe(threads=3)
    assert machine["threads"] == 3
    assert machine["cores"] >= 1
    assert {"date", "cpu", "memory_gib", "torch", "transformers"} <= machine.keys()
