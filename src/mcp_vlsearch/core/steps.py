"""How long the steps of a call take, for whoever asked to be told before making the call."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

__all__ = ["recorded", "step"]

_CURRENT: Final[ContextVar[dict[str, float] | None]] = ContextVar("steps", default=None)


@contextmanager
def recorded() -> Iterator[dict[str, float]]:
    """Give what will hold the seconds by step of what the block does, in threads it starts, too.

    Work that another call began is not among it.
    """
    seconds: dict[str, float] = {}
    former = _CURRENT.set(seconds)
    try:
        yield seconds
    finally:
        _CURRENT.reset(former)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Count the block's time as a step's, if anybody asked."""
    seconds = _CURRENT.get()
    began = time.perf_counter()
    try:
        yield
    finally:
        if seconds is not None:
            seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - began
