"""The Milvus index keeps the contract, in this process and over a server of its own."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymilvus import MilvusClient

from mcp_vlsearch import plugins
from mcp_vlsearch.cache.conditions import sortable
from mcp_vlsearch.contracts import FilteringIndex, ImageFacts, SharedIndex, Space
from mcp_vlsearch.errors import LibraryBusyError, LibraryError, MissingExtraError, QueryError
from mcp_vlsearch.indexes.milvus import MilvusIndex, collection, index
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.testing import check_index
from mcp_vlsearch.types import Filters
from tests.milvus_server import milvus_server

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs, Vectors

DIM = 16
names = (f"library{number}" for number in itertools.count(1))

Make = Callable[[Space], MilvusIndex]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of a server for all tests."""
    with milvus_server(tmp_path_factory.mktemp("server") / "data") as uri:
        yield uri


@pytest.fixture(params=["file", "server"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of a library whose vectors lie in a file of its own, or in the server."""
    uri = request.getfixturevalue("server") if request.param == "server" else None
    return Settings(library=tmp_path, milvus_uri=uri)


@pytest.fixture
def make(settings: Settings) -> Iterator[Make]:
    """Make an index; one that is made for no library gets a new one."""
    made: list[MilvusIndex] = []

    def make(space: Space) -> MilvusIndex:
        library = space.library or next(names)
        made.append(MilvusIndex(settings, Space(space.fingerprint, space.dim, library)))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def space() -> Space:
    """The space of a library that is new."""
    return Space("0123456789abcdef", DIM, next(names))


@pytest.fixture
def client(settings: Settings) -> Iterator[MilvusClient]:
    """Somebody else's way to the same Milvus."""
    client = MilvusClient(settings.milvus_uri or str(settings.library / "milvus.db"))
    yield client
    client.close()


def unit(count: int, seed: int = 0) -> Vectors:
    rows = np.random.default_rng(seed).standard_normal((count, DIM))
    vectors: Vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return vectors


def numbers(first: int, last: int) -> Seqs:
    return np.arange(first, last + 1)


def found(index: MilvusIndex) -> set[int]:
    """Return the seqs of all rows that a search finds; each is found once."""
    seqs = index.search(unit(1), max(len(index), 1) + 5)[1][0]
    seqs = seqs[seqs > 0]
    assert len(seqs) == len(set(seqs.tolist())) == len(index)
    return set(seqs.tolist())


def collection_of(client: MilvusClient, space: Space) -> str:
    [name] = [name for name in client.list_collections() if f"_{space.library}_" in name]
    return str(name)


def test_the_index_keeps_the_contract(make: Make, space: Space) -> None:
    one = make(space)
    assert isinstance(one, SharedIndex)
    assert isinstance(one, FilteringIndex)
    check_index(make)


def test_the_index_is_made_by_name_and_touches_nothing_before_it_is_used(tmp_path: Path) -> None:
    factory = plugins.resolve("indexes", "milvus")
    made = factory(Settings(library=tmp_path), Space("a", DIM, "b"))
    assert (made.name, made.kind) == ("milvus", "FLAT")
    elsewhere = Settings(library=tmp_path, milvus_uri="http://127.0.0.1:9")
    assert factory(elsewhere, Space("a", DIM, "b")).kind == "AUTOINDEX"
    assert list(tmp_path.iterdir()) == []


def test_a_missing_pymilvus_is_an_error_with_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("mcp_vlsearch.indexes.milvus")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mcp-vlsearch\[milvus\]'"):
        plugins.resolve("indexes", "milvus")


def test_a_missing_milvus_lite_is_an_error_with_the_pip_line(
    tmp_path: Path, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("milvus_lite")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "milvus_lite", None)
    with pytest.raises(MissingExtraError, match=r"'milvus_lite.*pip install 'mcp-vlsearch\[milvus"):
        MilvusIndex(Settings(library=tmp_path), space).refresh()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_query_that_is_not_made_of_numbers_is_refused(
    make: Make, space: Space, wrong: float
) -> None:
    query = unit(2)
    query[1, 3] = wrong
    with pytest.raises(QueryError, match="not made of numbers"):
        make(space).search(query, 3)


def test_a_query_of_another_space_is_refused(make: Make, space: Space) -> None:
    with pytest.raises(QueryError, match="dim is 16"):
        make(space).search(np.ones((1, DIM + 1), np.float32), 3)
    with pytest.raises(QueryError):
        make(space).search(unit(1)[0], 3)
    with pytest.raises(QueryError):
        make(space).search(unit(1), 0)


def test_more_hits_than_milvus_returns_are_refused_in_one_line(
    make: Make, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MilvusIndex, "max_k", 10)
    one = make(space)
    one.add(numbers(1, 11), unit(11))
    assert len(one.search(unit(1), 10)[1][0]) == 10
    with pytest.raises(QueryError, match="10 nearest at most"):
        one.search(unit(1), 11)


def test_rows_in_any_layout_and_precision_are_the_same_rows(make: Make, space: Space) -> None:
    one, vectors = make(space), unit(50)
    one.add(numbers(1, 50), np.asfortranarray(vectors))
    _, seqs = one.search(np.asfortranarray(vectors[::-1].astype(np.float64)), 1)
    assert seqs[:, 0].tolist() == list(range(50, 0, -1))


@pytest.mark.parametrize("seqs", [[3, 4], [6, 6], [8, 7], [5, 9]])
def test_seqs_that_do_not_grow_are_refused_and_nothing_is_added(
    make: Make, space: Space, seqs: list[int]
) -> None:
    one = make(space)
    one.add(numbers(1, 5), unit(5))
    with pytest.raises(ValueError, match="seqs must grow, from 6 on"):
        one.add(np.array(seqs), unit(2))
    assert len(one) == one.last_seq == 5


def test_rows_of_another_shape_are_refused_and_nothing_is_added(make: Make, space: Space) -> None:
    one = make(space)
    with pytest.raises(ValueError, match="shape"):
        one.add(numbers(1, 3), unit(2))
    assert len(one) == one.last_seq == 0


def test_many_rows_queries_and_removals_go_in_several_requests(
    make: Make, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit, value in {"_BYTES": 4 * DIM * 7, "_DELETED": 3, "_QUERIES": 4}.items():
        monkeypatch.setattr(index, limit, value)
    one, vectors = make(space), unit(30)
    one.add(numbers(1, 30), vectors)
    assert one.search(vectors, 1)[1][:, 0].tolist() == list(range(1, 31))
    one.remove(numbers(5, 15), 1)
    assert found(one) == {*range(1, 5), *range(16, 31)}


def test_long_lists_of_seqs_are_searched_in_parts_and_the_best_of_all_come_first(
    make: Make, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "among", lambda seqs: collection_among(seqs, 5))
    one, vectors, queries = make(space), unit(60), unit(3, seed=1)
    one.add(numbers(1, 60), vectors)
    allowed = np.random.default_rng(2).permutation(numbers(1, 60))[:30]
    scores, seqs = one.search(queries, 12, allowed)
    for query, row, row_scores in zip(queries, seqs, scores, strict=True):
        cosines = vectors[allowed - 1] @ query
        best = np.argsort(-cosines)[:12]
        assert row.tolist() == allowed[best].tolist()
        np.testing.assert_allclose(row_scores, cosines[best], atol=1e-6)


def collection_among(seqs: Seqs, longest: int) -> object:
    from mcp_vlsearch.indexes.milvus.expressions import among

    return among(seqs, longest)


def test_searches_in_threads_see_right_rows_while_others_add_and_remove(
    make: Make, space: Space
) -> None:
    one, vectors, stop = make(space), unit(400), threading.Event()
    one.add(numbers(1, 300), vectors[:300])

    def search(seed: int) -> int:
        searches = 0
        while not stop.is_set() or not searches:
            scores, seqs = one.search(vectors[[seed]], 5)
            exact = vectors[seqs[0] - 1] @ vectors[seed]
            np.testing.assert_allclose(scores[0], exact, atol=1e-5)
            assert seqs[0, 0] == seed + 1
            searches += 1
        return searches

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(search, seed) for seed in range(3)]
        try:
            for first in range(301, 401, 20):
                one.add(numbers(first, first + 19), vectors[first - 1 : first + 19])
                one.remove(numbers(first - 200, first - 195), first)
        finally:
            stop.set()
        assert all(future.result() >= 1 for future in running)
    assert len(one) == 400 - 5 * 6


def test_rows_outlive_the_index_and_are_known_again(make: Make, space: Space) -> None:
    first, vectors = make(space), unit(600)
    first.add(numbers(1, 600), vectors)
    first.remove(numbers(1, 10), 4)
    first.close()
    second = make(space)
    assert (len(second), second.last_seq) == (0, 0)
    second.refresh()
    assert (len(second), second.last_seq, second.last_removal) == (590, 600, 4)
    assert second.search(vectors[50:51], 1)[1].tolist() == [[51]]
    assert found(first) == found(second)


def test_a_row_is_found_by_another_index_at_its_next_search(make: Make, space: Space) -> None:
    writer, reader, vectors = make(space), make(space), unit(20)
    for last in (5, 12, 20):
        known = writer.last_seq
        writer.add(numbers(known + 1, last), vectors[known:last])
        reader.refresh()
        assert (reader.last_seq, found(reader)) == (last, set(range(1, last + 1)))
    writer.remove(numbers(2, 4), 1)
    reader.refresh()
    assert (reader.last_removal, found(reader)) == (1, {1, *range(5, 21)})


def test_of_two_that_add_the_same_the_second_does_nothing_and_goes_on_from_there(
    make: Make, space: Space
) -> None:
    one, other, vectors = make(space), make(space), unit(30)
    for either in (one, other):
        either.refresh()
    one.add(numbers(1, 20), vectors[:20])
    other.add(numbers(1, 10), vectors[:10])
    assert (other.last_seq, len(other)) == (20, 20)
    other.add(numbers(21, 30), vectors[20:])
    one.refresh()
    assert found(one) == found(other) == set(range(1, 31))


def test_a_row_that_was_removed_meanwhile_does_not_come_back(make: Make, space: Space) -> None:
    """One has read its rows before the removal, and adds them when another has followed it."""
    late, quick, vectors = make(space), make(space), unit(20)
    late.add(numbers(1, 5), vectors[:5])
    quick.refresh()
    quick.remove(numbers(7, 7), 3)
    quick.add(np.delete(numbers(6, 15), 1), np.delete(vectors[5:15], 1, axis=0))
    late.add(numbers(6, 10), vectors[5:10])
    assert (late.last_seq, late.last_removal) == (15, 3)
    assert found(late) == found(quick) == set(range(1, 16)) - {7}


def test_rows_of_an_interrupted_addition_are_added_once_more_and_found_once(
    make: Make, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, vectors = make(space), unit(20)
    one.add(numbers(1, 5), vectors[:5])
    with monkeypatch.context() as patch:
        patch.setattr(index, "_BYTES", 4 * DIM * 4)
        patch.setattr(collection.Collection, "put_state", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            one.add(numbers(6, 20), vectors[5:])
    again = make(space)
    again.refresh()
    assert again.last_seq == 5
    again.add(numbers(6, 20), vectors[5:])
    assert found(again) == set(range(1, 21))


def test_a_row_of_an_interrupted_addition_that_is_removed_meanwhile_goes_too(
    make: Make, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, vectors = make(space), unit(20)
    one.add(numbers(1, 5), vectors[:5])
    with monkeypatch.context() as patch:
        patch.setattr(collection.Collection, "put_state", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            one.add(numbers(6, 10), vectors[5:10])
    again = make(space)
    again.refresh()
    again.remove(numbers(2, 2), 4)  # and 8, of which this removal says nothing: it is higher
    assert found(again) == {1, 3, 4, 5}
    again.add(np.array([6, 7, 9, 10]), vectors[[5, 6, 8, 9]])
    assert found(again) == {1, 3, 4, 5, 6, 7, 9, 10}


def test_an_interrupted_removal_is_no_loss_and_is_followed_later(
    make: Make, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = make(space)
    one.add(numbers(1, 20), unit(20))
    with monkeypatch.context() as patch:
        patch.setattr(index, "_DELETED", 4)
        delete = collection.Collection.delete
        patch.setattr(collection.Collection, "delete", lambda s, n: delete(s, n) or 1 / (n[0] - 5))
        with pytest.raises(ZeroDivisionError):
            one.remove(numbers(1, 10), 2)
    again = make(space)
    again.refresh()
    assert (again.last_seq, again.last_removal) == (20, 0)
    again.remove(numbers(1, 10), 2)
    assert found(again) == set(range(11, 21))


def drop(client: MilvusClient, name: str) -> None:
    client.drop_collection(name)


def delete_all(client: MilvusClient, name: str) -> None:
    client.delete(name, filter="seq >= 0")


def delete_rows(client: MilvusClient, name: str) -> None:
    client.delete(name, filter="seq > 7")


def release(client: MilvusClient, name: str) -> None:
    client.release_collection(name)


@pytest.mark.parametrize("lose", [drop, delete_all, delete_rows])
@pytest.mark.parametrize("is_new", [True, False], ids=["after a restart", "meanwhile"])
def test_rows_that_somebody_lost_are_noticed_and_can_be_filled_in_again(
    make: Make,
    space: Space,
    client: MilvusClient,
    lose: Callable[[MilvusClient, str], None],
    is_new: bool,
) -> None:
    one, vectors = make(space), unit(20)
    one.add(numbers(1, 20), vectors)
    one.remove(numbers(3, 3), 1)
    lose(client, collection_of(client, space))
    if lose is delete_rows and not is_new:
        one = make(space)  # a running process looks at the number of rows when there are changes
    if is_new:
        one = make(space)
    one.refresh()
    assert (one.last_seq, one.last_removal, len(one)) == (0, 0, 0)
    one.add(numbers(1, 20), vectors)
    assert found(one) == set(range(1, 21))


@pytest.fixture
def read(settings: Settings) -> Iterator[Make]:
    """Make an index that only reads."""
    made: list[MilvusIndex] = []

    def read(space: Space) -> MilvusIndex:
        made.append(MilvusIndex(settings.model_copy(update={"read_only": True}), space))
        return made[-1]

    yield read
    for one in made:
        one.close()


def content(client: MilvusClient, name: str) -> list[str]:
    rows = client.query(name, filter="seq >= 0", output_fields=["seq", "state"])
    return sorted(f"{row['seq']} {row['state']}" for row in rows)


def test_a_reader_finds_what_is_there_without_what_went_and_writes_nothing(
    make: Make,
    read: Make,
    space: Space,
    client: MilvusClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    writer, vectors = make(space), unit(30)
    writer.add(numbers(1, 20), vectors[:20], [ImageFacts(format="PNG")] * 20)
    before = content(client, collection_of(client, space))
    reader = read(space)
    reader.refresh()
    assert found(reader) == set(range(1, 21))
    for start in (21, 26):
        reader.add(numbers(start, start + 4), vectors[start - 1 : start + 4])
    reader.remove(np.array([4, 22]), 5)
    reader.refresh()
    assert (reader.last_seq, reader.last_removal, len(reader)) == (30, 5, 19)
    expected = set(range(1, 21)) - {4}
    assert found(reader) == expected
    assert set(reader.search(unit(1), 9, np.array([3, 4, 5]))[1][0].tolist()) == {3, 5, -1}
    assert reader.count(None, Filters(format="png")) == 19
    assert caplog.text.count("Milvus lacks some of its pictures") == 1
    assert content(client, collection_of(client, space)) == before
    writer.add(numbers(21, 30), vectors[20:])
    writer.remove(np.array([4, 22]), 5)
    reader._collection.has_changed()
    reader.refresh()
    assert (reader.last_seq, reader.last_removal, len(reader)) == (30, 5, 28)
    assert found(reader) == set(range(1, 31)) - {4, 22}


def test_a_reader_says_so_where_nothing_is_there_and_makes_nothing(
    read: Make, space: Space, client: MilvusClient, tmp_path: Path
) -> None:
    reader = read(space)
    with pytest.raises(LibraryError, match="read-only, and nothing of it is in Milvus yet"):
        reader.refresh()
    assert not [name for name in client.list_collections() if f"_{space.library}_" in name]
    lone = MilvusIndex(Settings(library=tmp_path / "lone", read_only=True), space)
    with pytest.raises(LibraryError, match="search once without MCP_VLSEARCH_READ_ONLY"):
        lone.refresh()
    assert not (tmp_path / "lone").exists()


def test_a_reader_drops_nothing_and_says_so_where_rows_were_lost(
    make: Make, read: Make, space: Space, client: MilvusClient
) -> None:
    make(space).add(numbers(1, 20), unit(20))
    reader = read(space)
    with pytest.raises(LibraryError, match="its rows in Milvus don't fit it"):
        reader.drop()
    delete_rows(client, collection_of(client, space))
    with pytest.raises(LibraryError, match="rows were lost in Milvus"):
        reader.refresh()
    assert len(content(client, collection_of(client, space))) > 1


def test_a_reader_loads_a_collection_that_somebody_released(
    make: Make, read: Make, space: Space, client: MilvusClient
) -> None:
    make(space).add(numbers(1, 20), unit(20))
    release(client, collection_of(client, space))
    reader = read(space)
    reader.refresh()
    assert found(reader) == set(range(1, 21))


def test_a_collection_that_somebody_released_is_loaded_again(
    make: Make, space: Space, client: MilvusClient
) -> None:
    one = make(space)
    one.add(numbers(1, 20), unit(20))
    release(client, collection_of(client, space))
    assert found(one) == set(range(1, 21))


def test_libraries_and_fingerprints_in_one_milvus_do_not_mix(make: Make, space: Space) -> None:
    spaces = [space, Space(space.fingerprint, DIM, next(names)), Space("other", DIM, space.library)]
    indexes = [make(one) for one in spaces]
    for count, one in enumerate(indexes, start=3):
        one.add(numbers(1, count), unit(count))
    assert [len(found(one)) for one in indexes] == [3, 4, 5]
    indexes[0].drop()
    assert (len(indexes[0]), indexes[0].last_seq) == (0, 0)
    for one in indexes:
        one.refresh()
    assert [len(found(one)) for one in indexes] == [0, 4, 5]


CAMERAS = (None, "Canon EOS R5", "NIKON Z 6", "iPhone 15", "Ærø öko")
SHAPES = ((640, 480, "landscape"), (480, 640, "portrait"), (500, 500, "square"))


def facts_of(seq: int) -> ImageFacts:
    """Facts that differ in every combination."""
    width, height, orientation = SHAPES[seq % 3]
    taken = None if seq % 4 == 0 else datetime(2020, 1, 1) + timedelta(days=seq, microseconds=seq)
    return ImageFacts(
        format=("JPEG", "PNG")[seq % 2],
        width=width,
        height=height,
        orientation=orientation,
        taken_sort=sortable(taken) if taken else None,
        camera=CAMERAS[seq % 5],
    )


def meets(facts: ImageFacts, filters: Filters) -> bool:
    """Say what a filter means, in Python."""
    taken = facts.taken_sort
    after, before = filters.taken_after, filters.taken_before
    return all(
        (
            filters.format is None or facts.format == filters.format,
            after is None or (taken is not None and taken >= sortable(after)),
            before is None or (taken is not None and taken < sortable(before)),
            facts.width >= (filters.min_width or 0),
            facts.height >= (filters.min_height or 0),
            filters.orientation is None or facts.orientation == filters.orientation,
            filters.camera is None or filters.camera.lower() in (facts.camera or "").lower(),
        )
    )


FILTERS = [
    Filters(format="JPEG"),
    Filters(orientation="portrait"),
    Filters(min_width=500),
    Filters(min_height=501),
    Filters(taken_after=datetime(2020, 2, 1)),
    Filters(taken_before=datetime(2020, 2, 1)),
    Filters(taken_after=datetime(2020, 1, 10, 0, 0, 0, 9), taken_before=datetime(2020, 1, 20)),
    Filters(camera="EOS"),
    Filters(camera="nikon z"),
    Filters(camera="rø ö"),
    Filters(camera="no such"),
    Filters(format="PNG", orientation="square", min_width=100, camera="canon"),
]


@pytest.mark.parametrize("is_allowed_some", [False, True], ids=["all", "some"])
def test_pushed_filters_find_and_count_what_a_plain_comparison_does(
    make: Make, space: Space, is_allowed_some: bool
) -> None:
    one, vectors, query = make(space), unit(90), unit(1, seed=1)
    seqs = numbers(1, 90)
    one.add(seqs, vectors, [facts_of(seq) for seq in seqs.tolist()])
    allowed = seqs[seqs % 7 < 4] if is_allowed_some else None
    for filters in FILTERS:
        assert one.pushed(filters) == filters
        wanted = [
            seq
            for seq in (seqs if allowed is None else allowed).tolist()
            if meets(facts_of(seq), filters)
        ]
        best = sorted(wanted, key=lambda seq: -float(vectors[seq - 1] @ query[0]))
        scores, hits = one.search(query, 40, allowed, filters)
        assert hits[0][hits[0] > 0].tolist() == best[:40]
        assert np.isneginf(scores[0][len(best) :]).all()
        assert one.count(allowed, filters) == len(wanted)


def test_rows_without_facts_are_found_by_no_filter(make: Make, space: Space) -> None:
    one = make(space)
    one.add(numbers(1, 9), unit(9))
    for filters in FILTERS:
        assert one.count(None, filters) == 0


def test_a_file_that_another_process_has_open_is_an_error_that_says_what_to_do(
    tmp_path: Path, space: Space
) -> None:
    holder = (
        "import sys; from milvus_lite.db import MilvusLite;"
        f"MilvusLite({str(tmp_path / 'milvus.db')!r}); print('open', flush=True); sys.stdin.read()"
    )
    one = MilvusIndex(Settings(library=tmp_path), space)
    with subprocess.Popen(
        [sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        with pytest.raises(LibraryBusyError, match=r"milvus-lite server --data-dir") as caught:
            one.refresh()
        assert "\n" not in str(caught.value)
        process.communicate()
    one.refresh()
    one.close()


def test_a_file_is_let_go_of_when_the_last_index_of_a_process_is_closed(
    tmp_path: Path, space: Space
) -> None:
    one, other = (MilvusIndex(Settings(library=tmp_path), space) for _ in range(2))
    for either in (one, other):
        either.refresh()
    one.close()
    other.add(numbers(1, 3), unit(3))
    other.close()
    opened = f"from milvus_lite.db import MilvusLite; MilvusLite({str(tmp_path / 'milvus.db')!r})"
    subprocess.run([sys.executable, "-c", opened], check=True)


def test_a_file_that_is_none_of_milvus_is_named(tmp_path: Path, space: Space) -> None:
    (tmp_path / "milvus.db").write_text("not a folder")
    with pytest.raises(Exception, match=r"milvus\.db can't be opened") as caught:
        MilvusIndex(Settings(library=tmp_path), space).refresh()
    assert "\n" not in str(caught.value)
