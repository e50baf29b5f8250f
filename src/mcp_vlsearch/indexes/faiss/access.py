"""Who may use an index at the same time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Access"]


class Access:
    """Many readers or one writer; a waiting writer goes before new readers."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self._writers = 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Read beside other readers."""
        with self._changed:
            self._changed.wait_for(lambda: not self._writers)
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Change something, with no reader and no other writer meanwhile."""
        with self._changed:
            self._writers += 1
            self._changed.wait_for(lambda: not self._readers)
            try:
                yield
            finally:
                self._writers -= 1
                self._changed.notify_all()
