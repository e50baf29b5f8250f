"""Random pictures of a library, kept in memory to score any query against: its background."""

import threading
from typing import TYPE_CHECKING, Final

import numpy as np

from mcp_vlsearch.cache.embeddings import Embeddings
from mcp_vlsearch.core.likeness import LookAlikes
from mcp_vlsearch.core.relevance import Background

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import VectorIndex, Vectors

__all__ = ["Sample"]

_ROWS: Final = 1000
_SEED: Final = 0
"""A library always has the same sample, so that its hits are judged alike by every process."""


class Sample:
    """Up to 1000 random vectors, renewed once a tenth as many rows came or went as there are."""

    def __init__(self, embeddings: Embeddings) -> None:
        self._embeddings = embeddings
        self._alike: LookAlikes | None = None
        self._version = 0, 0
        self._turn = threading.Lock()

    def background(
        self, vector: "Vectors", index: "VectorIndex", picture: "Vectors | None" = None
    ) -> Background | None:
        """Return what a query, shape (dim,), finds in the library by chance.

        Of a composed query ``picture`` is the vector of its picture alone, shape (dim,).
        """
        with self._turn:
            version = index.last_seq, index.last_removal
            changes = sum(abs(now - then) for now, then in zip(version, self._version, strict=True))
            if self._alike is None or changes > len(index) // 10:
                self._alike = LookAlikes(self._embeddings.sample(_ROWS, _SEED), len(index))
                self._version = version
            alike = self._alike
            of_pictures = alike.of_pictures  # takes a while, and once is enough
        # BLAS would use all cores and, where they are busy, wait for each of them.
        scores: Vectors = np.einsum("ij,j->i", alike.rows, vector)
        found = of_pictures if picture is None else alike.of_composed(vector, picture)
        return Background.of(scores, len(index), found)
