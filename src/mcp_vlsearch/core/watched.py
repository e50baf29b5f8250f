"""One root that is watched: who does it, whether it is there, and when it is due for a look."""

import hashlib
import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from mcp_vlsearch.core.noticing import Notices, is_remote
from mcp_vlsearch.errors import LibraryError

__all__ = ["LOCKS", "WatchedRoot"]

LOCKS: Final = "watch"
"""Folder in the library with a lock for each root that is watched."""

_RESCAN: Final = 60.0
"""Seconds between two looks at a root of whose changes the system does not tell."""
_CHECK: Final = 3600.0
"""Seconds between two looks at one of whose changes it does: it may drop some."""
_SHARE: Final = 20
"""A look must have taken less than this part of the time since the one before."""

Identity = tuple[int, ...] | None


class WatchedRoot:
    """A root with its lock and its notices; looks at it are due when it is new, back, filled
    again, or overdue.

    ``rescan`` are the seconds between two looks where the system's notices are not enough; without,
    they are relied on where they can be.
    """

    def __init__(
        self,
        path: str,
        library: Path,
        rescan: float | None,
        stop: threading.Event,
        say: Callable[[str], None],
    ) -> None:
        self.path = path
        self.is_folder = True
        self._rescan = rescan
        self._stop = stop
        self._say = say
        name = hashlib.sha256(path.encode()).hexdigest()[:16]
        self._lock = FileLock(library / LOCKS / f"{name}.lock", thread_local=False)
        self._identity: Identity = None
        self._is_lost = False
        self._notices: Notices | None = None
        self._every = rescan or _RESCAN
        self._due = 0.0
        self._was_there = True
        self._was_empty = False

    def is_due(self) -> bool:
        """Say whether the root should be looked at now, by this process."""
        if not self._is_ours():
            return False
        now = _identity(self.path)
        if now != self._identity or self._is_lost:  # what is made in its place may look the same
            self._identity, self._is_lost = now, False
            self._begin()
            return now is not None or not self.is_folder
        if now is None or not self.is_folder:
            return False
        if not self._is_filled_again() and time.monotonic() < self._due:
            return False
        self._due = time.monotonic() + self._every
        return True

    def take(self) -> set[str]:
        """Return the paths below it that were touched since."""
        if self._notices is None:
            return set()
        try:
            touched = self._notices.take()
        except LibraryError as error:
            self._fall_back(error)
            return set()
        self._is_lost = self._notices.is_lost
        return touched

    def looked(self, seconds: float) -> None:
        """Note that it was looked at, and how long that took: the next time is not too soon."""
        self._due = time.monotonic() + max(self._every, _SHARE * seconds)

    def close(self) -> None:
        """Listen no more, and leave the root to another process."""
        self._deafen()
        self._lock.release()

    def _is_ours(self) -> bool:
        if self._lock.is_locked:
            return True
        Path(self._lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            return False
        return True

    def _is_filled_again(self) -> bool:
        """Say whether an empty folder is so no more: what went from it was taken to be offline."""
        was_empty, self._was_empty = self._was_empty, _is_empty(self.path)
        return was_empty and not self._was_empty

    def _begin(self) -> None:
        """Listen to what is there now: another folder than before, or none."""
        self._deafen()
        self._due = time.monotonic() + self._every
        if self._identity is None:
            if self.is_folder and self._was_there:
                self._say(f"watching: {self.path} is offline; what was indexed below it is kept")
            self._was_there = False
            return
        if not self._was_there:
            self._say(f"watching: {self.path} is there again")
        self._was_there = True
        self.is_folder = len(self._identity) == 2
        if self.is_folder:
            self._listen()

    def _listen(self) -> None:
        try:
            self._notices = Notices(self.path, self._stop)
        except LibraryError as error:
            self._fall_back(error)
            return
        needs_looks = self._rescan or is_remote(self.path) or self._notices.partial
        self._every = (self._rescan or _RESCAN) if needs_looks else _CHECK

    def _fall_back(self, error: LibraryError) -> None:
        """Look at the root from time to time instead."""
        self._deafen()
        self._every = self._rescan or _RESCAN
        self._due = time.monotonic() + self._every
        self._say(f"watching: {error}; meanwhile it is rescanned every {self._every:.0f} s or more")

    def _deafen(self) -> None:
        if self._notices is not None:
            self._notices.close()
            self._notices = None


def _is_empty(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except OSError:
        return False


def _identity(path: str) -> Identity:
    """Return which folder is there, or of a single file also its state; None if nothing is."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    if stat.S_ISDIR(status.st_mode):
        return status.st_dev, status.st_ino
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
