"""A query that is compared with many rows in several threads finds what one thread finds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from mcp_vlsearch.indexes.faiss import parallel
from mcp_vlsearch.indexes.faiss.tail import half_precision
from tests.indexes.stored import DIM, clustered, exact

ROWS = 1000
THREADS = 4
VECTORS = clustered(ROWS)
QUERIES = clustered(20, seed=1)


@pytest.fixture(autouse=True)
def helpers(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadPoolExecutor]:
    monkeypatch.setattr(parallel, "_THREADS", THREADS)
    monkeypatch.setattr(parallel, "PART_BYTES", 100 * 2 * DIM)
    with ThreadPoolExecutor(THREADS - 1) as pool:
        monkeypatch.setattr(parallel, "_helpers", lambda: pool)
        yield pool


@pytest.fixture
def index() -> Any:
    made = half_precision(DIM)
    made.add(VECTORS)
    return made


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    seen: list[tuple[int, int]] = []
    within = parallel._within

    def noted(*given: Any) -> Any:
        seen.append(given[-2:])
        return within(*given)

    monkeypatch.setattr(parallel, "_within", noted)
    return seen


@pytest.mark.parametrize("k", [1, 10, ROWS // THREADS + 50, ROWS])
def test_every_row_is_compared_once(index: Any, parts: list[tuple[int, int]], k: int) -> None:
    for query, right in zip(QUERIES, exact(VECTORS, np.arange(ROWS), QUERIES, k), strict=True):
        scores, rows = parallel.nearest(index, query[None], k)
        assert rows.shape == scores.shape == (1, k)
        cosines = VECTORS @ query
        assert scores[0] == pytest.approx(cosines[right], abs=1e-3)
        assert scores[0] == pytest.approx(cosines[rows[0]], abs=1e-3)
        assert len(set(rows[0].tolist())) == k
    assert sorted(parts[:THREADS]) == [(0, 250), (250, 500), (500, 750), (750, 1000)]


@pytest.mark.parametrize("share", [0.3, 0.5, 0.99])
def test_only_rows_whose_bit_is_set_are_found(
    index: Any, parts: list[tuple[int, int]], share: float
) -> None:
    bits = np.random.default_rng(0).random(ROWS) < share
    left = np.flatnonzero(bits)
    for query, right in zip(QUERIES, exact(VECTORS[left], left, QUERIES, 10), strict=True):
        scores, rows = parallel.nearest(index, query[None], 10, bits)
        assert scores[0] == pytest.approx((VECTORS @ query)[right], abs=1e-3)
        assert bits[rows[0]].all()
    assert parts


def test_where_fewer_rows_are_left_than_asked_for_the_rest_is_none(index: Any) -> None:
    bits = np.arange(ROWS) % 3 == 0
    scores, rows = parallel.nearest(index, QUERIES[:1], ROWS, bits)
    assert sorted(rows[0, : bits.sum()].tolist()) == np.flatnonzero(bits).tolist()
    assert (rows[0, bits.sum() :] == -1).all()
    assert np.isneginf(scores[0, bits.sum() :]).all()


@pytest.mark.parametrize("queries", [1, 2])
def test_few_rows_or_several_queries_are_left_to_faiss(
    index: Any, parts: list[tuple[int, int]], queries: int
) -> None:
    bits = np.arange(ROWS) < (150 if queries == 1 else ROWS)
    rows = parallel.nearest(index, QUERIES[:queries], 5, bits)[1]
    assert rows.shape == (queries, 5)
    assert not parts


def test_a_search_does_the_work_of_threads_that_are_busy(
    index: Any, helpers: ThreadPoolExecutor
) -> None:
    done = threading.Event()
    others = [helpers.submit(done.wait) for _ in range(THREADS)]
    (found,) = parallel.nearest(index, QUERIES[:1], 10)[1]
    assert not any(other.done() for other in others)
    done.set()
    assert set(found.tolist()) == set(exact(VECTORS, np.arange(ROWS), QUERIES[:1], 10)[0])


def test_searches_at_the_same_time_find_what_each_finds_alone(
    index: Any, parts: list[tuple[int, int]]
) -> None:
    alone = [parallel.nearest(index, query[None], 10)[1][0].tolist() for query in QUERIES]
    split = len(parts)
    together = threading.Barrier(8)

    def search(_thread: int) -> list[list[int]]:
        together.wait()
        return [parallel.nearest(index, query[None], 10)[1][0].tolist() for query in QUERIES]

    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(search, range(8)):
            assert [set(each) for each in found] == [set(each) for each in alone]
    parallel.nearest(index, QUERIES[:1], 10)
    assert parts[-THREADS:]
    assert len(parts) >= split + THREADS  # nobody is counted as searching any more


def test_a_search_that_fails_in_one_thread_fails_and_counts_no_longer(
    index: Any, monkeypatch: pytest.MonkeyPatch, parts: list[tuple[int, int]]
) -> None:
    within = parallel._within

    def failing(*given: Any) -> Any:
        if given[-2]:
            raise MemoryError
        return within(*given)

    with monkeypatch.context() as patch:
        patch.setattr(parallel, "_within", failing)
        with pytest.raises(MemoryError):
            parallel.nearest(index, QUERIES[:1], 10)
    parts.clear()
    parallel.nearest(index, QUERIES[:1], 10)
    assert len(parts) == THREADS
