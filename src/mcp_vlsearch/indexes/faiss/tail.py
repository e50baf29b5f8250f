"""Rows in memory, compared one by one: what came after the base, or all rows of a small library."""

from typing import TYPE_CHECKING, Any

import numpy as np

from mcp_vlsearch.indexes.faiss.selecting import lib, members, selector

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs, Vectors

__all__ = ["Tail", "half_precision"]


def half_precision(dim: int) -> Any:
    """Return an empty FAISS index that compares every row, kept in half precision.

    It finds what ``Flat`` finds on unit vectors, in half the memory and a third of the time.
    """
    return lib.IndexScalarQuantizer(dim, lib.ScalarQuantizer.QT_fp16, lib.METRIC_INNER_PRODUCT)


class Tail:
    """Rows by growing seq; the caller sees to it that nothing changes during a search."""

    def __init__(self, dim: int) -> None:
        self._rows = half_precision(dim)
        self._seqs: Seqs = np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self._seqs)

    def add(self, seqs: "Seqs", vectors: "Vectors") -> None:
        """Add rows under seqs higher than all before."""
        self._rows.add(np.ascontiguousarray(vectors, np.float32))
        self._seqs = np.concatenate([self._seqs, seqs])

    def remove(self, seqs: "Seqs") -> None:
        """Forget rows in one pass; unknown seqs are ignored."""
        gone = members(self._seqs, seqs)
        if gone.any():
            self._rows.remove_ids(selector(gone))
            self._seqs = self._seqs[~gone]

    def after(self, seq: int) -> "Tail":
        """Return a tail of the rows above a seq, with memory for these only."""
        rest = Tail(self._rows.d)
        first = int(np.searchsorted(self._seqs, seq, "right"))
        if first < len(self):
            rest.add(self._seqs[first:], self._rows.reconstruct_n(first, len(self) - first))
        return rest

    def search(self, queries: "Vectors", k: int, allowed: "Seqs | None") -> "tuple[Vectors, Seqs]":
        """Return scores and seqs of the nearest rows, shape (len(queries), up to k); -1: none."""
        found = min(k, len(self), len(self) if allowed is None else len(allowed))
        if not found:
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        chosen = None if allowed is None else selector(members(self._seqs, allowed))
        scores, rows = self._rows.search(
            queries, found, params=chosen and lib.SearchParameters(sel=chosen)
        )
        return scores, np.where(rows < 0, -1, self._seqs[rows])
