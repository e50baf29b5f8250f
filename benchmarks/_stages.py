"""Where the time goes in our encoder: preparing pictures, the vision tower, the text layers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Final
from unittest import mock

from benchmarks._machine import synchronise
from mcp_vlsearch.encoders.qwen3_vl.fast import FastForward
from mcp_vlsearch.encoders.qwen3_vl.vision import VisionTower

__all__ = ["STAGES", "stage_seconds"]

STAGES: Final = ("prepare", "vision", "text")


def stage_seconds(work: Callable[[], object], device: str) -> dict[str, float]:
    """Return the seconds of each stage while the work encodes pictures.

    Waits for the device after each stage, so that they add up to more than the work takes alone.
    """
    with _stopwatch(FastForward, device) as forward, _stopwatch(VisionTower, device) as vision:
        started = time.perf_counter()
        work()
        total = time.perf_counter() - started
    seconds = total - sum(forward), sum(vision), sum(forward) - sum(vision)
    return dict(zip(STAGES, seconds, strict=True))


@contextmanager
def _stopwatch(kind: type, device: str) -> Iterator[list[float]]:
    """Yield a list that gets the seconds of each call of the class's objects."""
    seconds: list[float] = []
    call = kind.__call__

    @wraps(call)
    def timed(*given: Any) -> Any:
        synchronise(device)
        started = time.perf_counter()
        result = call(*given)
        synchronise(device)
        seconds.append(time.perf_counter() - started)
        return result

    with mock.patch.object(kind, "__call__", timed):
        yield seconds
