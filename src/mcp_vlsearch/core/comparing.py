"""What changed on disk since the catalog was written: what to read and what is gone."""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Final

from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.cache.listing import KnownFile, Listing
from mcp_vlsearch.core.places import is_below
from mcp_vlsearch.core.progress import Progress, ProgressCallback
from mcp_vlsearch.core.roots import Roots
from mcp_vlsearch.core.scan import Files, Scan, ScannedFile, is_passed_by
from mcp_vlsearch.errors import RootError
from mcp_vlsearch.types import Failure
from mcp_vlsearch.wording import shown

__all__ = ["Comparer", "Comparison"]

_LAST: Final[KnownFile] = (chr(0x10FFFF), 0, 0, 0, None, 0)
"""Comes after every path."""


@dataclass
class Comparison:
    """The outcome of scans against the catalog.

    ``scanned`` counts what is unchanged, to be read or among the failures, each path once; only
    files of which some parts failed, ``partly``, are unchanged and among the failures. ``unlisted``
    are failures that the catalog does not have yet: links and names that lead to no file of it.
    ``fresh`` are these and whatever else failed in this scan, not those that failed before and are
    as they were. ``others`` counts files that are no pictures by their names.
    """

    scanned: int = 0
    others: int = 0
    unchanged: int = 0
    partly: int = 0
    to_read: list[ScannedFile] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    unlisted: list[Failure] = field(default_factory=list)
    fresh: list[Failure] = field(default_factory=list)


class Comparer:
    """Compares what lies below paths with the catalog.

    A file is unchanged if its size and mtime are, and its image has a vector: it is not even read.
    A file is gone if its path is, unless it lies below a root that is offline or a folder that
    can't be read: of those nothing is known.
    """

    def __init__(
        self, roots: Roots, catalog: Catalog, listing: Listing, report: ProgressCallback
    ) -> None:
        self._roots = roots
        self._catalog = catalog
        self._listing = listing
        self._report = report
        self._unreadable: set[str] = set()

    def compare(self, paths: Sequence[str], recursive: bool, force: bool) -> Comparison:
        """Scan resolved paths below the roots. Raises :class:`RootError` for one that never was."""
        found = Comparison()
        missed: set[str] = set()
        scanned: set[str] = set()
        offline = self._offline()
        for path in sorted(set(paths)):
            if self._roots.of(path) in offline:
                why = (
                    "this root is offline or empty: what was indexed below it is kept until you "
                    "connect it or `remove` it"
                )
                found.failures.append(Failure(path=path, error=why))
                found.fresh.append(found.failures[-1])
                found.scanned += 1
                continue
            if not (
                os.path.lexists(path)
                or path in self._roots.folders  # a single picture that was forgotten already
                or self._catalog.file_count(path)
            ):
                raise RootError(f"{shown(path)} does not exist: give a file or folder that does")
            if not self._was_scanned(path, scanned, recursive):
                missed |= self._scan(path, recursive, force, found)
                scanned.add(path)
        found.to_read.sort(key=attrgetter("path"))
        if missed:  # perhaps as a disk has gone away meanwhile
            blind = offline | self._offline() | self._unreadable
            found.gone = [path for path in sorted(missed) if _is_gone(path, blind)]
        return found

    def _scan(self, path: str, recursive: bool, force: bool, found: Comparison) -> set[str]:
        """Sort the files at or below a path; return the known paths that were not found."""
        before = found.scanned

        def count(files: int) -> None:
            self._report(Progress(before + files, None, f"scanning {path}"))

        scan = Scan(path, recursive, self._roots.folders, count)
        missed = _merge(scan, self._listing.below(path, recursive), force, found)
        found.others += scan.others
        problems = sorted(scan.unreadable + scan.failures)
        failures = [Failure(path=path, error=error) for path, error in problems]
        found.failures += failures
        found.scanned += len(problems)
        for failure in failures:
            known = missed.get(failure.path, _LAST)
            if known[5] or _is_folder(failure.path):
                found.fresh.append(failure)
                continue  # what an image's file or a folder holds may be had again
            missed.pop(failure.path, None)  # it is there, though not to be had
            if known[4] != failure.error:
                found.unlisted.append(failure)
                found.fresh.append(failure)
        self._unreadable |= {path for path, _ in scan.unreadable}
        return set(missed)

    def _was_scanned(self, path: str, scanned: set[str], recursive: bool) -> bool:
        """Say whether the scan of a folder around a path has come by it."""
        place = below = Path(path)
        for above in place.parents:
            if is_passed_by(below.name) or str(above) in self._unreadable:
                return False
            if str(above) in scanned:
                return recursive or (below == place and not place.is_dir())
            below = above
        return False

    def _offline(self) -> set[str]:
        return {root for root in self._roots.folders if self._is_offline(root)}

    def _is_offline(self, root: str) -> bool:
        """Say whether a root is missing, or an empty folder though files are known below it.

        An empty folder is what an unmounted disk leaves, so it does not mean that all was deleted.
        """
        if not self._roots.is_there(root):
            return True
        try:
            with os.scandir(root) as entries:
                return next(entries, None) is None and self._catalog.file_count(root) > 0
        except OSError:
            return False


def _merge(
    scan: Iterable[tuple[str, Files]], listed: Iterator[KnownFile], force: bool, found: Comparison
) -> dict[str, KnownFile]:
    """Go through both in the order of paths and sort the files; return what was not found."""
    unmatched: Files = {}
    missed: dict[str, KnownFile] = {}
    known = next(listed, _LAST)
    for bound, files in scan:
        found.scanned += len(files)
        while known[0] < bound:
            status = files.pop(known[0], None)
            if status is None:
                missed[known[0]] = known
            else:
                _sort(known[0], status, known, force, found)
            known = next(listed, _LAST)
        unmatched |= files  # new ones, and those behind links, which may be known
    if known is not _LAST:
        missed[known[0]] = known
    missed.update((known[0], known) for known in listed)
    for path, status in unmatched.items():
        _sort(path, status, missed.pop(path, None), force, found)
    return missed


def _sort(
    path: str, status: tuple[int, int], known: KnownFile | None, force: bool, found: Comparison
) -> None:
    if force or known is None or status != known[1:3] or known[3]:
        found.to_read.append(ScannedFile(path, *status))
    elif known[4]:
        found.failures.append(Failure(path=path, error=known[4]))
        found.unchanged += known[5]
        found.partly += known[5]
    else:
        found.unchanged += 1


def _is_folder(path: str) -> bool:
    """Say whether a path is a folder by itself, not by a link."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _is_gone(path: str, blind: Iterable[str]) -> bool:
    """Say whether no file of this name is there any more, where that can be seen."""
    if any(is_below(path, folder) for folder in blind):
        return False
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return True
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        return True  # say, a folder
    place = Path(path)
    if place.is_dir():
        return True  # a link that was refused: now what it leads to is known file by file
    with suppress(OSError):
        # Where case means nothing, a file is also there by names that it has no more.
        if os.path.lexists(place.with_name(place.name.swapcase())):
            return all(there.name != place.name for there in place.parent.iterdir())
    return False
