"""The library's index: made from the embedding cache and kept up with it by seq."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from mcp_vlsearch.cache.embeddings import Embeddings
from mcp_vlsearch.contracts import (
    ClosingIndex,
    FilteringIndex,
    SharedIndex,
    Space,
    StoredIndex,
    VectorIndex,
)
from mcp_vlsearch.core.progress import Progress, ProgressCallback
from mcp_vlsearch.core.storing import Storing
from mcp_vlsearch.errors import LibraryError, SettingsError
from mcp_vlsearch.plugins import resolve
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.types import IndexStatus

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs, Vectors

__all__ = ["IndexSlot", "is_of"]

_BLOCK = 20_000
"""Vectors read from the cache at a time."""
_MUCH: Final = 100_000
"""Vectors."""
_HEARTBEAT: Final = 1.0
"""Seconds between two reports."""
_PROBES: Final = 8
"""Rows, of the last and of all, by which an index is known to be this library's."""
_SAME: Final = 0.99
"""Cosine of a vector to what the index holds of it, at least."""

logger = logging.getLogger(__name__)


class IndexSlot:
    """Holds the index of one fingerprint; every use first reads what came after its last seq."""

    def __init__(self, settings: Settings, embeddings: Embeddings, dim: int) -> None:
        self._embeddings = embeddings
        self._name = settings.index
        make = resolve("indexes", settings.index)
        space = Space(embeddings.fingerprint, dim, embeddings.library_id())
        self._make = partial(make, settings, space)
        self._index: VectorIndex = self._make()
        self._shared = self._index if isinstance(self._index, SharedIndex) else None
        self._storing: Storing | None = None
        if isinstance(self._index, StoredIndex):
            self._storing = Storing(self._index, embeddings)
        self._is_known = False
        self._settled: tuple[int, int, int] | None = None
        self._turn = threading.Lock()

    def current(self, report: ProgressCallback) -> VectorIndex:
        """Return the index with everything that any process has written so far."""
        with self._alone(report):
            self._refresh()
            version = self._embeddings.version()  # first: what is read then is no older
            if self._settled != (version, *self.version):
                self._catch_up(report)
                self._settled = version, *self.version
            if self._storing:
                self._storing.look()
            return self._index

    def settle(self, report: ProgressCallback) -> None:
        """Bring an index that outlives the process up to date, and store it if that is due.

        Where that can't be, the next search does it.
        """
        if self._storing and self._lacks_much(report):
            self._storing.store(report)
        if self._shared is not None:
            try:
                self.current(report)
            except (LibraryError, SettingsError) as error:
                logger.warning("the index is not up to date yet: %s", error)
        if self._storing:
            self._storing.wait(report)
            with self._alone(report):
                self._refresh()  # takes up what was stored, so that status tells of it

    def close(self) -> None:
        """End what goes on in the background, and let go of what the index holds open."""
        if self._storing:
            self._storing.close()
        if isinstance(self._index, ClosingIndex):
            self._index.close()

    @property
    def fingerprint(self) -> str:
        """Names the space of the vectors."""
        return self._embeddings.fingerprint

    @property
    def version(self) -> tuple[int, int]:
        """What changes with every row that comes or goes."""
        return self._index.last_seq, self._index.last_removal

    def status(self) -> IndexStatus:
        """Say what the index is and how much can be found with it."""
        vectors = self._embeddings.count()
        return IndexStatus(name=self._name, kind=self._index.kind, vectors=vectors)

    @contextmanager
    def _alone(self, report: ProgressCallback) -> Iterator[None]:
        """Wait until no other thread brings the index up to date, and say that it does."""
        while not self._turn.acquire(timeout=_HEARTBEAT):
            report(Progress(len(self._index), None, "another search is reading the index"))
        try:
            yield
        finally:
            self._turn.release()

    def _catch_up(self, report: ProgressCallback) -> None:
        """Read what came and went since the last seq and removal that the index knows of."""
        while True:
            index = self._index
            last_seq = index.last_seq
            seqs, vectors, removed, last_removal = self._embeddings.changes(
                last_seq, index.last_removal, _BLOCK
            )
            if last_removal > index.last_removal:
                if index.last_seq and not self._embeddings.remembers(index.last_removal):
                    self._begin_anew()
                    continue
                index.remove(removed, last_removal)
                if (index.last_seq, index.last_removal) != (last_seq, last_removal):
                    continue  # another process was faster
            if not len(seqs):
                break
            self._add(seqs, vectors)
            if len(seqs) == _BLOCK:
                report(Progress(len(index), None, "reading the index"))

    def _lacks_much(self, report: ProgressCallback) -> bool:
        """Say whether more has come than should wait in memory until it is stored."""
        with self._alone(report):
            self._refresh()
            return self._embeddings.count() - len(self._index) >= _MUCH

    def _refresh(self) -> None:
        index = self._shared
        if index is None:
            return
        index.refresh()
        if index.last_seq and not self._is_known:
            self._is_known = True
            if not is_of(index, self._embeddings):
                logger.warning("the index does not fit the library, perhaps a copy: made anew")
                self._begin_anew()

    def _begin_anew(self) -> None:
        """Forget all rows: what the library can still tell does not bring them up to date."""
        if self._shared is not None:
            self._shared.drop()
        else:
            self._index = self._make()

    def _add(self, seqs: "Seqs", vectors: "Vectors") -> None:
        if isinstance(self._index, FilteringIndex):
            self._index.add(seqs, vectors, self._embeddings.facts(seqs))
        else:
            self._index.add(seqs, vectors)


def is_of(index: VectorIndex, embeddings: Embeddings) -> bool:
    """Say whether an index holds what a library does, as far as some rows can tell.

    It does not if the database was replaced by an older copy: then it knows rows that were
    never there, or others under their seqs.
    """
    seq, removal = embeddings.newest()
    if index.last_seq > seq or index.last_removal > removal:
        return False
    last = index.last_seq - np.arange(_PROBES)
    anywhere = np.random.default_rng().integers(1, index.last_seq + 1, _PROBES)
    seqs, vectors = embeddings.some(np.concatenate([last, anywhere]))
    for seq, vector in zip(seqs, vectors, strict=True):
        scores, found = index.search(vector[None], 1, np.array([seq]))
        if found[0, 0] != seq or not scores[0, 0] > _SAME:
            return False
    return True
