"""Files and folders that something happens to, until nothing does any more."""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

__all__ = ["Settling"]

Signature = tuple[int, int, int] | None
"""Inode, size in bytes and mtime in nanoseconds; None for what is not there."""


@dataclass
class _Waiting:
    since: float
    changed: float
    signature: Signature
    rests: bool = False


class Settling:
    """Holds paths back until they have been as they are for ``quiet`` seconds.

    Whoever copies a large picture writes it in many steps, and not every file system tells of each:
    so size and time of the last change are compared, too. What is not there is held back twice as
    long: it may have moved, and is best looked at together with its new place. What never comes to
    rest is given after ``at_most`` seconds. ``clock`` is in seconds.
    """

    def __init__(
        self, quiet: float, at_most: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._quiet = quiet
        self._at_most = at_most
        self._clock = clock
        self._waiting: dict[str, _Waiting] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, path: str, *, rests: bool = False) -> None:
        """Wait for a path, or begin anew, for something has happened to it.

        It need not be waited for if it is known to be at rest.
        """
        now = self._clock()
        since = self._waiting[path].since if path in self._waiting else now
        self._waiting[path] = _Waiting(since, now, _signature(path), rests)

    def touch(self, folders: Iterable[str]) -> None:
        """Begin anew with those of the folders that are waited for: something happens in them."""
        for folder in folders:
            if folder in self._waiting:
                self._waiting[folder].changed = self._clock()

    def ready(self) -> list[str]:
        """Return the paths that are at rest, what is not there last; they stay until dropped."""
        now = self._clock()
        ready = [path for path, one in self._waiting.items() if self._is_ready(path, one, now)]
        return sorted(ready, key=lambda path: (self._waiting[path].signature is None, path))

    def drop(self, paths: Iterable[str]) -> None:
        """Wait for these paths no more."""
        for path in paths:
            self._waiting.pop(path, None)

    def _is_ready(self, path: str, one: _Waiting, now: float) -> bool:
        quiet = self._quiet if one.signature else 2 * self._quiet
        if one.rests or now - one.since >= self._at_most:
            return True
        if now - one.changed < quiet:
            return False
        signature = _signature(path)
        one.rests = signature == one.signature
        if not one.rests:
            one.changed, one.signature = now, signature
        return one.rests


def _signature(path: str) -> Signature:
    try:
        status = os.stat(path)  # noqa: PTH116 - of thousands at a time
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
