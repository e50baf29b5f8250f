"""The picture files below a folder, found without opening any of them."""

import os
import stat
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["PICTURE_SUFFIXES", "ScanResult", "ScannedFile", "scan"]

_SUFFIXES: Final = """
.apng .avif .avifs .blp .bmp .bw .cur .dcx .dds .dib .fit .fits .flc .fli .ftc .ftu .gbr .gif
.heic .heics .heif .heifs .hif .icb .icns .ico .j2c .j2k .jfif .jp2 .jpc .jpe .jpeg .jpf .jpg
.jpx .mpo .msp .pbm .pcd .pcx .pfm .pgm .png .pnm .ppm .psd .pxr .qoi .ras .rgb .rgba .sgi .tga .tif
.tiff .vda .vst .webp .xbm .xpm
"""
PICTURE_SUFFIXES: Final = frozenset(_SUFFIXES.split())
"""Suffixes of the formats that :mod:`mcp_vlsearch.core.decode` opens. Not those that need another
program (EPS, WMF) or hold more than pictures (PDF, MPEG)."""

_SKIPPED: Final = frozenset({"@eaDir", "__MACOSX", "Thumbs.db"})
"""What other programs leave beside pictures; names that start with a dot are skipped, too."""

_REPORT_SECONDS: Final = 0.5


class ScannedFile(NamedTuple):
    """A picture file: its size in bytes and the time of its last change in nanoseconds."""

    path: str
    size: int
    mtime_ns: int


@dataclass
class ScanResult:
    """What a scan found; the pairs are (path, why).

    Nothing is known about what lies at or below the ``unreadable`` paths. ``failures`` are files
    and folders that can be seen but never indexed as they are.
    """

    files: list[ScannedFile] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)


def scan(
    path: str,
    recursive: bool,
    roots: Sequence[str],
    report: Callable[[int], None] | None = None,
) -> ScanResult:
    """Return the picture files at or below a resolved path, in the order of their names.

    Symbolic links are followed where they stay below one of the (resolved) ``roots``, and each
    folder is walked once: at its own place if it lies below ``path``, else at the first link to
    it. A path that does not exist gives nothing. ``report`` is called with the number of files so
    far, twice a second; what it raises ends the scan.
    """
    walk = _Walk(recursive, roots, report or (lambda _: None))
    walk.run(path)
    return walk.result


class _Walk:
    def __init__(
        self, recursive: bool, roots: Sequence[str], report: Callable[[int], None]
    ) -> None:
        self.result = ScanResult()
        self._recursive = recursive
        self._roots = roots
        self._report = report
        self._reported = 0.0
        self._folders: list[str] = []
        self._linked_folders: list[str] = []
        self._visited: set[tuple[int, int]] = set()

    def run(self, path: str) -> None:
        if not self._nameable(path):
            return
        try:
            status = Path(path).stat()
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            self._unreadable(path, error)
            return
        if not stat.S_ISDIR(status.st_mode):
            self._take(path, status)
            return
        self._folders.append(path)
        while self._folders or self._linked_folders:
            # Links wait for the end, so that a folder is found at its own place if it has one here.
            self._list(self._folders.pop() if self._folders else self._linked_folders.pop(0))
        self._report(len(self.result.files))

    def _list(self, folder: str) -> None:
        try:
            if self._seen(folder):
                return
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=attrgetter("name"))
        except FileNotFoundError:
            return
        except OSError as error:
            self._unreadable(folder, error)
            return
        below: list[str] = []
        for entry in listed:
            if entry.name[0] != "." and entry.name not in _SKIPPED:
                self._visit(entry, below)
        self._folders += reversed(below)

    def _visit(self, entry: os.DirEntry[str], below: list[str]) -> None:
        self._keep_reporting()
        try:
            if entry.is_file(follow_symlinks=False):
                if _is_picture(entry.name) and self._nameable(entry.path):
                    self._take(entry.path, entry.stat(follow_symlinks=False))
            elif _is_link(entry):
                self._follow(entry)
            elif entry.is_dir(follow_symlinks=False):
                if self._recursive and self._nameable(entry.path):
                    below.append(entry.path)
            elif _is_picture(entry.name):
                self._take(entry.path, entry.stat(follow_symlinks=False))
        except FileNotFoundError:
            pass  # it went away since the folder was listed
        except OSError as error:
            self._unreadable(entry.path, error)

    def _follow(self, entry: os.DirEntry[str]) -> None:
        target = os.path.realpath(entry.path)
        allowed = any(
            target == r or target.startswith(r.rstrip(os.sep) + os.sep) for r in self._roots
        )
        try:
            status = Path(target).stat()
        except OSError as error:
            if allowed:  # perhaps on a disk that is not there now
                self._unreadable(entry.path, error)
            return
        is_folder = stat.S_ISDIR(status.st_mode)
        wanted = self._recursive if is_folder else _is_picture(entry.name)
        if not wanted or not self._nameable(entry.path):
            return
        if not allowed:
            why = "a link to a place outside the roots: index that place, too, to allow it"
            self.result.failures.append((entry.path, why))
        elif is_folder:
            self._linked_folders.append(entry.path)
        else:
            self._take(entry.path, status)

    def _take(self, path: str, status: os.stat_result) -> None:
        if stat.S_ISREG(status.st_mode):
            self.result.files.append(ScannedFile(path, status.st_size, status.st_mtime_ns))
        else:
            self.result.failures.append((path, "not a regular file"))

    def _seen(self, folder: str) -> bool:
        status = Path(folder).stat()
        key = (status.st_dev, status.st_ino)
        if key in self._visited:
            return True
        self._visited.add(key)
        return False

    def _nameable(self, path: str) -> bool:
        """Say whether a path is text; names of other bytes can't be stored or shown."""
        if path.isascii():
            return True
        try:
            path.encode()
        except UnicodeEncodeError:
            why = "the name is not UTF-8: rename it"
            self.result.failures.append((_showable(path), why))
            return False
        return True

    def _unreadable(self, path: str, error: OSError) -> None:
        self.result.unreadable.append(
            (_showable(path), f"can't be read: {error.strerror or error}")
        )

    def _keep_reporting(self) -> None:
        now = time.monotonic()
        if now - self._reported >= _REPORT_SECONDS:
            self._reported = now
            self._report(len(self.result.files))


def _is_picture(name: str) -> bool:
    return name[name.rfind(".") :].lower() in PICTURE_SUFFIXES


def _is_link(entry: os.DirEntry[str]) -> bool:
    if entry.is_symlink():
        return True
    # Windows' junctions lead elsewhere, too, but are not called symbolic links.
    return sys.platform == "win32" and bool(entry.stat(follow_symlinks=False).st_reparse_tag)


def _showable(path: str) -> str:
    return path.encode("utf-8", "backslashreplace").decode()
