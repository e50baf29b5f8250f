"""Ways to do one thing, each in a process of its own, timed in turn.

A machine drifts: it gets hot, other work comes and goes. So every round runs all ways once, and a
way's figure is its median over the rounds.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import suppress
from statistics import median
from typing import Any

from benchmarks._machine import forget_peak, peak_memory, synchronise
from benchmarks._tables import progress

__all__ = ["Column", "Way", "rounds", "seconds_of", "spawned"]

Way = Callable[[Any], Callable[[], Any]]
"""From a task to work that does it; what comes before the work is not timed."""

_ways: dict[str, Way] = {}
"""Of this process."""


def spawned() -> Executor:
    """Return a process of its own, which shares no memory with this one."""
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


class Column:
    """One way, which ``make`` makes; it begins at once and elsewhere."""

    def __init__(
        self,
        name: str,
        make: Callable[[], Way],
        device: str = "cpu",
        start: Callable[[], Executor] = spawned,
    ) -> None:
        self.name = name
        self.seconds: dict[Any, list[float]] = {}
        self._device = device
        self._there = start()
        self._made: Future[None] = self._there.submit(_make, name, make, device)

    def ready(self) -> None:
        """Wait until the way is made. Raises what its making raised."""
        self._made.result()
        progress(f"{self.name}: ready")

    def run(self, task: Any) -> Any:
        """Do a task and note how long it took; return its result."""
        seconds, result = self._there.submit(_timed, self.name, task, self._device).result()
        self.seconds.setdefault(task, []).append(seconds)
        return result

    def median(self, task: Any) -> float:
        """Return the median of a task's seconds."""
        return median(self.seconds[task])

    def memory(self) -> float:
        """Return the peak in MiB since the way was made."""
        return self._there.submit(peak_memory, self._device).result()

    def close(self) -> None:
        """End the process."""
        self._there.shutdown()


def rounds(runs: int, until: float) -> Iterator[int]:
    """Yield 1, 2 … up to ``runs``, but no round that would likely end after ``until``.

    ``until`` is a time of :func:`time.monotonic`. The first round comes in any case.
    """
    longest = 0.0
    for number in range(1, runs + 1):
        started = time.monotonic()
        if longest and started + longest > until:
            progress(f"time is up after {number - 1} of {runs} rounds")
            return
        progress(f"round {number} of {runs}")
        yield number
        longest = max(longest, time.monotonic() - started)


def seconds_of(columns: Mapping[str, Column]) -> dict[str, dict[str, list[float]]]:
    """Return what every column noted, by name and task."""
    return {
        name: {str(task): seconds for task, seconds in column.seconds.items()}
        for name, column in columns.items()
    }


def _make(name: str, make: Callable[[], Way], device: str) -> None:
    _ways[name] = make()
    with suppress(OSError):  # some sandboxes don't let a process forget its peak
        forget_peak(device)


def _timed(name: str, task: Any, device: str) -> tuple[float, Any]:
    work = _ways[name](task)
    synchronise(device)
    started = time.perf_counter()
    result = work()
    synchronise(device)
    return time.perf_counter() - started, result
