"""One query over many rows in several threads: FAISS by itself divides queries, never rows."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mcp_vlsearch.indexes.boundary import merged
from mcp_vlsearch.indexes.faiss.selecting import Bits, Places, lib, selector

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Vectors

__all__ = ["PART_BYTES", "nearest"]

PART_BYTES: Final = 16 * 2**20
"""Rows that a thread compares in a millisecond, which is worth waking another one up for."""
_THREADS: Final[int] = lib.omp_get_max_threads()


class _Count:
    """How many threads are at something."""

    def __init__(self) -> None:
        self._now = 0
        self._turn = threading.Lock()

    @contextmanager
    def one_more(self) -> Iterator[int]:
        """Give how many there are with this one."""
        with self._turn:
            self._now += 1
            now = self._now
        try:
            yield now
        finally:
            with self._turn:
                self._now -= 1


_BUSY: Final = _Count()


def nearest(
    index: Any, queries: "Vectors", k: int, bits: Bits | None = None
) -> "tuple[Vectors, Places]":
    """Compare every row of a flat index, or every row whose bit is set; return scores and rows.

    They have the shape (len(queries), k), best first, with -1 where there are fewer rows.
    """
    chosen = None if bits is None else selector(bits)
    compared = index.ntotal if bits is None else int(np.count_nonzero(bits))
    with _BUSY.one_more() as searches:
        parts = min(_THREADS // searches, compared * index.code_size // PART_BYTES)
        if len(queries) > 1 or parts < 2:
            found: tuple[Vectors, Places] = index.search(queries, k, params=_only(chosen))
            return found
        return merged(_in_parts(index, queries, k, chosen, parts), 1, k)


def _in_parts(
    index: Any, query: "Vectors", k: int, chosen: Any, parts: int
) -> "list[tuple[Vectors, Places]]":
    bounds = np.linspace(0, index.ntotal, parts + 1).astype(int).tolist()
    mine, *others = (
        partial(_within, index, query, k, chosen, first, end) for first, end in pairwise(bounds)
    )
    asked = [_helpers().submit(part) for part in others]
    # What nobody has begun by then, as where other searches keep them busy, is done here.
    return [mine()] + [
        part() if each.cancel() else each.result() for part, each in zip(others, asked, strict=True)
    ]


def _within(
    index: Any, query: "Vectors", k: int, chosen: Any, first: int, end: int
) -> "tuple[Vectors, Places]":
    some = lib.IDSelectorRange(first, end)
    if chosen is not None:
        some = lib.IDSelectorAnd(some, chosen)
    found: tuple[Vectors, Places] = index.search(query, k, params=_only(some))
    return found


def _only(chosen: Any) -> Any:
    return None if chosen is None else lib.SearchParameters(sel=chosen)


@cache
def _helpers() -> ThreadPoolExecutor:
    """Return the threads beside the one that searches; each is to start no others."""
    return ThreadPoolExecutor(
        _THREADS - 1, "faiss", initializer=lib.omp_set_num_threads, initargs=(1,)
    )
