"""The FAISS index keeps the contract, also under threads and odd input."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mcp_vlsearch import plugins
from mcp_vlsearch.contracts import Space, VectorIndex
from mcp_vlsearch.errors import MissingExtraError, QueryError
from mcp_vlsearch.indexes.faiss import FaissIndex
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.testing import check_index

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs, Vectors

DIM = 16


SPACE = Space("0123456789abcdef", DIM)


def make(space: Space = SPACE) -> FaissIndex:
    return FaissIndex(Settings(library=Path("unused")), space)


def unit(count: int, seed: int = 0) -> Vectors:
    rows = np.random.default_rng(seed).standard_normal((count, DIM))
    vectors: Vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return vectors


def numbers(first: int, last: int) -> Seqs:
    return np.arange(first, last + 1)


def test_the_index_keeps_the_contract() -> None:
    check_index(make)


def test_the_index_is_made_by_name() -> None:
    factory = plugins.resolve("indexes", "faiss")
    index: VectorIndex = factory(Settings(library=Path("unused")), SPACE)
    assert (index.name, index.kind) == ("faiss", "SQfp16")


def test_a_missing_faiss_is_an_error_with_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    for name in [name for name in sys.modules if name.startswith("mcp_vlsearch.indexes.faiss")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtraError, match=r"pip install 'mcp-vlsearch\[cpu\]'"):
        plugins.resolve("indexes", "faiss")


def test_scores_are_those_of_half_precision_vectors() -> None:
    index, vectors, query = make(), unit(500), unit(1, seed=1)
    index.add(numbers(1, 500), vectors)
    scores, seqs = index.search(query, 500)
    half = vectors.astype(np.float16).astype(np.float32)
    assert np.allclose(scores[0], (half @ query[0])[seqs[0] - 1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_query_that_is_not_made_of_numbers_is_refused(wrong: float) -> None:
    index, query = make(), unit(2)
    query[1, 3] = wrong
    with pytest.raises(QueryError, match="not made of numbers"):
        index.search(query, 3)


def test_a_query_of_another_space_is_refused() -> None:
    with pytest.raises(QueryError, match="dim is 16"):
        make().search(np.ones((1, DIM + 1), np.float32), 3)
    with pytest.raises(QueryError):
        make().search(unit(1)[0], 3)
    with pytest.raises(QueryError):
        make().search(unit(1), 0)


def test_rows_in_any_layout_and_precision_are_the_same_rows() -> None:
    index, vectors = make(), unit(50)
    index.add(numbers(1, 50), np.asfortranarray(vectors))
    _, seqs = index.search(np.asfortranarray(vectors[::-1].astype(np.float64)), 1)
    assert seqs[:, 0].tolist() == list(range(50, 0, -1))


@pytest.mark.parametrize("seqs", [[3, 4], [6, 6], [8, 7], [5, 9]])
def test_seqs_that_do_not_grow_are_refused_and_nothing_is_added(seqs: list[int]) -> None:
    index = make()
    index.add(numbers(1, 5), unit(5))
    with pytest.raises(ValueError, match="seqs must grow, from 6 on"):
        index.add(np.array(seqs), unit(2))
    assert len(index) == index.last_seq == 5


def test_rows_of_another_shape_are_refused_and_nothing_is_added() -> None:
    index = make()
    with pytest.raises(ValueError, match="shape"):
        index.add(numbers(1, 3), unit(2))
    assert len(index) == index.last_seq == 0


def test_a_row_without_numbers_is_never_found_and_spoils_no_other() -> None:
    index, vectors = make(), unit(20)
    broken = vectors.copy()
    broken[7] = np.nan
    index.add(numbers(1, 20), broken)
    scores, seqs = index.search(vectors, 20)
    assert 8 not in seqs
    assert np.isfinite(scores[seqs >= 0]).all()
    assert np.delete(seqs[:, 0], 7).tolist() == np.delete(numbers(1, 20), 7).tolist()


def test_searches_in_threads_see_whole_blocks_while_others_add_and_remove() -> None:
    index, vectors, stop = make(), unit(2000), threading.Event()
    index.add(numbers(1, 1000), vectors[:1000])

    def search(seed: int) -> int:
        searches = 0
        while not stop.is_set() or not searches:
            query = vectors[[seed]]
            scores, seqs = index.search(query, 5)
            exact = vectors[seqs[0] - 1] @ query[0]
            assert np.allclose(scores[0], exact, rtol=0, atol=2e-3)
            assert seqs[0, 0] == seed + 1
            searches += 1
        return searches

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(search, seed) for seed in range(4)]
        try:
            for first in range(1001, 2001, 20):
                index.add(numbers(first, first + 19), vectors[first - 1 : first + 19])
                index.remove(numbers(first - 900, first - 895), first)
        finally:
            stop.set()
        assert all(future.result() >= 1 for future in running)
    assert len(index) == 2000 - 50 * 6


def test_nothing_is_added_or_removed_during_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    index, vectors = make(), unit(10)
    index.add(numbers(1, 5), vectors[:5])
    searching, go_on = threading.Event(), threading.Event()

    class Slow:
        """Stands before FAISS and waits in the middle of a search."""

        def __init__(self, real: Any) -> None:
            self.real = real

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

        def search(self, *arguments: Any, **options: Any) -> Any:
            searching.set()
            assert go_on.wait(10)
            return self.real.search(*arguments, **options)

    monkeypatch.setattr(index._tail, "_rows", Slow(index._tail._rows))
    with ThreadPoolExecutor(4) as pool:
        searches = [pool.submit(index.search, vectors[:1], 10) for _ in range(2)]
        assert searching.wait(10)
        adding = pool.submit(index.add, numbers(6, 10), vectors[5:])
        with pytest.raises(TimeoutError):
            adding.result(0.05)
        assert len(index) == 5
        go_on.set()
        adding.result(10)
        for search in searches:
            assert search.result(10)[1].shape == (1, 10)
    assert len(index) == 10
