"""The picture files below a folder, found without opening any of them."""

import errno
import os
import stat
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from heapq import heappop, heappush
from itertools import islice
from typing import Final, NamedTuple

from mcp_vlsearch.core.parted import parted_suffixes
from mcp_vlsearch.core.places import is_below, place_of
from mcp_vlsearch.wording import showable

__all__ = ["PICTURE_SUFFIXES", "Files", "Scan", "ScannedFile", "is_passed_by", "is_picture"]

_SUFFIXES: Final = """
.apng .avif .avifs .blp .bmp .bw .cur .dcx .dds .dib .fit .fits .flc .fli .ftc .ftu .gbr .gif
.heic .heics .heif .heifs .hif .icb .icns .ico .j2c .j2k .jfif .jp2 .jpc .jpe .jpeg .jpf .jpg
.jpx .mpo .msp .pbm .pcd .pcx .pfm .pgm .png .pnm .ppm .psd .pxr .qoi .ras .rgb .rgba .sgi .tga .tif
.tiff .vda .vst .webp .xbm .xpm
"""
PICTURE_SUFFIXES: Final = frozenset(_SUFFIXES.split())
"""Suffixes of the formats that :mod:`mcp_vlsearch.core.decode` opens. Not those that need another
program (EPS, WMF)."""

_SKIPPED: Final = frozenset({"@eaDir", "__MACOSX", "Thumbs.db"})
"""What other programs leave beside pictures."""

_REPORT_SECONDS: Final = 0.5
_AT_ONCE: Final = 1000
"""Entries of a folder that are looked at between two looks at the clock."""
_ADVICE: Final = {
    errno.ENAMETOOLONG: "the path is too long for this system, shorten its names",
    errno.ENOENT: "it is a link to what is not there: connect its drive, or remove the link",
    errno.ELOOP: "it is a link that leads back to itself: remove the link",
}
_NO_TEXT: Final = "the name is not UTF-8: rename it"
_NO_FILE: Final = "not a regular file: move it out of the folder, or rename it"
_OUTSIDE: Final = "a link to a place outside the roots: index that place, too, to allow it"

_BY_DESCRIPTOR: Final = os.scandir in os.supports_fd

Files = dict[str, tuple[int, int]]
"""Picture files by path: size in bytes and time of the last change in nanoseconds."""


class ScannedFile(NamedTuple):
    """A picture file: its size in bytes and the time of its last change in nanoseconds."""

    path: str
    size: int
    mtime_ns: int


def is_passed_by(name: str) -> bool:
    """Say whether a scan looks at nothing of this name, unless it starts there."""
    return name[:1] == "." or name in _SKIPPED


class Scan:
    """A walk over the picture files at or below a resolved path, which going through it does.

    It gives files by parts, each with a bound: further on, no path comes before the bound as text
    but those behind links to folders, which are last. So the files of one folder are in memory at a
    time, with what waits in the folders around it.

    Symbolic links are followed where they stay below one of the (resolved) ``roots``. A folder that
    is found at its own place is not walked through links as well, and no other one twice. A path
    that does not exist gives nothing.

    What can't be had is there when the walk is over, as pairs of (path, why). Nothing is known
    about what lies at or below the ``unreadable`` paths. ``failures`` are files and folders that
    can be seen but never indexed as they are. ``others`` counts files that are no pictures by name.
    """

    def __init__(
        self,
        path: str,
        recursive: bool,
        roots: Sequence[str],
        report: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Prepare a walk; ``report`` gets the number of files so far twice a second.

        What it raises ends the walk.
        """
        self.unreadable: list[tuple[str, str]] = []
        self.failures: list[tuple[str, str]] = []
        self.others = 0
        self._path = path
        self._recursive = recursive
        self._roots = roots
        self._report = report
        self._reported = 0.0
        self._count = 0
        self._linked: list[str] = []
        self._walked: set[tuple[int, int]] = set()

    def __iter__(self) -> Iterator[tuple[str, Files]]:
        """Walk, once."""
        if not self._nameable(self._path, ""):
            return
        try:
            status = os.stat(self._path)  # noqa: PTH116 - as everywhere here: Path takes longer
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            self._unreadable(self._path, error)
            return
        if not stat.S_ISDIR(status.st_mode):
            files: Files = {}
            self._take(self._path, status, files)
            yield _end(self._path), files
            return
        yield from self._walk(self._path, through_link=False)
        while self._linked:
            yield from self._walk(heappop(self._linked), through_link=True)
        self._report(self._count)

    def _walk(self, folder: str, through_link: bool) -> Iterator[tuple[str, Files]]:
        waiting: list[str | tuple[str, Files]] = [folder]
        while waiting:
            next_one = waiting.pop()
            if isinstance(next_one, str):
                waiting += reversed(self._list(next_one, through_link))
            else:
                self._count += len(next_one[1])
                yield next_one

    def _list(self, folder: str, through_link: bool) -> list[str | tuple[str, Files]]:
        """Return what is in a folder, files in parts and folders, in the order of the paths."""
        files: Files = {}
        folders: list[str] = []
        start = folder.rstrip(os.sep) + os.sep
        self._keep_reporting(0)
        try:
            with _opened(folder) as place:
                if not self._is_allowed(place, folder):
                    return []
                if self._seen(place) and through_link:
                    return []
                with os.scandir(place) as entries:
                    while some := list(islice(entries, _AT_ONCE)):
                        for entry in some:
                            self._visit(entry, start, files, folders)
                        self._keep_reporting(len(files))
        except (FileNotFoundError, NotADirectoryError):
            return []  # it went away since it was found
        except OSError as error:
            self._unreadable(folder, error)
            return []
        return _in_order(files, folders, _end(folder))

    def _visit(self, entry: os.DirEntry[str], start: str, files: Files, folders: list[str]) -> None:
        """Note what a scan is after; ``start`` is the beginning of all paths in this folder."""
        name = entry.name
        if name[0] == ".":
            return
        try:
            if entry.is_file(follow_symlinks=False):
                wanted = is_picture(name)
                self.others += not wanted
                if wanted and (name.isascii() or self._nameable(name, start)):
                    status = entry.stat(follow_symlinks=False)
                    files[start + name] = status.st_size, status.st_mtime_ns
            elif _is_link(entry):
                self._follow(name, start, files)
            elif entry.is_dir(follow_symlinks=False):
                if self._recursive and not is_passed_by(name) and self._nameable(name, start):
                    folders.append(start + name)
            elif is_picture(name):
                self._take(start + name, entry.stat(follow_symlinks=False), files)
        except FileNotFoundError:
            pass  # it went away since the folder was listed
        except OSError as error:
            self._unreadable(start + name, error)

    def _follow(self, name: str, start: str, files: Files) -> None:
        target = os.path.realpath(start + name)
        allowed = any(is_below(target, root) for root in self._roots)
        try:
            status = os.stat(target)  # noqa: PTH116
        except OSError as error:
            if allowed:  # perhaps on a disk that is not there now
                self._unreadable(start + name, error)
            return
        is_folder = stat.S_ISDIR(status.st_mode)
        wanted = self._recursive if is_folder else is_picture(name)
        if not wanted or is_passed_by(name) or not self._nameable(name, start):
            return
        if not allowed:
            self.failures.append((start + name, _OUTSIDE))
        elif is_folder:
            heappush(self._linked, start + name)
        else:
            self._take(start + name, status, files)

    def _is_allowed(self, place: str | int, folder: str) -> bool:
        """Say whether an opened folder lies below a root: its path may lead elsewhere by now."""
        if isinstance(place, str):
            return True
        found = place_of(place, folder)
        if found is not None and any(is_below(found, root) for root in self._roots):
            return True
        self.failures.append((folder, _OUTSIDE))
        return False

    def _take(self, path: str, status: os.stat_result, files: Files) -> None:
        if stat.S_ISREG(status.st_mode):
            files[path] = status.st_size, status.st_mtime_ns
        else:
            self.failures.append((path, _NO_FILE))

    def _seen(self, place: str | int) -> bool:
        status = os.stat(place)  # noqa: PTH116
        key = (status.st_dev, status.st_ino)
        if key in self._walked:
            return True
        self._walked.add(key)
        return False

    def _nameable(self, name: str, start: str) -> bool:
        """Say whether a name is text; other bytes can't be stored or shown."""
        if name.isascii():
            return True
        try:
            name.encode()
        except UnicodeEncodeError:
            self.failures.append((showable(start + name), _NO_TEXT))
            return False
        return True

    def _unreadable(self, path: str, error: OSError) -> None:
        reason = f"{error.strerror or error}; check its permissions and drive"
        why = _ADVICE.get(error.errno or 0, reason)
        self.unreadable.append((showable(path), f"can't be read: {why}"))

    def _keep_reporting(self, listed: int) -> None:
        now = time.monotonic()
        if now - self._reported >= _REPORT_SECONDS:
            self._reported = now
            self._report(self._count + listed)


@contextmanager
def _opened(folder: str) -> Iterator[str | int]:
    """Give what a folder is listed by: where the system can, a descriptor.

    Then the path need not be looked up anew for every file.
    """
    if not _BY_DESCRIPTOR:
        yield folder
        return
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield place
    finally:
        os.close(place)


def _in_order(files: Files, folders: list[str], end: str) -> list[str | tuple[str, Files]]:
    """Cut the files where those of a folder come between them."""
    parts: list[str | tuple[str, Files]] = []
    if folders:
        paths = sorted(files)
        start = 0
        for inside in sorted(folder + os.sep for folder in folders):
            stop = bisect_left(paths, inside, start)
            if stop > start:
                parts.append((inside, {path: files.pop(path) for path in paths[start:stop]}))
            parts.append(inside[:-1])
            start = stop
    parts.append((end, files))
    return parts


def _end(folder: str) -> str:
    """Return what comes after all paths at and below a folder, and before others."""
    return folder.rstrip(os.sep) + chr(ord(os.sep) + 1)


def is_picture(name: str) -> bool:
    """Say whether a file of this name, or path, is one that a scan is after."""
    suffix = name[name.rfind(".") :]
    return suffix in _suffixes() or suffix.lower() in _suffixes()


@cache
def _suffixes() -> frozenset[str]:
    suffixes = PICTURE_SUFFIXES | parted_suffixes()
    return suffixes | {suffix.upper() for suffix in suffixes}


def _is_link(entry: os.DirEntry[str]) -> bool:
    if entry.is_symlink():
        return True
    # Windows' junctions lead elsewhere, too, but are not called symbolic links.
    return sys.platform == "win32" and bool(entry.stat(follow_symlinks=False).st_reparse_tag)
