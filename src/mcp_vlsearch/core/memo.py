"""An answer of the database, remembered as long as nothing is written."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Memo"]

T = TypeVar("T")


class Memo(Generic[T]):
    """Asks once for each version; not to be used in a transaction that writes.

    ``version`` returns a number that changes with every commit, ``ask`` reads what is committed.
    """

    def __init__(self, version: Callable[[], int], ask: Callable[[], T]) -> None:
        self._version = version
        self._ask = ask
        self._known: tuple[int, T] | None = None
        self._turn = threading.Lock()

    def __call__(self) -> T:
        """Return the answer, no older than the call."""
        with self._turn:
            version = self._version()  # first: what is asked then is no older
            if self._known is None or self._known[0] != version:
                self._known = version, self._ask()
            return self._known[1]
