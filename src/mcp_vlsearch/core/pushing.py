"""Filters are pushed down to an index that can filter; the rest becomes seqs that are allowed."""

from typing import TYPE_CHECKING, TypeGuard

from mcp_vlsearch.contracts import FilteringIndex, LimitedIndex, VectorIndex
from mcp_vlsearch.types import Filters

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs, Vectors

__all__ = ["Pushing"]


class Pushing:
    """A search's index, with the filters that it takes over; ``rest`` are the others."""

    def __init__(self, index: VectorIndex, filters: Filters) -> None:
        self._index = index
        self._filtering = index if _can_filter(index) else None
        self.rest = filters
        if self._filtering is None:
            return
        self._pushed = self._filtering.pushed(filters)
        taken = self._pushed.model_dump(exclude_none=True)
        if not taken:
            self._filtering = None
        self.rest = filters.model_copy(update=dict.fromkeys(taken))

    def count(self, allowed: "Seqs | None") -> int:
        """Return among how many rows is searched."""
        if self._filtering:
            return self._filtering.count(allowed, self._pushed)
        return len(self._index) if allowed is None else len(allowed)

    def reach(self, searched: int) -> int:
        """Return how many of the rows that are searched one search can find, at least 1."""
        most = max(searched, 1)
        return min(most, self._index.max_k) if _is_limited(self._index) else most

    def search(self, queries: "Vectors", k: int, allowed: "Seqs | None") -> "tuple[Vectors, Seqs]":
        """Find the ``k`` nearest rows that are allowed and meet the filters."""
        if self._filtering:
            return self._filtering.search(queries, k, allowed, self._pushed)
        return self._index.search(queries, k, allowed)


# Each search asks, and to look for all members of a protocol takes 50 µs.


def _can_filter(index: VectorIndex) -> TypeGuard[FilteringIndex]:
    return hasattr(type(index), "pushed")


def _is_limited(index: VectorIndex) -> TypeGuard[LimitedIndex]:
    return hasattr(index, "max_k")
