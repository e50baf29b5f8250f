"""Work done ahead by threads, bounded, with results in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from itertools import islice
from typing import TypeVar

__all__ = ["ahead"]

T = TypeVar("T")
R = TypeVar("R")


def ahead(
    pool: Executor, function: Callable[[T], R], items: Iterable[T], window: int
) -> Iterator[R]:
    """Yield ``function(item)`` for each item in order, with at most ``window`` under way."""
    source = iter(items)
    waiting: deque[Future[R]] = deque(pool.submit(function, i) for i in islice(source, window))
    try:
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(function, i) for i in islice(source, 1))
            yield result
    finally:
        for future in waiting:
            future.cancel()
