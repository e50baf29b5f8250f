"""The fence: nothing outside the roots is ever opened by path."""

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Final

from mcp_vlsearch.core.parted import require
from mcp_vlsearch.core.places import is_below
from mcp_vlsearch.core.scan import is_picture
from mcp_vlsearch.core.windows import is_share, why_refused
from mcp_vlsearch.errors import RootError
from mcp_vlsearch.formats import COMMON_SUFFIXES
from mcp_vlsearch.wording import listed, shown

__all__ = ["Roots", "absolute", "is_windows", "new_root", "real", "refuse_other_files"]

is_windows: Final = os.name == "nt"

_ADDRESS: Final = re.compile(
    r"\s*([a-z][a-z0-9+.-]+(?=://)|(?:file|https?|ftps?|data|blob|smb)(?=:))", re.IGNORECASE
)
"""What begins like an address rather than a path; names with a colon are allowed."""


def real(path: str | Path) -> str:
    """Return the absolute path with ``~``, ``..`` and symlinks resolved. Raises RootError."""
    text = os.fspath(path)
    if "\0" in text or not text.strip():
        raise RootError(f"{shown(text)!r} is not a path: give a file or folder below a root")
    if address := _ADDRESS.match(text):
        raise RootError(
            f"{address[1]}: addresses are not opened: give the path of a file or folder below a "
            "root"
        )
    if is_windows and (why := why_refused(text)):
        raise RootError(f"{shown(text)!r} {why}: give a file or folder below a root")
    try:
        resolved = os.path.realpath(Path(text).expanduser())
        (text + resolved).encode()
    except UnicodeEncodeError as error:
        raise RootError(f"the name of {shown(text)!r} is not UTF-8: rename it") from error
    except (OSError, RuntimeError) as error:
        raise RootError(
            f"{shown(text)!r} can't be resolved ({error.__class__.__name__}): give another path"
        ) from error
    return resolved


def absolute(path: str | Path) -> str:
    """Return the absolute path with ``~`` and ``..`` resolved, and symlinks left as they are."""
    real(path)
    return os.path.abspath(Path(path).expanduser())  # noqa: PTH100 - Path keeps ".."


def refuse_other_files(path: str) -> None:
    """Raise :class:`RootError` for a file that is no picture by its name: a scan passes it by.

    For one that could be read if a package was there, raises :class:`MissingExtraError`.
    """
    with suppress(OSError):  # what can't be looked at is told by the scan
        if not is_picture(path) and Path(path).is_file():
            require(path)
            raise RootError(
                f"{shown(path)} is no picture by its name: give a folder, or a file that ends "
                f"in {COMMON_SUFFIXES} or as another kind of picture does"
            )


def new_root(folder: str | Path) -> str:
    """Return a folder or single file, resolved, if it may become a root.

    Raises :class:`RootError` if it does not exist, or is a file or pipe that is no picture, and
    :class:`MissingExtraError` if it could be read with another package.
    """
    path = real(folder)
    if not Path(path).exists():
        raise RootError(
            f"{shown(os.fspath(folder))} does not exist: give a file or folder that does"
        )
    refuse_other_files(path)
    if not (Path(path).is_dir() or Path(path).is_file()):
        raise RootError(
            f"{shown(os.fspath(folder))} is neither a folder nor a regular file: give one of these"
        )
    return path


class Roots:
    """The folders (or single files) that a library may read.

    They are looked at when they are needed first: many searches don't need them.
    """

    def __init__(self, folders: Iterable[str | Path]) -> None:
        self._given = folders

    @cached_property
    def folders(self) -> list[str]:
        """All of them, resolved and sorted."""
        return sorted({real(folder) for folder in self._given})

    def every(self) -> list[str]:
        """Return all roots, sorted. Raises :class:`RootError` if there is none."""
        if not self.folders:
            raise RootError(
                "no folder is allowed yet: give one, as in `mcp-vlsearch index FOLDER`, or allow "
                "it by `serve --root FOLDER` or MCP_VLSEARCH_ROOTS"
            )
        return self.folders

    def check(self, path: str | Path) -> str:
        """Return the resolved path if it lies below a root. Raises :class:`RootError`."""
        self.refuse_shares(path)
        resolved = real(path)
        if not any(is_below(resolved, folder) for folder in self.every()):
            raise RootError(
                f"{shown(os.fspath(path))!r} lies outside the roots ({listed(self.folders)}); "
                "allow it with `mcp-vlsearch index FOLDER` or `serve --root FOLDER`"
            )
        return resolved

    def refuse_shares(self, path: str | Path) -> None:
        """Raise :class:`RootError` for a path on another Windows machine that is no root.

        Only to look it up would tell that machine who the user is.
        """
        text = os.fspath(path)
        if is_windows and is_share(text):
            text = os.path.normpath(text).casefold()
            if not any(is_below(text, folder.casefold()) for folder in self.folders):
                raise RootError(
                    f"{shown(text)!r} is on another machine: allow its share with "
                    "`mcp-vlsearch index FOLDER` or `serve --root FOLDER`"
                )

    def allows(self, place: str) -> bool:
        """Say whether a place lies below a root, be it that both are spelt in different ways."""
        return self.of(place) is not None or any(map(self._is_root, Path(place).parents))

    def _is_root(self, folder: Path) -> bool:
        for root in self.folders:
            with suppress(OSError):
                if folder.samefile(root):
                    return True
        return False

    def of(self, path: str) -> str | None:
        """Return the root that a resolved path lies below, the innermost one, if there is one."""
        return max((f for f in self.folders if is_below(path, f)), key=len, default=None)

    def meet(self, path: str) -> bool:
        """Say whether a resolved path lies below a root, or a root below it."""
        return any(is_below(path, f) or is_below(f, path) for f in self.folders)

    def is_there(self, root: str) -> bool:
        """Say whether a root can be looked at: it is there, or its place is and it was deleted."""
        path = Path(root)
        return path.exists() or (is_picture(root) and path.parent.is_dir())

    def online(self, path: str) -> bool:
        """Say whether the innermost root of a resolved path is there; without one it is not."""
        root = self.of(path)
        return root is not None and self.is_there(root)
