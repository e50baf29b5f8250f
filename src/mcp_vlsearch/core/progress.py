"""How long work tells its caller where it stands, and how the caller stops it."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

__all__ = ["NO_NEWS", "Meter", "Progress", "ProgressCallback", "silent"]


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` files (None while it is unknown), and a line for people."""

    done: int
    total: int | None
    message: str


NO_NEWS: Final = Progress(0, None, "working")
"""What stands for the first news until it comes."""

_RECENT: Final = 50
"""Reports that the rate is taken over."""

ProgressCallback = Callable[[Progress], None]
"""Called at least every few seconds. It may raise :class:`CancelledError` to stop the work between
batches; what is finished stays."""


def silent(progress: Progress) -> None:
    """Report to nobody."""


class Meter:
    """Counts finished work and reports it with rate and time left.

    The rate is that of the latest reports: what went before (loading a model, files that came from
    the cache) says nothing about the rest.
    """

    def __init__(self, report: ProgressCallback, total: int, verb: str) -> None:
        self._report = report
        self._total = total
        self._verb = verb
        self._done = 0
        self._recent: deque[tuple[float, int]] = deque(maxlen=_RECENT)

    def advance(self, count: int = 1) -> None:
        """Count finished work and report."""
        self._done += count
        self._recent.append((time.monotonic(), self._done))
        self.report()

    def report(self) -> None:
        """Report where the work stands."""
        self._report(Progress(self._done, self._total, self._message()))

    def _message(self) -> str:
        text = f"{self._verb} {self._done} of {self._total}"
        if len(self._recent) < 2:
            return text
        (began, before), (now, done) = self._recent[0], self._recent[-1]
        if done == before:  # one file with many images
            return text
        rate = (done - before) / max(now - began, 1e-3)
        left = (self._total - self._done) / rate
        return f"{text}, {rate:.1f}/s, {_duration(left)} left"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
