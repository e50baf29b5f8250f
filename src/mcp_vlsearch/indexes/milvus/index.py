"""The index `milvus`: rows that outlive the process, filtered where they are."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from mcp_vlsearch.contracts import ImageFacts, Space
from mcp_vlsearch.errors import LibraryError, QueryError
from mcp_vlsearch.indexes.boundary import check_queries, check_rows, merged
from mcp_vlsearch.indexes.milvus.collection import Collection, State
from mcp_vlsearch.indexes.milvus.expressions import (
    LONGEST_LIST,
    Expression,
    among,
    meeting,
    pushed,
)
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.types import Filters

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs, Vectors

__all__ = ["MilvusIndex"]

logger = logging.getLogger(__name__)

_BYTES: Final = 16 * 2**20
"""Vectors in one request, of which a server takes 64 MiB."""
_DELETED: Final = 10_000
"""Seqs at most in one request to delete."""
_QUERIES: Final = 1000
_MAX_K: Final = 16_384
"""Hits of a query, and no more, that Milvus returns."""


class MilvusIndex:
    """Rows of a library in Milvus (see :class:`SharedIndex` and :class:`FilteringIndex`).

    Searches may run in several threads at once, beside one that adds or removes. Where the settings
    say ``read_only``, nothing is written: rows that Milvus lacks are not found, and those that went
    are left out. Raises :class:`LibraryError` where that is not enough.
    """

    name = "milvus"
    max_k = _MAX_K

    def __init__(self, settings: Settings, space: Space) -> None:
        self._dim = space.dim
        self._collection = Collection(settings, space)
        self._read_only = settings.read_only
        self._has_warned = False
        self._gone: Seqs = np.empty(0, np.int64)
        self._know(State(), 0)

    def __len__(self) -> int:
        return self._size - int(np.count_nonzero(self._gone <= self._state.last_seq))

    def refresh(self) -> None:
        """Take up what other processes have done, and begin anew where rows were lost."""
        if self._collection.state(newest=False) == self._state:
            return
        if self._take_up():
            return
        self._must_write("rows were lost in Milvus")
        with self._collection.alone():
            if not self._take_up():
                self._collection.drop()
                self._know(State(), 0)

    def drop(self) -> None:
        """Delete the collection; the next call makes an empty one."""
        self._must_write("its rows in Milvus don't fit it")
        with self._collection.alone():
            self._collection.drop()
            self._know(State(), 0)

    def close(self) -> None:
        """Let go of the connection; the next call makes it anew."""
        self._collection.close()

    def pushed(self, filters: Filters) -> Filters:
        """Return what of the filters the columns beside the vectors can answer."""
        return pushed(filters)

    def add(self, seqs: "Seqs", vectors: "Vectors", facts: Sequence[ImageFacts] = ()) -> None:
        """Add unit-norm rows, unless another process has changed rows meanwhile.

        Then its state is taken up. Raises ValueError unless seqs grow from :attr:`last_seq` on.
        """
        if not len(seqs):
            return
        seqs = check_rows(seqs, vectors, self.last_seq, self._dim)
        if self._read_only:
            self._pass_by(seqs)
            return
        vectors = np.ascontiguousarray(vectors, np.float32)
        known = list(facts) or [ImageFacts()] * len(seqs)
        rows = max(_BYTES // (4 * self._dim), 1)
        with self._collection.alone():
            if self._is_behind():
                return
            for start in range(0, len(seqs), rows):
                those = slice(start, start + rows)
                self._collection.put(seqs[those].tolist(), vectors[those], known[those])
            self._put_state(int(seqs[-1]), self.last_removal)

    def remove(self, seqs: "Seqs", last_removal: int) -> None:
        """Forget rows, unless another process has changed rows meanwhile, as :meth:`add` does."""
        if self._read_only:
            self._gone = np.union1d(self._gone, np.asarray(seqs, np.int64))
            self.last_removal = last_removal
            return
        with self._collection.alone():
            if self._is_behind():
                return
            # Should this end halfway, the rows that are gone already are not to be taken for lost.
            fewer = self._state._replace(rows=max(self._size - len(seqs), 0))
            if len(seqs):
                self._collection.put_state(fewer)
            for start in range(0, len(seqs), _DELETED):
                self._collection.delete(seqs[start : start + _DELETED].tolist())
            self._put_state(self.last_seq, last_removal)

    def search(
        self,
        queries: "Vectors",
        k: int,
        allowed: "Seqs | None" = None,
        filters: Filters | None = None,
    ) -> tuple["Vectors", "Seqs"]:
        """Find rows by an expression for the filters and one for the seqs.

        Raises :class:`QueryError` if a query is not a vector of this space, or not of numbers.
        """
        queries = check_queries(queries, k, self._dim)
        most = min(k, len(self) if allowed is None else len(allowed), len(self))
        if most > self.max_k:
            raise QueryError(f"Milvus finds {self.max_k} nearest at most: ask for fewer")
        conditions = self._conditions(allowed, filters) if most else []
        found = [self._found(queries, most, condition) for condition in conditions]
        return merged(found, len(queries), k)

    def count(self, allowed: "Seqs | None", filters: Filters) -> int:
        """Return among how many rows a search looks."""
        return sum(self._collection.count(c) for c in self._conditions(allowed, filters))

    def _conditions(self, allowed: "Seqs | None", filters: Filters | None) -> list[Expression]:
        """Return conditions of which each row that is looked at meets exactly one."""
        meets = Expression() if filters is None else meeting(filters)
        if allowed is not None:
            return [meets & one for one in among(np.setdiff1d(allowed, self._gone))]
        if not len(self._gone):
            return [meets]
        if len(self._gone) > LONGEST_LIST:
            self._must_write(f"{len(self._gone)} rows in Milvus went since")
        return [meets & Expression("seq not in {gone}", {"gone": self._gone.tolist()})]

    def _pass_by(self, seqs: "Seqs") -> None:
        """Go on as if rows were there, so that they are not asked for again."""
        self.last_seq = int(seqs[-1])
        if not self._has_warned:
            self._has_warned = True
            logger.warning(
                "the library is read-only and Milvus lacks some of its pictures, which are not "
                "found: search or index once without MCP_VLSEARCH_READ_ONLY"
            )

    def _must_write(self, why: str) -> None:
        if self._read_only:
            raise LibraryError(
                f"the library is read-only, and {why}: search once without "
                "MCP_VLSEARCH_READ_ONLY, which brings it up to date"
            )

    def _found(
        self, queries: "Vectors", most: int, condition: Expression
    ) -> "tuple[Vectors, Seqs]":
        """Return scores and seqs that meet a condition, shape (len(queries), most); -1: none."""
        scores = np.empty((len(queries), most), np.float32)
        seqs = np.full((len(queries), most), -1, np.int64)
        for start in range(0, len(queries), _QUERIES):
            hits = self._collection.search(queries[start : start + _QUERIES], most, condition)
            for row, (ids, cosines) in enumerate(hits, start):
                scores[row, : len(ids)], seqs[row, : len(ids)] = cosines, ids
        return scores, seqs

    def _know(self, state: State, size: int) -> None:
        self._state, self._size = state, size
        self.last_seq, self.last_removal = state.last_seq, state.last_removal
        self._gone = np.empty(0, np.int64)
        self.kind = self._collection.kind

    def _take_up(self) -> bool:
        """Go on from what the collection says of itself; False if it has lost rows."""
        state = self._collection.state(newest=True)
        size = self._collection.size()
        if size < state.rows:
            return False
        self._know(state, size)
        self._collection.has_changed()
        return True

    def _is_behind(self) -> bool:
        """Take up what another process has done since :meth:`refresh`, if that is anything.

        If not, delete what one that ended halfway left: its rows may have gone from the library.
        """
        state, size = self._collection.state(newest=True), self._collection.size()
        is_behind = state[:2] != self._state[:2]
        if size > state.rows and not is_behind:
            self._collection.delete_after(state.last_seq)
            size = self._collection.size()
        self._know(state, size)
        return is_behind

    def _put_state(self, last_seq: int, last_removal: int) -> None:
        size = self._collection.size()
        state = State(last_seq, last_removal, size)
        self._collection.put_state(state)
        self._know(state, size)
