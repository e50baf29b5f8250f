"""Copies of pictures, one step a line: files of one content → near copies → groups → report."""

import os
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from os.path import realpath
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.cache.copies import KeptFile, Originals
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.looks import Looks
from mcp_vlsearch.core.filters import compile_filters
from mcp_vlsearch.core.look import LOOK_VERSION
from mcp_vlsearch.core.lookbook import LookBook
from mcp_vlsearch.core.near import NearCopies
from mcp_vlsearch.core.progress import Meter, ProgressCallback
from mcp_vlsearch.core.pushing import Pushing
from mcp_vlsearch.core.roots import Roots
from mcp_vlsearch.core.spaces import OpenSpace
from mcp_vlsearch.errors import QueryError
from mcp_vlsearch.types import Filters
from mcp_vlsearch.types.copies import CopyKind, DuplicateFile, DuplicateGroup, DuplicateReport

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs

__all__ = ["DuplicateRequest", "Duplicates", "no_duplicates"]

_LISTED: Final = 10
"""Files of a group that are listed."""
_LEAST: Final = 0.5


@dataclass(frozen=True)
class DuplicateRequest:
    """Which pictures to compare, how similar copies are at least, how many groups to list."""

    threshold: float = 0.95
    filters: Filters = field(default_factory=Filters)
    top_k: int = 50

    def check(self) -> None:
        """Raise :class:`QueryError` for what is not given."""
        if not _LEAST <= self.threshold <= 1:
            raise QueryError(
                f"threshold is {self.threshold}: give a cosine from {_LEAST} to 1, such as 0.95"
            )
        if not 1 <= self.top_k <= 100:
            raise QueryError(f"top_k is {self.top_k}: give a number of groups from 1 to 100")


def no_duplicates(request: DuplicateRequest) -> DuplicateReport:
    """Return what is found in an empty library."""
    return DuplicateReport(
        threshold=request.threshold,
        groups=[],
        total_groups=0,
        copies=0,
        bytes_freed=0,
        searched_images=0,
        compared=0,
        unread=0,
        seconds=0,
    )


@dataclass(frozen=True)
class _Group:
    """Images that are copies, the one to keep first, with their cosines to that one.

    Of a file with parts it is one of its images.
    """

    similarity: Mapping[int, float]
    copies: int
    bytes_freed: int


class Duplicates:
    """Looks for copies in one space; with ``fence``, among what lies below its folders only."""

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        space: OpenSpace,
        roots: Roots,
        fence: Roots | None,
        may_keep: bool,
    ) -> None:
        self._originals = Originals(database, space.embeddings.fingerprint)
        looks = Looks(database, LOOK_VERSION)
        self._book = LookBook(catalog, roots, looks, may_keep)
        self._space = space
        self._fence = fence

    def find(self, request: DuplicateRequest, report: ProgressCallback) -> DuplicateReport:
        """Return the groups of copies, those that free most first."""
        started = time.monotonic()
        index = self._space.index.current(report)
        inside = self._space.fence.seqs(self._fence) if self._fence else None
        passing = self._passing(request.filters, inside)
        pictures = _allowed(self._originals.pictures(), passing)
        parts = _allowed(self._originals.parts(), passing)
        near = self._near(pictures, Pushing(index, request.filters), inside, request, report)
        files = self._files_of(pictures)
        found = [*_groups(near, files), *self._groups_of_parted(parts)]
        groups = sorted(found, key=lambda group: -group.bytes_freed)
        listed, unlisted = self._listed(groups, request.top_k)
        every: list[DuplicateGroup | _Group] = [*listed, *unlisted]
        return DuplicateReport(
            threshold=request.threshold,
            groups=listed,
            total_groups=len(every),
            copies=sum(group.copies for group in every),
            bytes_freed=sum(group.bytes_freed for group in every),
            searched_images=len(pictures) + len(parts),
            compared=int(near.compared.sum()),
            unread=len(self._book.unread),
            seconds=time.monotonic() - started,
        )

    def _passing(self, filters: Filters, inside: "Seqs | None") -> "list[Seqs]":
        """Return what an image's seq must be in."""
        condition = compile_filters(filters)
        passing = None if condition is None else self._space.filtered.seqs(condition)
        return [allowed for allowed in (inside, passing) if allowed is not None]

    def _near(
        self,
        pictures: NDArray[np.void],
        filtering: Pushing,
        inside: "Seqs | None",
        request: DuplicateRequest,
        report: ProgressCallback,
    ) -> NearCopies:
        # what the index filters by itself need not be told as seqs
        rest = compile_filters(filtering.rest)
        allowed = pictures["seq"] if rest is not None or inside is not None else None
        most = filtering.reach(filtering.count(allowed))
        near = NearCopies(
            pictures,
            self._originals,
            self._space.embeddings,
            self._book,
            lambda vectors, k: filtering.search(vectors, min(k, most), allowed),
            request.threshold,
        )
        near.run(Meter(report, len(pictures), "comparing pictures:"))
        return near

    def _files_of(self, pictures: NDArray[np.void]) -> NDArray[np.int64]:
        """Return how many files hold each picture."""
        seqs, counts = self._originals.file_counts(self._fence.folders if self._fence else None)
        files = np.ones(len(pictures), np.int64)
        is_here = np.isin(pictures["seq"], seqs, assume_unique=True)
        files[is_here] = counts[np.searchsorted(seqs, pictures["seq"][is_here])]
        return files

    def _groups_of_parted(self, parts: NDArray[np.void]) -> Iterator[_Group]:
        """Give documents and films in several files a group each: their bytes are the same."""
        sources, first = np.unique(parts["source"], return_index=True)
        copied = self._originals.copied(self._fence.folders if self._fence else None)
        _, here, there = np.intersect1d(
            sources, copied["source"], assume_unique=True, return_indices=True
        )
        for seq, row in zip(parts["seq"][first[here]].tolist(), copied[there], strict=True):
            copies = int(row["files"]) - 1
            yield _Group({seq: 1.0}, copies, copies * int(row["bytes"]))

    def _listed(
        self, groups: Sequence[_Group], top_k: int
    ) -> tuple[list[DuplicateGroup], Sequence[_Group]]:
        """Describe groups until there are enough; return the others, not looked at, too."""
        listed: list[DuplicateGroup] = []
        for number, group in enumerate(groups):
            if len(listed) == top_k:
                return listed, groups[number:]
            if described := self._described(group):
                listed.append(described)
        return listed, ()

    def _described(self, group: _Group) -> DuplicateGroup | None:
        """Describe a group by the files that are there now; None if no copy is left."""
        first, similarity = next(iter(group.similarity)), group.similarity
        files = self._files(list(similarity))
        files.sort(key=lambda f: (f.seq != first, -similarity[f.seq], f.mtime_ns, f.path))
        if len(files) < 2 or files[0].seq != first:
            return None
        return DuplicateGroup(
            files=[
                _described_file(file, files[0], similarity[file.seq]) for file in files[:_LISTED]
            ],
            copies=len(files) - 1,
            bytes_freed=sum(file.bytes for file in files[1:]),
        )

    def _files(self, seqs: Sequence[int]) -> list[KeptFile]:
        """Return the files of images, each once: who deletes one by another path has none left."""
        files: dict[Hashable, KeptFile] = {}
        known = self._originals.files(seqs)
        for file in sorted(known, key=lambda file: (realpath(file.path) != file.path, file.path)):
            if self._fence is None or self._fence.of(file.path) is not None:
                with suppress(OSError):  # it is not there any more
                    files.setdefault(_identity(file.path), file)
        return list(files.values())


def _identity(path: str) -> Hashable:
    """Return what is the same for links to one file, hard ones too. Raises OSError."""
    status = os.stat(path)  # noqa: PTH116
    return (status.st_dev, status.st_ino) if status.st_ino else realpath(path)


def _allowed(rows: NDArray[np.void], passing: "Sequence[Seqs]") -> NDArray[np.void]:
    for allowed in passing:
        rows = rows[np.isin(rows["seq"], allowed, assume_unique=True)]
    return rows


def _groups(near: NearCopies, files: NDArray[np.int64]) -> Iterator[_Group]:
    """Put together what has one kept picture, and give pictures in several files a group."""
    kept = np.where((near.kept < 0) & (files > 1), np.arange(len(files)), near.kept)
    rows = np.flatnonzero(kept >= 0)
    if not len(rows):
        return
    rows = rows[np.lexsort((rows, rows != kept[rows], kept[rows]))]
    starts = np.flatnonzero(np.diff(kept[rows])) + 1
    for together in np.split(rows, starts):
        sizes = near.pictures["bytes"][together]
        count = files[together]
        seqs, similarity = near.pictures["seq"][together], near.similarity[together]
        yield _Group(
            dict(zip(seqs.tolist(), similarity.tolist(), strict=True)),
            copies=int(count.sum()) - 1,
            bytes_freed=int((sizes * count).sum() - sizes[0]),
        )


def _described_file(file: KeptFile, first: KeptFile, similarity: float) -> DuplicateFile:
    kind: CopyKind = "near"
    if file.seq == first.seq:
        kind = "kept" if file is first else "exact"
    return DuplicateFile(
        path=file.path,
        image_id=file.image_id,
        kind=kind,
        similarity=1.0 if kind != "near" else min(similarity, 1.0),
        width=file.width,
        height=file.height,
        format=file.format,
        bytes=file.bytes,
    )
