"""The library's index: made from the embedding cache and kept up with it by seq."""

import threading
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from mcp_vlsearch.cache.embeddings import Embeddings
from mcp_vlsearch.contracts import SharedIndex, Space, VectorIndex
from mcp_vlsearch.core.progress import Progress, ProgressCallback
from mcp_vlsearch.plugins import resolve
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.types import IndexStatus

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs

__all__ = ["IndexSlot"]

_BLOCK = 20_000
"""Vectors read from the cache at a time."""
_SAMPLE = 1000


class IndexSlot:
    """Holds the index of one fingerprint; every use first reads what came after its last seq."""

    def __init__(self, settings: Settings, embeddings: Embeddings, dim: int) -> None:
        self._embeddings = embeddings
        self._name = settings.index
        make = resolve("indexes", settings.index)
        self._make = partial(make, settings, Space(embeddings.fingerprint, dim))
        self._index: VectorIndex = self._make()
        self._sample: Seqs = np.empty(0, np.int64)
        self._sampled_at = 0
        self._turn = threading.Lock()

    def current(self, report: ProgressCallback) -> VectorIndex:
        """Return the index with everything that any process has written so far."""
        with self._turn:
            index = self._refreshed()
            while True:
                seqs, vectors, removed, last_removal = self._embeddings.changes(
                    index.last_seq, index.last_removal, _BLOCK
                )
                if last_removal > index.last_removal:
                    index.remove(removed, last_removal)
                    self._sampled_at = 0
                if len(seqs):
                    index.add(seqs, vectors)
                if len(seqs) < _BLOCK:
                    return index
                report(Progress(len(index), None, "reading the index"))

    def _refreshed(self) -> VectorIndex:
        """Return an index that can be brought up to date by what the library still knows."""
        if isinstance(self._index, SharedIndex):
            self._index.refresh()
        if self._index.last_seq and not self._embeddings.remembers(self._index.last_removal):
            self._sampled_at = 0
            if isinstance(self._index, SharedIndex):
                self._index.drop()
            self._index = self._make()
        return self._index

    def sample(self) -> "Seqs":
        """Return up to 1000 random seqs, renewed after removals and growth by a tenth."""
        with self._turn:
            size = len(self._index)
            if size > self._sampled_at + self._sampled_at // 10:
                self._sample, self._sampled_at = self._embeddings.sample(_SAMPLE), size
            return self._sample

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
