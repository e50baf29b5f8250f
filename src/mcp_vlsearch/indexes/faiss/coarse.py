"""Search in two steps: a coarse FAISS index proposes rows, which are then compared exactly.

So scores are exact cosines whatever the coarse index is, and only rows that it does not propose can
be missed. Its ids are the numbers of the base's rows.
"""

import math
import threading
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mcp_vlsearch.indexes.faiss.rows import RowFile
from mcp_vlsearch.indexes.faiss.selecting import Bits, Places, lib, selector

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Vectors

__all__ = ["MEASURED_HITS", "Coarse", "effort_name", "look_up"]

MEASURED_HITS: Final = 10
"""Recall is measured for so many hits; who wants more of them looks at more."""
_EXACT_PART: Final = 4
"""If more than one row in so many would be compared exactly, all are."""
_GRAPH_PART: Final = 4
"""A graph is not walked for fewer than one row in so many: its way leads through all others."""
_MORE: Final = 4
"""How many times more is compared where some rows are left out: those left may score much alike."""
_MOST: Final = 32
_SPARE: Final = 2
"""How many times more an index proposes that can't leave out removed rows."""
_MOST_ON_GPU: Final = 2048
"""Rows that FAISS finds at most on a GPU."""
_RANKED_LISTS: Final = 8192
_COUNTED: Final = 2**17
"""Rows that are looked at to say how many are left in each list."""


def effort_name(index: Any) -> str:
    """Return FAISS's name of how much of an index a search looks at; empty if it is all of it."""
    if lib.try_extract_index_ivf(index) is not None:
        return "nprobe"
    return "efSearch" if isinstance(_inner(index), lib.IndexHNSW) else ""


def look_up(index: Any, queries: "Vectors", count: int, effort: int, bits: Bits | None) -> Places:
    """Return the rows that an index proposes, best first, shape (len(queries), count); -1: none."""
    chosen = None if bits is None else selector(bits)
    rows: Places = index.search(queries, count, params=_parameters(index, effort, chosen))[1]
    return rows


class Coarse:
    """A coarse index of a base's rows; any number of threads may search it.

    ``gpu`` is a copy of it on GPUs. It may also stand alone: then rows that a filter leaves are
    all compared.
    """

    def __init__(
        self, index: Any, rows: RowFile, effort: int, candidates: int, gpu: Any = None
    ) -> None:
        self._index = index
        self._gpu = gpu
        self._rows = rows
        self._effort = effort
        self._candidates = candidates
        self._ivf: Any = None if index is None else lib.try_extract_index_ivf(index)
        self.effort_name = "" if index is None else effort_name(index)
        self._knows_selectors = index is not None
        self._list_of_row: Any = None
        self._counted: tuple[Bits | None, Any] = None, None
        self._gpu_turn = threading.Lock()

    def nearest(
        self, queries: "Vectors", k: int, bits: Bits | None, left: int, is_filter: bool
    ) -> "tuple[Vectors, Places]":
        """Return exact scores and rows of the ``k`` nearest of the ``left`` whose bit is set.

        Unless ``is_filter``, the others are removed rows, which lie anywhere: while they are few,
        nothing more need be looked at.
        """
        hits = max(k, MEASURED_HITS)
        wanted = hits * self._candidates
        effort = math.ceil(self._effort * self._growth(hits / MEASURED_HITS))
        least = k
        if bits is not None and self._knows_selectors and (is_filter or left * 2 < len(bits)):
            wanted = hits * min(self._candidates * _MORE, max(self._candidates, _MOST))
            wider = self._wider(queries, bits, left, effort)
            if wider is None:
                return self._rows.nearest(queries, k, bits)
            effort, least = wider, k if self._ivf is not None else wanted
        if wanted * _EXACT_PART > left:
            return self._rows.nearest(queries, k, bits)
        proposed = self._proposed(queries, wanted, effort, bits, is_filter)
        if proposed is None:
            return self._rows.nearest(queries, k, bits)
        return self._compared(queries, k, proposed, bits, min(least, left))

    def _growth(self, more: float) -> float:
        """Return how much more is looked at for so many times more hits.

        They lie in neighbouring lists; in a graph each is a step.
        """
        return more if self._ivf is None else math.sqrt(more)

    def _wider(self, queries: "Vectors", bits: Bits, left: int, effort: int) -> int | None:
        """Return how much to look at so that no recall is lost; None if it is too much."""
        if self._ivf is not None:
            return self._lists_to_probe(queries, bits, left, effort)
        if not self.effort_name:  # it looks at every row anyway
            return effort
        if left * _GRAPH_PART < len(bits):
            return None
        return effort * len(bits) // left

    def _lists_to_probe(self, queries: "Vectors", bits: Bits, left: int, effort: int) -> int:
        """Return how many lists hold enough of the rows that are left.

        They are the more lists, the fewer rows are left of each, and may all come late, as what is
        left may lie far from the query. Hits are as far apart as so many more hits among all rows
        would be, for which the lists grow with the square root; then the rows in them shrink so.
        """
        lists = self._ivf.nlist
        in_list = self._left_in_lists(bits)
        ranked = min(lists, _RANKED_LISTS)
        _, order = self._ivf.quantizer.search(_transformed(self._index, queries), ranked)
        among_all = len(bits) * min(effort, lists) / lists
        enough = min(left, math.ceil(among_all * math.sqrt(left / len(bits))))
        reached = np.where(order < 0, 0, in_list[order]).cumsum(axis=1) >= enough
        if not reached[:, -1].all():
            return int(lists)
        return int(reached.argmax(axis=1).max()) + 1

    def _left_in_lists(self, bits: Bits) -> Any:
        """Return about how many rows of each list are left; kept for the next call with them."""
        counted, in_list = self._counted
        if counted is not bits:
            step = max(1, len(bits) // _COUNTED)
            lists = self._lists_of_rows()[::step][bits[::step]]
            in_list = step * np.bincount(lists, minlength=self._ivf.nlist)
            self._counted = bits, in_list
        return in_list

    def _lists_of_rows(self) -> Any:
        """Return the list that each row is in, shape (rows,)."""
        if self._list_of_row is None:
            found = np.zeros(self._rows.count, np.int32)
            stored = self._ivf.invlists
            for number in range(self._ivf.nlist):
                size = stored.list_size(number)
                if size:
                    ids = stored.get_ids(number)
                    found[lib.rev_swig_ptr(ids, size)] = number
                    stored.release_ids(number, ids)
            self._list_of_row = found
        return self._list_of_row

    def _proposed(
        self, queries: "Vectors", wanted: int, effort: int, bits: Bits | None, is_filter: bool
    ) -> Places | None:
        """Return proposed rows, shape (len(queries), wanted or more); None if there is no way."""
        if not is_filter and self._gpu is not None and wanted * _SPARE <= _MOST_ON_GPU:
            with self._gpu_turn:
                return _look_up_on_gpus(self._gpu, queries, wanted * _SPARE, effort)
        if bits is None or self._knows_selectors:
            try:
                return look_up(self._index, queries, wanted, effort, bits)
            except RuntimeError:
                if bits is None:
                    raise
                self._knows_selectors = False
        if is_filter or self._index is None:
            return None
        return look_up(self._index, queries, wanted * _SPARE, effort, None)

    def _compared(
        self, queries: "Vectors", k: int, proposed: Places, bits: Bits | None, least: int
    ) -> "tuple[Vectors, Places]":
        """Compare what is proposed for each query, or every row if that is less than ``least``."""
        scores = np.full((len(queries), k), -np.inf, np.float32)
        rows = np.full((len(queries), k), -1, np.int64)
        for number, some in enumerate(proposed):
            some = some[some >= 0]
            some = some if bits is None else some[bits[some]]
            query = queries[number : number + 1]
            if len(some) < least:
                found = self._rows.nearest(query, k, bits)
            else:
                found = self._rows.nearest_of(query, k, some)
            count = found[1].shape[1]
            scores[number, :count], rows[number, :count] = found[0][0], found[1][0]
        return scores, rows


def _inner(index: Any) -> Any:
    """Return what is behind transformations of the vectors."""
    index = lib.downcast_index(index)
    return _inner(index.index) if isinstance(index, lib.IndexPreTransform) else index


def _transformed(index: Any, queries: "Vectors") -> "Vectors":
    index = lib.downcast_index(index)
    if not isinstance(index, lib.IndexPreTransform):
        return queries
    for number in range(index.chain.size()):
        queries = lib.downcast_VectorTransform(index.chain.at(number)).apply(queries)
    return queries


def _parameters(index: Any, effort: int, chosen: Any) -> Any:
    """Return FAISS's search parameters, whose class must fit the index."""
    index = lib.downcast_index(index)
    if isinstance(index, lib.IndexPreTransform):
        return lib.SearchParametersPreTransform(
            index_params=_parameters(index.index, effort, chosen)
        )
    if isinstance(index, lib.IndexRefine):
        return lib.IndexRefineSearchParameters(
            k_factor=index.k_factor,
            base_index_params=_parameters(index.base_index, effort, chosen),
        )
    if isinstance(index, lib.IndexIVF):
        return lib.SearchParametersIVF(nprobe=min(max(effort, 1), index.nlist), sel=chosen)
    if isinstance(index, lib.IndexHNSW):
        return lib.SearchParametersHNSW(efSearch=max(effort, 1), sel=chosen)
    return None if chosen is None else lib.SearchParameters(sel=chosen)


def _look_up_on_gpus(gpu: Any, queries: "Vectors", count: int, effort: int) -> Places:
    if effort:
        lib.GpuParameterSpace().set_index_parameter(gpu, "nprobe", effort)
    rows: Places = gpu.search(queries, count)[1]
    return rows
