"""What the system tells of a folder: which paths below it were touched."""

import os
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Final

from watchfiles import Change, watch

from mcp_vlsearch.errors import LibraryError

__all__ = ["Notices", "is_remote"]

_GROUPED: Final = 5_000
"""Milliseconds at most over which changes are gathered while they keep coming."""
_STEP: Final = 20
"""Milliseconds without a change after which those that came are given."""

_MOUNTS: Final = Path("/proc/mounts")
_NETWORK: Final = """
9p afs ceph cifs drvfs fuse.glusterfs fuse.rclone fuse.sshfs ncpfs nfs nfs4 smb3 smbfs vboxsf
"""
_REMOTE: Final = frozenset(_NETWORK.split())
"""File systems on which others write without this system hearing of it."""


class Notices:
    """Listens to one folder and all below it, from construction on, until it ``is_lost``: deleted.

    It is ``partial`` where some folders may not be listened to. Raises :class:`LibraryError` with
    the reason if the system won't tell, now or later.
    """

    def __init__(self, folder: str, stop: threading.Event) -> None:
        self.is_lost = False
        self._folder = folder
        self._stop = stop
        self.partial = False
        # Not by ignoring what is denied from the start: that hides that no watches are left, too.
        self._changes = self._listen(ignore_denied=False)
        try:
            self._early = self._next()
        except LibraryError as error:
            if not isinstance(error.__cause__, PermissionError):
                raise
            self.partial = True
            self._changes = self._listen(ignore_denied=True)
            self._early = self._next()

    def take(self) -> set[str]:
        """Return the paths below the folder that were touched since, after some milliseconds."""
        early, self._early = self._early, set()
        return (early | self._next()) - {self._folder}

    def close(self) -> None:
        """Listen no more."""
        self._changes.close()

    def _next(self) -> set[str]:
        try:
            return next(self._changes, set())
        except (OSError, RuntimeError) as error:
            raise LibraryError(_explain(self._folder, error)) from error

    def _listen(self, *, ignore_denied: bool) -> Generator[set[str]]:
        changes = watch(
            self._folder,
            watch_filter=None,
            debounce=_GROUPED,
            step=_STEP,
            stop_event=self._stop,
            rust_timeout=1,
            yield_on_timeout=True,
            force_polling=False,
            ignore_permission_denied=ignore_denied,
        )
        try:
            for some in changes:
                self.is_lost |= (Change.deleted, self._folder) in some
                yield {path for _, path in some}
        finally:
            changes.close()


def is_remote(folder: str) -> bool:
    """Say whether a folder lies on a network drive, as far as Linux knows; elsewhere, no."""
    try:
        lines = _MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return False
    kinds = {}
    for line in lines:
        _, place, kind, *_ = line.split(" ")
        kinds[place.replace("\\040", " ")] = kind
    place = folder
    while place not in kinds and place != os.path.dirname(place):  # noqa: PTH120
        place = os.path.dirname(place)  # noqa: PTH120
    return kinds.get(place) in _REMOTE


def _explain(folder: str, error: Exception) -> str:
    said = " ".join(str(error).split())
    if "limit" in said or "too many" in said.lower() or "no space" in said.lower():
        return (
            f"the system tells of no more folders than {folder} and what is watched already: raise "
            "its limit, on Linux by `sysctl fs.inotify.max_user_watches=1000000` and "
            "`fs.inotify.max_user_instances=1024`"
        )
    return f"the system does not tell what changes below {folder} ({said}): check its permissions"
