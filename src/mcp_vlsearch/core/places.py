"""Where a file really lies that has been opened, whatever its path has come to mean meanwhile.

Between the look at a path and its opening, a folder or a link on the way may be replaced. So the
file itself is asked once it is open: what is read then is what was looked at.
"""

import os
import stat
import sys
from typing import Final

__all__ = ["is_below", "place_of"]

_F_GETPATH: Final = 50
"""Of Darwin's fcntl.h."""
_LONGEST: Final = 1024


def is_below(path: str, folder: str) -> bool:
    """Say whether a resolved path is the folder or lies below it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def place_of(descriptor: int, path: str) -> str | None:
    """Return the resolved path of what was opened by ``path``; None if it is not there any more.

    Linux and macOS know where a descriptor leads. Elsewhere the path is resolved once more, and
    must lead to the very same file. Raises :class:`OSError`.
    """
    if sys.platform == "linux":
        return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - may be no path
    if sys.platform == "darwin":
        import fcntl

        return os.fsdecode(fcntl.fcntl(descriptor, _F_GETPATH, bytes(_LONGEST)).rstrip(b"\0"))
    return _same(descriptor, path)


def _same(descriptor: int, path: str) -> str | None:
    resolved = os.path.realpath(path)
    there = os.lstat(resolved)
    is_same = os.path.samestat(there, os.fstat(descriptor))
    return resolved if is_same and not stat.S_ISLNK(there.st_mode) else None
