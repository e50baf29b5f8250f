"""A base on disk, the tail after it and the mask over it find what one index in memory finds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mcp_vlsearch.contracts import Space, StoredIndex
from mcp_vlsearch.indexes.faiss import FaissIndex, base
from mcp_vlsearch.indexes.faiss import index as index_module
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.testing import check_index
from tests.indexes.stored import DIM, SPACE, clustered, exact, make, numbers, store

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs, Vectors

KINDS = ("exact", "ivf", "hnsw", "rabitq", "IVF16,PQ16x4fs", "IVF16,SQ8,Refine(SQfp16)")


class Kept(FaissIndex):
    """An index that is stored anew after every, or every other, change to it."""

    def __init__(self, settings: Settings, space: Space, every: int, reopened: bool) -> None:
        super().__init__(settings, space)
        self.again: Callable[[], None] = partial(FaissIndex.__init__, self, settings, space)
        self.every, self.reopened = every, reopened
        self.rows: dict[int, Vectors] = {}
        self.changes = 0

    def add(self, seqs: Seqs, vectors: Vectors) -> None:
        super().add(seqs, vectors)
        self.rows.update(zip(seqs.tolist(), vectors, strict=True))
        self.keep()

    def remove(self, seqs: Seqs, last_removal: int) -> None:
        super().remove(seqs, last_removal)
        for seq in seqs.tolist():
            self.rows.pop(seq, None)
        self.keep()

    def keep(self) -> None:
        self.changes += 1
        if self.changes % self.every or not self.last_seq:
            return
        last_seq, last_removal = self.last_seq, self.last_removal
        seqs = np.array(list(self.rows), np.int64)
        vectors = np.array(list(self.rows.values()), np.float32).reshape(-1, DIM)
        store(self, seqs, vectors, last_removal)
        if self.reopened:
            self.again()
        self.refresh()
        assert self.last_removal == last_removal
        self.last_seq = last_seq  # removed rows at the end are not in a base


@pytest.mark.parametrize(
    ("every", "reopened"), [(1, True), (2, False)], ids=["all in the base", "some in the tail"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_keeps_the_contract_from_disk(
    tmp_path: Path, kind: str, every: int, reopened: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "_FEW", 64)
    libraries = iter(range(100))

    def kept(space: Space) -> Kept:
        library = tmp_path / str(next(libraries))
        return Kept(Settings(library=library, index_kind=kind), space, every, reopened)

    check_index(kept, recall={"exact": 1.0, "rabitq": 0.8}.get(kind, 0.9))


def test_the_index_is_one_that_is_stored(tmp_path: Path) -> None:
    assert isinstance(make(tmp_path), StoredIndex)


def test_a_new_index_makes_no_folder(tmp_path: Path) -> None:
    index = make(tmp_path / "library")
    index.refresh()
    index.add(numbers(1, 5), clustered(5))
    index.search(clustered(1), 2)
    assert not (tmp_path / "library").exists()


@pytest.mark.parametrize("last", [400, 500, 600])
def test_rows_after_the_base_stay_in_the_tail_and_those_in_it_leave(
    tmp_path: Path, last: int
) -> None:
    vectors = clustered(600)
    index, other = make(tmp_path), make(tmp_path)
    index.add(numbers(1, 500), vectors[:500])
    store(other, numbers(1, last), vectors[:last])
    index.refresh()
    assert (len(index), index.last_seq) == (max(500, last), max(500, last))
    assert len(index._tail) == max(500, last) - last
    _, seqs = index.search(vectors[: len(index)], 1)
    assert seqs[:, 0].tolist() == numbers(1, len(index)).tolist()


def test_removals_that_only_one_of_base_and_tail_knows_are_asked_for_again(tmp_path: Path) -> None:
    vectors = clustered(30)
    index = make(tmp_path)
    index.add(numbers(1, 20), vectors[:20])
    index.remove(numbers(3, 4), 7)
    # Stored by a process that has read up to removal 5, and row 25 before 6 took it.
    store(make(tmp_path), numbers(1, 25), vectors[:25], last_removal=5)
    index.refresh()
    assert index.last_removal == 5
    assert {3, 4}.isdisjoint(index.search(vectors[:1], 30)[1][0].tolist()), "known already"
    assert len(index) == 23
    # Stored by a process that knows more than this one, while this one has a tail.
    index.add(numbers(26, 30), vectors[25:])
    store(make(tmp_path), numbers(1, 25), vectors[:25], last_removal=9)
    index.refresh()
    assert index.last_removal == 5


def test_a_base_of_nothing_is_a_base(tmp_path: Path) -> None:
    store(make(tmp_path), numbers(1, 0), clustered(0), last_removal=4)
    index = make(tmp_path)
    index.refresh()
    assert (len(index), index.last_removal) == (0, 4)
    assert index.search(clustered(1), 2)[1].tolist() == [[-1, -1]]
    index.add(numbers(1, 3), clustered(3))
    assert index.search(clustered(3), 1)[1][:, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("stored", "tail", "removed", "due"),
    [
        (0, 99, 0, False),
        (0, 100, 0, True),
        (500, 99, 0, False),
        (500, 100, 0, True),
        (2000, 199, 0, False),
        (2000, 200, 0, True),
        (500, 0, 99, False),
        (500, 0, 100, True),
    ],
)
def test_it_is_due_when_so_much_came_or_went_that_growing_costs_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: int, tail: int, removed: int, due: bool
) -> None:
    monkeypatch.setattr(index_module, "_LEAST_TAIL", 100)
    vectors = clustered(3000)
    if stored:
        store(make(tmp_path), numbers(1, stored), vectors[:stored])
    index = make(tmp_path)
    index.refresh()
    if tail:
        index.add(numbers(stored + 1, stored + tail), vectors[:tail])
    index.remove(numbers(1, removed), 1)
    assert index.due is due
    reader = make(tmp_path, read_only=True)
    reader.refresh()
    reader.add(numbers(stored + 1, stored + 1000), vectors[:1000])
    assert not reader.due


def test_another_kind_is_stored_once(tmp_path: Path) -> None:
    vectors = clustered(2000)
    store(make(tmp_path, "exact"), numbers(1, 2000), vectors)
    index, other = make(tmp_path, "ivf"), make(tmp_path, "exact")
    index.refresh()
    assert index.due
    store(index, numbers(1, 2000), vectors)
    index.refresh()
    other.refresh()
    assert not index.due
    assert other.due
    store(other, numbers(1, 2000), vectors)
    index.refresh()
    assert not index.due, "two processes that disagree don't go on for ever"


def test_one_stores_at_a_time_and_nobody_twice(tmp_path: Path) -> None:
    vectors = clustered(50)
    first, second = make(tmp_path), make(tmp_path)
    meanwhile: list[str] = []

    def progress(_: int) -> None:
        store(second, numbers(1, 50), vectors)
        meanwhile.extend(path.name for path in second._generations.folder.glob("gen-*"))

    first.store([(numbers(1, 50), vectors)], 50, 0, progress)
    assert meanwhile == [], "the second gave way"
    (generation,) = first._generations.folder.glob("gen-*")
    store(second, numbers(1, 50), vectors)
    assert [generation] == list(first._generations.folder.glob("gen-*")), "there is one already"
    second.refresh()
    store(second, numbers(1, 50), vectors)
    (newer,) = first._generations.folder.glob("gen-*")
    assert newer.name > generation.name, "the older one is gone"


def test_a_search_goes_on_in_a_base_that_is_deleted_meanwhile(tmp_path: Path) -> None:
    vectors = clustered(3000)
    store(make(tmp_path, "ivf"), numbers(1, 3000), vectors)
    index, writer = make(tmp_path, "ivf"), make(tmp_path, "ivf")
    index.refresh()
    writer.refresh()
    store(writer, numbers(1, 3000), vectors)
    assert index._base is not None
    assert not index._base.folder.exists()
    assert index.search(vectors[:20], 1)[1][:, 0].tolist() == numbers(1, 20).tolist()
    index.refresh()
    assert index._base is not None
    assert index._base.folder.exists()


def test_progress_that_raises_leaves_everything_as_it_was(tmp_path: Path) -> None:
    vectors = clustered(100)
    index = make(tmp_path)
    store(index, numbers(1, 50), vectors[:50])
    before = sorted(tmp_path.rglob("*"))
    index.refresh()

    def stop(done: int) -> None:
        assert done == 30
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.store([(numbers(1, 30), vectors[:30])], 100, 0, stop)
    assert sorted(tmp_path.rglob("*")) == before
    index.refresh()
    assert len(index) == 50


def test_a_dropped_space_has_no_files_and_can_be_filled_anew(tmp_path: Path) -> None:
    index, other = make(tmp_path), make(tmp_path, space=Space("Other/1 ü", DIM))
    for each in (index, other):
        store(each, numbers(1, 50), clustered(50))
        each.refresh()
    index.drop()
    assert (len(index), index.last_seq, index.last_removal) == (0, 0, 0)
    assert len(list(tmp_path.rglob("gen-*"))) == 1
    index.refresh()
    index.add(numbers(1, 3), clustered(3))
    store(index, numbers(1, 3), clustered(3))
    index.refresh()
    assert index.search(clustered(1), 1)[1].tolist() == [[1]]
    assert len(other) == 50


def test_a_reader_that_drops_forgets_and_deletes_nothing(tmp_path: Path) -> None:
    store(make(tmp_path), numbers(1, 50), clustered(50))
    before = sorted(tmp_path.rglob("*"))
    reader = make(tmp_path, read_only=True)
    reader.refresh()
    reader.drop()
    reader.refresh()
    assert len(reader) == 0
    assert sorted(tmp_path.rglob("*")) == before


def test_scores_and_order_are_those_of_numpy_across_base_and_tail(tmp_path: Path) -> None:
    vectors, queries = clustered(2000), clustered(20, seed=5)
    store(make(tmp_path), numbers(1, 1500), vectors[:1500])
    index = make(tmp_path)
    index.refresh()
    index.add(numbers(1501, 2000), vectors[1500:])
    half = vectors.astype(np.float16).astype(np.float32)
    scores, seqs = index.search(queries, 50)
    assert seqs.tolist() == exact(half, numbers(1, 2000), queries, 50)
    assert np.allclose(scores, np.sort(queries @ half.T)[:, ::-1][:, :50], rtol=0, atol=1e-6)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def _flip(place: float) -> Callable[[Path], None]:
    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[int(place * (len(content) - 1))] ^= 1
        path.write_bytes(content)

    flip.__name__ = f"flip at {place}"
    return flip


def _empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES = [_truncate, _empty, Path.unlink, *map(_flip, (0, 0.3, 0.5, 0.9, 1))]
FILES = ("vectors.faiss", "seqs.npy", "coarse.faiss", "base.json")


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_base_is_set_aside_and_says_so(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
    damage: Callable[[Path], None],
) -> None:
    vectors = clustered(1000)
    store(make(tmp_path, "ivf"), numbers(1, 1000), vectors)
    (generation,) = tmp_path.rglob("gen-*")
    damage(generation / name)
    index = make(tmp_path, "ivf")
    index.refresh()
    assert (len(index), index.last_seq) == (0, 0)
    assert "damaged" in caplog.text
    assert "made anew" in caplog.text
    caplog.clear()
    other = make(tmp_path, "ivf")
    other.refresh()
    assert caplog.text == "", "it is said once"
    index.add(numbers(1, 1000), vectors)
    store(index, numbers(1, 1000), vectors)
    for each in (index, other):
        each.refresh()
        assert len(each) == 1000
        assert each.search(vectors[-1:], 1)[1].tolist() == [[1000]]
    assert len([path for path in tmp_path.rglob("*") if path.is_dir()]) == 3, "nothing is left"


def test_a_reader_leaves_a_damaged_base_where_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store(make(tmp_path), numbers(1, 100), clustered(100))
    (generation,) = tmp_path.rglob("gen-*")
    _truncate(generation / "seqs.npy")
    reader = make(tmp_path, read_only=True)
    reader.refresh()
    assert len(reader) == 0
    assert "damaged" in caplog.text
    assert generation.exists()


@pytest.mark.parametrize(
    "space", [Space("0123456789abcdee", DIM), Space(SPACE.fingerprint, DIM + 1)]
)
def test_a_base_of_another_encoder_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, space: Space
) -> None:
    store(make(tmp_path), numbers(1, 100), clustered(100))
    index = make(tmp_path, space=space)
    (tmp_path / "index" / SPACE.fingerprint).rename(index._generations.folder.parent / "moved")
    (tmp_path / "index" / "moved").rename(index._generations.folder)
    index.refresh()
    assert len(index) == 0
    assert "of another encoder" in caplog.text


def test_a_base_of_another_version_is_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store(make(tmp_path), numbers(1, 100), clustered(100))
    (manifest,) = tmp_path.rglob("base.json")
    manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 2'))
    index = make(tmp_path)
    index.refresh()
    assert len(index) == 0
    assert "of another version" in caplog.text


def test_damage_that_opening_does_not_see_is_found_by_verifying(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp_vlsearch.indexes.faiss.disk._BLOCK", 1000)
    monkeypatch.setattr("mcp_vlsearch.indexes.faiss.disk._SAMPLED", 0)
    vectors = clustered(1000)
    store(make(tmp_path), numbers(1, 1000), vectors)
    (rows,) = tmp_path.rglob("vectors.faiss")
    _flip(0.5)(rows)
    index = make(tmp_path)
    index.refresh()
    assert len(index) == 1000, "only some blocks are looked at"
    steps: list[None] = []
    index.verify(lambda: steps.append(None))
    assert len(steps) > 20
    assert (len(index), index.last_seq) == (1000, 1000), "nothing changes before the next refresh"
    index.refresh()
    assert (len(index), index.last_seq, index.last_removal) == (0, 0, 0)
    assert "damaged" in caplog.text


def test_a_sound_base_is_verified_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    store(make(tmp_path), numbers(1, 1000), clustered(1000))
    steps: list[None] = []
    for _ in range(2):
        index = make(tmp_path)
        index.refresh()
        index.verify(lambda: steps.append(None))
        index.refresh()
        assert len(index) == 1000
    assert len(steps) == 2, "one block of each file, and not again"
    assert caplog.text == ""
    make(tmp_path / "empty").verify(lambda: None)


def test_a_base_that_cannot_be_read_fails_no_search(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(make(tmp_path), numbers(1, 100), clustered(100))

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(index_module, "Base", refused)
    index = make(tmp_path)
    index.refresh()
    index.refresh()
    assert len(index) == 0
    assert caplog.text.count("can't be read: Permission denied") == 1


@pytest.mark.parametrize("kind", ["exact", "ivf"])
def test_a_base_that_was_never_searched_can_be_when_a_newer_one_has_taken_its_place(
    tmp_path: Path, kind: str
) -> None:
    rows, seqs = clustered(3000), numbers(1, 3000)
    store(make(tmp_path, kind), seqs, rows)
    old = make(tmp_path, kind)
    old.refresh()
    store(make(tmp_path, kind), seqs[:2000], rows[:2000], last_removal=1)
    assert len(list(tmp_path.rglob("base.json"))) == 1, "the other is deleted"
    everything = seqs[::-1].copy()
    for allowed in (None, everything):
        _, found = old.search(rows[-3:], 1, allowed)
        assert found[:, 0].tolist() == [2998, 2999, 3000]
