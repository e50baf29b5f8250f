"""Whether a process grows: what it holds, again and again, and a straight line through that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks._processes import memory

__all__ = ["Sample", "Trend", "sample", "trend"]

_HOUR: Final = 3600.0


@dataclass(frozen=True)
class Sample:
    """What a process holds ``at`` so many seconds: MiB, threads, open file descriptors."""

    at: float
    rss: float
    own: float
    threads: int
    descriptors: int


@dataclass(frozen=True)
class Trend:
    """The mean of a figure, how fast it rises an hour, and the standard error of that.

    The error is infinite where the figures hang together so much that they tell nothing.
    """

    mean: float
    slope: float
    error: float

    @property
    def verdict(self) -> str:
        """What can be said with 95 % of confidence."""
        if abs(self.slope) <= 2 * self.error:
            return "no trend"
        return "rises" if self.slope > 0 else "falls"


def sample(process: int, at: float) -> Sample:
    """Look at a process. Raises OSError if there is none."""
    held, kernel = memory(process), Path(f"/proc/{process}")
    threads, descriptors = (
        sum(1 for _ in (kernel / name).iterdir())  # read one by one: none is opened
        for name in ("task", "fd")
    )
    return Sample(at, held.rss, held.own, threads, descriptors)


def trend(seconds: Sequence[float], figures: Sequence[float]) -> Trend:
    """Fit a straight line through at least three figures by least squares.

    Figures that follow each other are alike, so there are fewer independent ones than there are:
    n (1 - r) / (1 + r) of n, where r is the correlation of each residual with the next. The error
    is made larger accordingly (Santer et al. 2000, Journal of Geophysical Research 105, 7337).
    """
    if len(figures) < 3:
        raise ValueError("a trend needs at least three figures")
    x, y = np.asarray(seconds, float), np.asarray(figures, float)
    x = x - x.mean()
    slope = float(x @ y / (x @ x))
    residuals = y - y.mean() - slope * x
    squares = float(residuals @ residuals)
    if squares <= 1e-18 * float(y @ y):  # a line, but for rounding
        return Trend(float(y.mean()), slope * _HOUR, 0.0)
    alike = max(0.0, float(residuals[:-1] @ residuals[1:]) / squares)
    independent = len(y) * (1 - alike) / (1 + alike)
    if independent <= 2:
        return Trend(float(y.mean()), slope * _HOUR, math.inf)
    error = math.sqrt(squares / (independent - 2) / float(x @ x))
    return Trend(float(y.mean()), slope * _HOUR, error * _HOUR)
