"""Where the time of an indexing run goes: a stopwatch for every stage, shared by all threads."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, get_args

from mcp_vlsearch.core.steps import step
from mcp_vlsearch.types import Profile, StageName, StageTime

__all__ = ["Stages"]

_NAMES: Final[tuple[StageName, ...]] = get_args(StageName)
_IN_TURN: Final[tuple[StageName, ...]] = ("scanning", "loading", "waiting", "encoding", "writing")
"""Stages of the thread that drives the encoder, which is in one of them at a time."""
_AHEAD: Final[tuple[StageName, ...]] = ("reading", "decoding", "preparing")
"""Stages of the threads that work ahead of it: what it waits for."""
_ADVICE: Final[Mapping[StageName, str]] = {
    "scanning": "a faster disk would help",
    "loading": "it is done once a run, so it matters less the more pictures there are",
    "reading": "a faster disk or network would help",
    "decoding": "more processor cores, or smaller files, would help",
    "preparing": "more processor cores would help",
    "encoding": "a faster device, or a smaller --max-pixels, would help",
    "writing": "a faster disk for the library would help",
}


class Stages:
    """Measures a run: ``with stages("decoding"): ...`` adds to the time of a stage.

    Any number of threads may be in any stage at once. One costs microseconds, so runs are always
    measured; :meth:`profile` can be asked at any time, also after a run that was stopped.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """Start at zero; ``clock`` tells seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._seconds = dict.fromkeys(_NAMES, 0.0)
        self._threads: dict[StageName, set[int]] = {name: set() for name in _NAMES}
        self._began, self._ended = float("inf"), float("-inf")

    @contextmanager
    def __call__(self, name: StageName) -> Iterator[None]:
        """Count the block's time as a stage's."""
        began = self._clock()
        try:
            with step(name):
                yield
        finally:
            ended = self._clock()
            with self._lock:
                self._seconds[name] += ended - began
                self._threads[name].add(threading.get_ident())
                self._began = min(self._began, began)
                self._ended = max(self._ended, ended)

    def profile(self) -> Profile:
        """Return the time of every stage that there was, and which of them limits."""
        with self._lock:
            seconds = dict(self._seconds)
            threads = {name: len(idents) for name, idents in self._threads.items() if idents}
            whole = max(self._ended - self._began, 0.0)
        indexing = seconds["waiting"] + seconds["encoding"] + seconds["writing"]
        busy, waited = (_share(seconds[name], indexing) for name in ("encoding", "waiting"))
        return Profile(
            seconds=whole,
            stages=[
                StageTime(
                    name=name,
                    seconds=seconds[name],
                    threads=count,
                    share=_share(seconds[name], count * whole),
                )
                for name, count in threads.items()
            ],
            encoder_busy=busy,
            encoder_waited=waited,
            limit=_limit(seconds, busy, waited),
        )


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _limit(seconds: Mapping[StageName, float], busy: float, waited: float) -> str:
    """Return one line for the user: what the run spent most of its time on, and what would help."""
    longest = max(_IN_TURN, key=lambda name: seconds[name])
    if longest == "encoding":
        return f"the encoder is busy {busy:.0%} of the time: {_ADVICE[longest]}"
    if longest == "waiting":
        slowest = max(_AHEAD, key=lambda name: seconds[name])
        return f"{slowest} limits, the encoder waits {waited:.0%} of the time: {_ADVICE[slowest]}"
    return f"{longest} limits: {_ADVICE[longest]}"
