"""The fence: nothing outside the roots is ever opened by path."""

import os
from collections.abc import Iterable
from pathlib import Path

from mcp_vlsearch.errors import RootError

__all__ = ["Roots", "is_below", "real"]


def real(path: str | Path) -> str:
    """Return the absolute path with ``~``, ``..`` and symlinks resolved. Raises RootError."""
    text = os.fspath(path)
    if "\0" in text or not text.strip():
        raise RootError(f"{text!r} is not a path: give a file or folder below a root")
    try:
        return os.path.realpath(Path(text).expanduser())
    except (OSError, RuntimeError) as error:
        raise RootError(f"{text!r} can't be resolved: {error}") from error


def is_below(path: str, folder: str) -> bool:
    """Say whether a resolved path is the folder or lies below it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


class Roots:
    """The folders that a library may read, resolved."""

    def __init__(self, folders: Iterable[str | Path]) -> None:
        self.folders = sorted({real(folder) for folder in folders})

    def check(self, path: str | Path) -> str:
        """Return the resolved path if it lies below a root. Raises :class:`RootError`."""
        resolved = real(path)
        if not self.folders:
            raise RootError(
                f"{os.fspath(path)!r}: no folder is allowed yet; allow one with "
                "`mcp-vlsearch index FOLDER`, `serve --root FOLDER` or MCP_VLSEARCH_ROOTS"
            )
        if not any(is_below(resolved, folder) for folder in self.folders):
            raise RootError(
                f"{os.fspath(path)!r} lies outside the roots ({', '.join(self.folders)}); allow it "
                "with `mcp-vlsearch index FOLDER` or `serve --root FOLDER`"
            )
        return resolved

    def of(self, path: str) -> str:
        """Return the root that a resolved path lies below; the innermost if there are several."""
        return max((f for f in self.folders if is_below(path, f)), key=len)

    def online(self, path: str) -> bool:
        """Say whether the root of a resolved path is there; a path outside all roots is not."""
        return any(Path(f).exists() for f in self.folders if is_below(path, f))
