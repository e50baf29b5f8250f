"""The library's index: made from the embedding cache and kept up with it by seq."""

import threading

from mcp_vlsearch.cache.embeddings import Embeddings
from mcp_vlsearch.contracts import SharedIndex, Space, VectorIndex
from mcp_vlsearch.core.progress import Progress, ProgressCallback
from mcp_vlsearch.plugins import resolve
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.types import IndexStatus

__all__ = ["IndexSlot"]

_BLOCK = 20_000
"""Vectors read from the cache at a time."""


class IndexSlot:
    """Holds the index of one fingerprint; every use first reads what came after its last seq."""

    def __init__(self, settings: Settings, embeddings: Embeddings, dim: int) -> None:
        self._embeddings = embeddings
        self._name = settings.index
        space = Space(embeddings.fingerprint, dim)
        self._index: VectorIndex = resolve("indexes", settings.index)(settings, space)
        self._turn = threading.Lock()

    def current(self, report: ProgressCallback) -> VectorIndex:
        """Return the index with everything that any process has written so far."""
        index = self._index
        with self._turn:
            if isinstance(index, SharedIndex):
                index.refresh()
            while True:
                seqs, vectors, removed, last_removal = self._embeddings.changes(
                    index.last_seq, index.last_removal, _BLOCK
                )
                if last_removal > index.last_removal:
                    index.remove(removed, last_removal)
                if len(seqs):
                    index.add(seqs, vectors)
                if len(seqs) < _BLOCK:
                    return index
                report(Progress(len(index), None, "reading the index"))

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
