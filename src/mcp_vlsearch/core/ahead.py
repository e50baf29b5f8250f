"""Work done ahead by threads, bounded in number and in size, with results in order."""

import math
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

__all__ = ["ahead"]

T = TypeVar("T")
R = TypeVar("R")


def ahead(
    pool: ThreadPoolExecutor,
    function: Callable[[T], R],
    items: Iterable[T],
    window: int,
    size: Callable[[R], int],
    budget: int,
) -> Generator[R]:
    """Yield ``function(item)`` for each item in order, with at most ``window`` under way.

    While results of ``budget`` in all, by ``size(result)``, wait to be taken, no item is begun but
    the one that is to be taken next. So they exceed the budget by one result per thread at most.
    To be closed before the pool is left, or threads that wait for room would keep it.
    """
    room = _Room(budget)

    def work(number: int, item: T) -> R:
        room.wait(number)
        result = function(item)
        room.fill(size(result))
        return result

    source = enumerate(items)
    waiting: deque[Future[R]] = deque(pool.submit(work, n, i) for n, i in islice(source, window))
    try:
        while waiting:
            result = waiting.popleft().result()
            room.take(size(result))
            waiting.extend(pool.submit(work, n, i) for n, i in islice(source, 1))
            yield result
    finally:
        for future in waiting:
            future.cancel()
        room.open()


class _Room:
    """What is left of the budget.

    A pool begins items in their order, so the one that is to be taken next is never behind one that
    waits here.
    """

    def __init__(self, budget: float) -> None:
        self._changed = threading.Condition()
        self._left = budget
        self._next = 0

    def wait(self, number: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._left > 0 or number == self._next)

    def fill(self, size: int) -> None:
        with self._changed:
            self._left -= size

    def take(self, size: int) -> None:
        with self._changed:
            self._left += size
            self._next += 1
            self._changed.notify_all()

    def open(self) -> None:
        """Let everybody go on: nobody takes anything any more."""
        with self._changed:
            self._left = math.inf
            self._changed.notify_all()
