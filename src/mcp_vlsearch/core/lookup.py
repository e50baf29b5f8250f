"""The library's index: made from the embedding cache and kept up with it by seq."""

import threading
from typing import TYPE_CHECKING

import numpy as np

from mcp_vlsearch.cache.embeddings import Embeddings
from mcp_vlsearch.contracts import ClosingIndex, FilteringIndex, SharedIndex, Space, VectorIndex
from mcp_vlsearch.core.progress import Progress, ProgressCallback
from mcp_vlsearch.plugins import resolve
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.types import IndexStatus

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs, Vectors

__all__ = ["IndexSlot"]

_BLOCK = 20_000
"""Vectors read from the cache at a time."""
_SAMPLE = 1000


class IndexSlot:
    """Holds the index of one fingerprint; every use first reads what came after its last seq."""

    def __init__(self, settings: Settings, embeddings: Embeddings, dim: int) -> None:
        self._embeddings = embeddings
        self._name = settings.index
        space = Space(embeddings.fingerprint, dim, embeddings.library_id())
        self._index: VectorIndex = resolve("indexes", settings.index)(settings, space)
        self._sample: Seqs = np.empty(0, np.int64)
        self._sampled_at = 0
        self._turn = threading.Lock()

    def current(self, report: ProgressCallback) -> VectorIndex:
        """Return the index with everything that any process has written so far."""
        index = self._index
        with self._turn:
            if isinstance(index, SharedIndex):
                index.refresh()
            while True:
                last_seq = index.last_seq
                seqs, vectors, removed, last_removal = self._embeddings.changes(
                    last_seq, index.last_removal, _BLOCK
                )
                if last_removal > index.last_removal:
                    index.remove(removed, last_removal)
                    self._sampled_at = 0
                    if (index.last_seq, index.last_removal) != (last_seq, last_removal):
                        continue  # another process was faster
                if not len(seqs):
                    return index
                self._add(seqs, vectors)
                if len(seqs) == _BLOCK:
                    report(Progress(len(index), None, "reading the index"))

    def close(self) -> None:
        """Let go of what the index holds open."""
        if isinstance(self._index, ClosingIndex):
            self._index.close()

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

    def _add(self, seqs: "Seqs", vectors: "Vectors") -> None:
        if isinstance(self._index, FilteringIndex):
            self._index.add(seqs, vectors, self._embeddings.facts(seqs))
        else:
            self._index.add(seqs, vectors)
