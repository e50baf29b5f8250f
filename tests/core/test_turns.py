"""Searches go first, go together and cost nothing the second time."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mcp_vlsearch.contracts import Query
from mcp_vlsearch.core.encoding import EncoderSlot
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.progress import silent
from mcp_vlsearch.core.query_cache import QueryCache
from mcp_vlsearch.core.turns import Turns
from mcp_vlsearch.errors import EncoderError
from mcp_vlsearch.settings import load_settings
from tests.core.mosaic import MosaicEncoder

Vectors = NDArray[np.float32]


class Gate:
    """An encoder of numbers, whose first call waits until the test opens the gate."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.entered = threading.Event()
        self.open = threading.Event()

    def __call__(self, items: Sequence[int]) -> Vectors:
        self.calls.append(list(items))
        self.entered.set()
        assert self.open.wait(60)
        if -1 in items:
            raise EncoderError("minus one can't be encoded")
        return np.array([[item] for item in items], np.float32)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


class Crowd:
    """Threads that stand in line, in a known order."""

    def __init__(self, turns: Turns, gate: Gate) -> None:
        self.turns = turns
        self.gate = gate
        self.pool = ThreadPoolExecutor(64)

    def search(self, *items: int, most: int = 64) -> "Future[Vectors]":
        return self._enter(self.turns._searches, self.turns.search, items, most)

    def index(self, *items: int, most: int = 4) -> "Future[Vectors]":
        return self._enter(self.turns._pictures, self.turns.index, items, most)

    def _enter(
        self, line: list[Any], run: Callable[..., Vectors], items: Sequence[int], most: int
    ) -> "Future[Vectors]":
        is_first, before = not self.gate.entered.is_set(), len(line)
        future = self.pool.submit(run, items, self.gate, most)
        if is_first:
            assert self.gate.entered.wait(60)
        else:
            with self.turns._changed:
                while len(line) == before:
                    self.turns._changed.wait(0.001)  # joining a line notifies nobody
        return future


@pytest.fixture
def crowd(gate: Gate) -> Iterator[Crowd]:
    crowd = Crowd(Turns(), gate)
    yield crowd
    gate.open.set()
    crowd.pool.shutdown()


def values(future: "Future[Vectors]") -> list[float]:
    return [float(value) for value in future.result(60)[:, 0]]


def test_searches_that_wait_together_are_encoded_in_one_call(crowd: Crowd, gate: Gate) -> None:
    first = crowd.search(1)
    waiting = [crowd.search(2), crowd.search(3, 4), crowd.search(5)]
    gate.open.set()
    assert values(first) == [1]
    assert [values(future) for future in waiting] == [[2], [3, 4], [5]]
    assert gate.calls == [[1], [2, 3, 4, 5]]


def test_a_search_goes_before_pictures_that_came_earlier(crowd: Crowd, gate: Gate) -> None:
    done = [crowd.index(1), crowd.index(2, 3, 4, 5), crowd.index(6), crowd.search(7)]
    gate.open.set()
    assert [values(future) for future in done] == [[1], [2, 3, 4, 5], [6], [7]]
    assert gate.calls[:2] == [[1], [7]]


def test_pictures_of_several_callers_fill_a_batch_and_not_more(crowd: Crowd, gate: Gate) -> None:
    done = [crowd.index(*items) for items in ((0,), (1, 2), (3, 4), (5,), (6, 7, 8, 9, 10))]
    gate.open.set()
    assert [values(future) for future in done][1:] == [[1, 2], [3, 4], [5], [6, 7, 8, 9, 10]]
    assert gate.calls == [[0], [1, 2, 3, 4], [5], [6, 7, 8, 9, 10]]


def test_work_that_goes_alone_takes_its_turn_with_the_searches(crowd: Crowd, gate: Gate) -> None:
    calls: list[object] = []

    def explain(item: int) -> str:
        calls.append((item, len(gate.calls)))
        return "explained"

    first, pictures = crowd.index(1), crowd.index(2)
    before = crowd.search(3)
    alone = crowd.pool.submit(crowd.turns.alone, 4, explain)
    with crowd.turns._changed:
        while len(crowd.turns._searches) < 2:
            crowd.turns._changed.wait(0.001)
    after = crowd.search(5)
    gate.open.set()
    assert alone.result(60) == "explained"
    assert [values(future) for future in (first, pictures, before, after)] == [[1], [2], [3], [5]]
    assert gate.calls == [[1], [3], [5], [2]]
    assert calls == [(4, 2)]


def test_work_that_fails_alone_fails_its_caller_only(crowd: Crowd, gate: Gate) -> None:
    gate.open.set()
    with pytest.raises(ZeroDivisionError):
        crowd.turns.alone(0, lambda item: 1 / item)
    assert values(crowd.search(1)) == [1]


def test_a_request_that_fails_does_not_fail_those_beside_it(crowd: Crowd, gate: Gate) -> None:
    done = [crowd.search(1), crowd.search(2), crowd.search(-1), crowd.search(3)]
    gate.open.set()
    assert values(done[1]) == [2]
    assert values(done[3]) == [3]
    with pytest.raises(EncoderError, match="minus one"):
        done[2].result(60)


def test_a_stream_of_searches_does_not_stop_indexing(crowd: Crowd, gate: Gate) -> None:
    first = crowd.search(0)
    pictures = crowd.index(100)
    searches = [crowd.search(item, most=1) for item in range(1, 40)]
    gate.open.set()
    assert values(first) == [0]
    assert values(pictures) == [100]
    assert [values(future) for future in searches] == [[item] for item in range(1, 40)]
    assert gate.calls.index([100]) < 20


def test_a_thread_that_is_interrupted_leaves_the_turn_and_the_work_to_others(
    crowd: Crowd, gate: Gate
) -> None:
    class InterruptError(BaseException):
        pass

    def interrupted(items: Sequence[int]) -> Vectors:
        raise InterruptError(items)

    with pytest.raises(InterruptError):
        crowd.turns.search([1], interrupted, 8)
    gate.open.set()
    assert crowd.turns.index([2], gate, 8) == [[2]]
    assert crowd.turns.search([3], gate, 8) == [[3]]


class CountingEncoder(MosaicEncoder):
    """Remembers the texts that it saw; its first batch of pictures waits for the test."""

    def __init__(self) -> None:
        super().__init__(load_settings({"model": "colours"}, environment={}))
        self.texts: list[list[str]] = []

    def encode_queries(self, queries: Sequence[Query]) -> Vectors:
        self.texts.append([query.text for query in queries])
        return super().encode_queries(queries)


def test_the_same_text_twice_costs_no_encoder_call(library: Library) -> None:
    library.index()
    counting = CountingEncoder()
    library._encoder.ready(silent)
    library._encoder._encoder = counting
    first = library.search_by_text("red")
    again = library.search_by_text("red")
    assert again.hits == first.hits
    assert counting.texts == [["red"]]
    library.search_by_text("red", alternatives=["blue"])
    assert counting.texts == [["red"], ["blue"]]


def test_a_text_is_remembered_under_fingerprint_and_instruction() -> None:
    encoder = CountingEncoder()
    cache = QueryCache("Find it.")
    queries = [Query("red"), Query("blue"), Query("red")]
    expected = MosaicEncoder(load_settings()).encode_queries(queries)
    np.testing.assert_array_equal(cache.encode(encoder, queries), expected)
    known = cache.known(encoder, queries)
    assert known is not None
    np.testing.assert_array_equal(known, expected)
    encoder.fingerprint = "another"
    assert cache.known(encoder, queries) is None
    assert encoder.texts == [["red", "blue"]], "a text that is asked for twice is encoded once"


def test_composed_queries_are_never_remembered() -> None:
    encoder = CountingEncoder()
    cache = QueryCache("Find it.")
    pictures = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    queries = [Query("green", picture) for picture in pictures]
    vectors = cache.encode(encoder, queries)
    np.testing.assert_array_equal(vectors, encoder.encode_queries(queries))
    assert cache.known(encoder, queries) is None


def test_the_texts_that_were_not_searched_for_longest_are_forgotten() -> None:
    encoder = CountingEncoder()
    cache = QueryCache("Find it.", entries=2)
    for text in ("red", "blue", "red", "green"):
        cache.encode(encoder, [Query(text)])
    assert cache.known(encoder, [Query("red"), Query("green")]) is not None
    assert cache.known(encoder, [Query("blue")]) is None


def test_vectors_of_a_wrong_shape_are_an_error_that_names_the_encoder() -> None:
    encoder = CountingEncoder()
    encoder.dim = 7
    with pytest.raises(EncoderError, match=r"'mosaic' gave vectors of shape \(1, 49\)"):
        QueryCache("Find it.").encode(encoder, [Query("red")])


def test_a_search_is_answered_between_two_batches_of_an_indexing_run(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index([photos / "0.png"])  # a search of an empty library needs no encoder
    entered, go = threading.Event(), threading.Event()
    order: list[str] = []

    def encode_images(self: MosaicEncoder, images: Sequence[Image.Image]) -> Vectors:
        order.append("batch")
        entered.set()
        assert go.wait(60)
        return plain_images(self, images)

    def encode_queries(self: MosaicEncoder, queries: Sequence[Query]) -> Vectors:
        order.append("search")
        return plain_queries(self, queries)

    plain_images, plain_queries = MosaicEncoder.encode_images, MosaicEncoder.encode_queries
    monkeypatch.setattr(MosaicEncoder, "encode_images", encode_images)
    monkeypatch.setattr(MosaicEncoder, "encode_queries", encode_queries)
    slot: EncoderSlot = library._encoder
    with ThreadPoolExecutor() as pool:
        indexing = pool.submit(library.index)
        assert entered.wait(60)
        searching = pool.submit(library.search_by_text, "red")
        with slot._turns._changed:
            while not slot._turns._searches:
                slot._turns._changed.wait(0.001)
        go.set()
        assert searching.result(60).hits is not None
        assert indexing.result(60).encoded == 9
    assert order == ["batch", "search", "batch", "batch"]
