"""Work that is done ahead stays in order and within its bounds, and never stands still."""

import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mcp_vlsearch.core import ahead as module
from mcp_vlsearch.core import batch, intake
from mcp_vlsearch.core.ahead import ahead
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.progress import Progress, silent
from mcp_vlsearch.settings import Settings
from tests.core.conftest import paint
from tests.core.mosaic import MosaicEncoder, vector_of

WORKERS = 3


class Crowd:
    """Knows how many results are there, and how many threads wait for room."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.waiting = self.done = self.held = self.peak = 0

    def count(self, *, waiting: int = 0, done: int = 0, held: int = 0) -> None:
        with self.changed:
            self.waiting += waiting
            self.done += done
            self.held += held
            self.peak = max(self.peak, self.held)
            self.changed.notify_all()

    def settle(self, total: int) -> None:
        """Wait until the threads have done all that they may."""
        with self.changed:
            assert self.changed.wait_for(
                lambda: self.waiting == WORKERS or self.done + self.waiting == total, 60
            )


@pytest.fixture
def crowd(monkeypatch: pytest.MonkeyPatch) -> Crowd:
    """The threads of every run, of which there are :data:`WORKERS`."""
    crowd = Crowd()

    class Room(module._Room):
        def wait(self, number: int) -> None:
            full = self._left <= 0 and number != self._next
            crowd.count(waiting=full)
            super().wait(number)
            crowd.count(waiting=-full)

    monkeypatch.setattr(module, "_Room", Room)
    monkeypatch.setattr(os, "cpu_count", lambda: WORKERS)
    return crowd


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(WORKERS) as pool:
        yield pool


def as_it_is(item: int) -> int:
    return item


def test_results_come_in_the_order_of_the_items_whichever_is_done_first(
    pool: ThreadPoolExecutor,
) -> None:
    second_done = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert second_done.wait(60)
        if item == 1:
            second_done.set()
        return item

    assert list(ahead(pool, work, range(50), 5, as_it_is, 10)) == list(range(50))


def test_no_more_than_the_window_is_taken_from_the_items(pool: ThreadPoolExecutor) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(20):
            taken.append(item)
            yield item

    with closing(ahead(pool, as_it_is, items(), 4, as_it_is, 1000)) as results:
        for result in results:
            assert len(taken) == min(result + 5, 20)


@pytest.mark.parametrize("sizes", [[1], [40], [1, 1, 40], [40, 1, 1, 1], [7, 0, 19]])
def test_what_waits_to_be_taken_exceeds_the_budget_by_one_result_per_thread_at_most(
    pool: ThreadPoolExecutor, crowd: Crowd, sizes: list[int]
) -> None:
    items = sizes * 40
    budget = 50

    def work(item: int) -> int:
        crowd.count(done=1, held=item)
        return item

    with closing(ahead(pool, work, items, len(items), as_it_is, budget)) as results:
        for result in results:
            crowd.count(held=-result)
            crowd.settle(len(items))
    assert crowd.done == len(items)
    assert crowd.peak <= budget + (WORKERS + 1) * max(sizes)  # one is taken, but not counted yet
    assert sum(items) > 2 * crowd.peak or max(sizes) == 1


def test_a_result_larger_than_the_budget_goes_through(pool: ThreadPoolExecutor) -> None:
    assert list(ahead(pool, as_it_is, [100] * 20, 20, as_it_is, 1)) == [100] * 20


def test_no_thread_waits_for_room_any_more_after_a_failure(crowd: Crowd) -> None:
    def work(item: int) -> int:
        crowd.count(done=1)
        if item == 0:
            with crowd.changed:
                assert crowd.changed.wait_for(lambda: crowd.waiting == WORKERS - 1, 60)
            raise ValueError("damaged")
        return item

    with (
        ThreadPoolExecutor(WORKERS) as pool,  # leaving it waits for its threads
        closing(ahead(pool, work, range(99), 99, lambda _: 10, 5)) as results,
        pytest.raises(ValueError, match="damaged"),
    ):
        next(results)
    assert crowd.done < 99


def test_no_thread_waits_for_room_any_more_when_nobody_wants_the_rest(crowd: Crowd) -> None:
    def work(item: int) -> int:
        crowd.count(done=1)
        return item

    with (
        ThreadPoolExecutor(WORKERS) as pool,
        closing(ahead(pool, work, range(99), 99, lambda _: 10, 5)) as results,
    ):
        assert next(results) == 0
        crowd.settle(99)
    assert crowd.done < 99


class Ready:
    """A prepared picture that tells when it is let go of."""

    def __init__(self, image: Image.Image, nbytes: int, crowd: Crowd) -> None:
        self.vector = vector_of(image)
        self.nbytes = nbytes
        self._crowd = crowd
        crowd.count(done=1, held=nbytes)

    def __del__(self) -> None:
        self._crowd.count(held=-self.nbytes)


class Preparing(MosaicEncoder):
    """Prepares pictures, each as large as its height says, and notes in which threads."""

    def __init__(self, settings: Settings, crowd: Crowd, before: Callable[[], None]) -> None:
        super().__init__(settings)
        self.crowd = crowd
        self.before = before
        self.threads: set[str] = set()
        self.seen: list[weakref.ref[Ready]] = []

    def prepare(self, image: Image.Image) -> Ready:
        self.threads.add(threading.current_thread().name.split("_")[0])
        return Ready(image, 1000 * image.height**2, self.crowd)

    def encode_images(self, images: Sequence[Image.Image | Ready]) -> NDArray[np.float32]:
        self.before()
        ready = [image for image in images if isinstance(image, Ready)]
        assert len(ready) == len(images)
        self.seen += map(weakref.ref, ready)
        self.encoded.append(len(images))
        return np.stack([image.vector for image in ready])


@pytest.fixture
def sizes(photos: Path) -> list[int]:
    """Forty more photos, of which every fourth is large once it is prepared: its bytes."""
    for number in range(100, 140):
        path = paint(photos / f"{number}.png", number)
        if number % 4:
            Image.open(path).resize((8, 8)).save(path)
    return [
        1000 * (64**2 if n < 100 or n % 4 == 0 else 8**2) for n in [*range(10), *range(100, 140)]
    ]


def index(
    library: Library, encoder: Preparing, report: Callable[[Progress], None] = silent
) -> None:
    with Library(library.settings, lambda _: encoder) as preparing:
        assert preparing.index(report=report).encoded == 50
        for path in preparing.settings.library.parent.rglob("photos/**/*.png"):
            hit = preparing.search_by_image(str(path)).hits[0]
            assert (hit.path, round(hit.score, 3)) == (str(path), 1)


def test_prepared_pictures_take_bounded_memory_whatever_their_sizes(
    library: Library, sizes: list[int], crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    largest = max(sizes)
    monkeypatch.setattr(batch, "BATCH_BYTES", 2 * largest)
    monkeypatch.setattr(intake, "AHEAD_BYTES", 4 * largest)
    settings = library.settings.model_copy(update={"batch_size": 40})
    encoder = Preparing(settings, crowd, lambda: crowd.settle(len(sizes)))
    index(library, encoder)
    # ahead: the budget and one of each thread; in the batch: its limit and one; one on its way
    assert 5 * largest < crowd.peak <= (4 + WORKERS + 2 + 1 + 1) * largest
    assert sum(sizes) > 18 * largest
    assert len(encoder.encoded) > 5


@pytest.mark.usefixtures("sizes")
def test_pictures_that_are_encoded_are_let_go_of_before_the_next_batch_comes(
    library: Library, crowd: Crowd
) -> None:
    encoder = Preparing(library.settings, crowd, lambda: None)

    def report(progress: Progress) -> None:
        del progress
        # the pipeline's loops still know the last one
        assert sum(picture() is not None for picture in encoder.seen) <= 1

    index(library, encoder, report)
    assert len(encoder.seen) == 50


@pytest.mark.usefixtures("sizes")
def test_the_next_batch_is_prepared_by_other_threads_while_one_is_encoded(
    library: Library, crowd: Crowd
) -> None:
    batches = iter(range(1, 100))

    def wait_for_the_next() -> None:
        with crowd.changed:
            wanted = min(4 * (next(batches) + 1), 50)
            assert crowd.changed.wait_for(lambda: crowd.done >= wanted, 60)

    encoder = Preparing(library.settings, crowd, wait_for_the_next)
    index(library, encoder)
    assert encoder.threads == {"prepare"}
