"""Vectors are paid for once; an index learns of what came and what went by number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_vlsearch.cache import deleting
from mcp_vlsearch.cache.catalog import FileRecord
from mcp_vlsearch.cache.deleting import Deleting
from mcp_vlsearch.cache.fingerprints import Fingerprints
from mcp_vlsearch.errors import EncoderError

from .conftest import DIM, PICTURE, Shelf, unit

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Vectors


class Follower:
    """An index as far as this test needs one: it applies changes in blocks."""

    def __init__(self, shelf: Shelf, block: int = 3) -> None:
        self.embeddings = shelf.embeddings
        self.block = block
        self.rows: dict[int, Vectors] = {}
        self.last_seq = self.last_removal = 0

    def catch_up(self) -> dict[int, Vectors]:
        while True:
            seqs, vectors, removed, self.last_removal = self.embeddings.changes(
                self.last_seq, self.last_removal, self.block
            )
            assert seqs.dtype == removed.dtype == np.int64
            assert all(seqs > self.last_seq)
            self.rows.update(zip(seqs.tolist(), vectors, strict=True))
            for seq in removed.tolist():
                self.rows.pop(seq, None)
            self.last_seq = max([self.last_seq, *seqs.tolist()])
            if len(seqs) < self.block:
                return self.rows


def seqs_of(shelf: Shelf) -> list[int]:
    return [int(seq) for seq in shelf.embeddings.changes(0, 0, 1000)[0]]


def test_only_images_with_a_vector_of_this_fingerprint_are_cached(shelf: Shelf) -> None:
    shelf.add("/a", "one")
    shelf.under("other").add("/b", "two")
    assert shelf.embeddings.cached(["one", "two", "three"]) == {"one"}
    assert shelf.embeddings.cached({"two"}) == set()
    assert shelf.embeddings.cached([]) == set()
    assert shelf.embeddings.vector("two") is None
    assert shelf.embeddings.count() == 1


def test_a_vector_comes_back_as_a_unit_float32_within_half_precision(shelf: Shelf) -> None:
    vectors = unit(300)
    vectors[0] = 0
    vectors[0, :2] = 1, 1e-7  # below what half precision can hold
    ids = [f"{number:016x}" for number in range(len(vectors))]
    with shelf.database.write():
        for image_id in ids:
            shelf.catalog.put_image(image_id, PICTURE)
        shelf.embeddings.put(ids, vectors)
        shelf.catalog.put_files((f"/{i}", FileRecord(1, 2, i)) for i in ids)
        shelf.embeddings.publish(ids)
    seqs, stored, _, _ = shelf.embeddings.changes(0, 0, 1000)
    assert stored.dtype == np.float32
    assert stored.shape == (300, DIM)
    assert seqs.tolist() == sorted(seqs.tolist())
    assert np.linalg.norm(stored, axis=1) == pytest.approx(np.ones(300), abs=1e-6)
    assert (np.abs(stored - vectors) <= np.abs(vectors) * 2.0**-10 + 2.0**-24).all()
    assert (stored.astype(np.float64) * vectors).sum(axis=1).min() > 1 - 1e-6
    np.testing.assert_array_equal(shelf.embeddings.vector(ids[7]), stored[7])


@pytest.mark.parametrize(
    "vectors",
    [unit(2), unit(1)[:, 1:], np.full((1, DIM), np.nan, np.float32), unit(1)[0]],
    ids=["too many", "too short", "not a number", "no rows"],
)
def test_vectors_that_are_none_are_never_cached(shelf: Shelf, vectors: Vectors) -> None:
    shelf.catalog.put_image("one", PICTURE)
    with pytest.raises(EncoderError, match="'promise' gave vectors"):
        shelf.embeddings.put(["one"], vectors)
    assert shelf.embeddings.cached(["one"]) == set()


def test_an_image_that_loses_one_of_two_files_is_still_found(shelf: Shelf) -> None:
    shelf.add("/a", "one")
    shelf.add("/b", "one")
    shelf.catalog.forget(["/a"])
    assert shelf.found() == ["one"]
    assert seqs_of(shelf) == [1]


def test_an_image_that_loses_its_last_file_is_found_no_more_under_any_fingerprint(
    shelf: Shelf,
) -> None:
    other = shelf.under("other")
    shelf.add("/a", "one")
    other.add("/a", "one")
    shelf.catalog.forget(["/a"])
    assert shelf.found() == other.found() == []
    assert shelf.embeddings.changes(2, 0, 9)[2].tolist() == [1]
    assert other.embeddings.changes(2, 0, 9)[2].tolist() == [2]


def test_a_file_with_new_content_takes_the_old_image_away(shelf: Shelf) -> None:
    shelf.add("/a", "one")
    shelf.add("/a", "two")
    assert shelf.found() == ["two"]
    assert shelf.embeddings.changes(1, 0, 9)[2].tolist() == [1]


def test_a_file_that_breaks_takes_its_image_away(shelf: Shelf) -> None:
    shelf.add("/a", "one")
    shelf.catalog.put_files([("/a", FileRecord(1, 3, error="broken"))])
    assert shelf.found() == []


def test_a_renamed_file_keeps_its_seq(shelf: Shelf) -> None:
    shelf.add("/old", "one")
    with shelf.database.write():
        shelf.catalog.put_files([("/new", FileRecord(1, 2, "one"))])
        shelf.catalog.forget(["/old"])
        shelf.embeddings.publish(["one"])
    assert seqs_of(shelf) == [1]
    assert shelf.embeddings.changes(1, 0, 9)[2].tolist() == []


def test_a_picture_that_comes_back_has_its_vector_still_and_a_new_seq(shelf: Shelf) -> None:
    vector = unit(1, seed=5)[0]
    shelf.add("/a", "one", vector)
    shelf.catalog.forget(["/a"])
    assert shelf.embeddings.cached(["one"]) == {"one"}
    shelf.catalog.put_files([("/b", FileRecord(1, 2, "one"))])
    shelf.embeddings.publish(["one"])
    seqs, vectors, removed, _ = shelf.embeddings.changes(1, 0, 9)
    assert (seqs.tolist(), removed.tolist()) == ([2], [1])
    np.testing.assert_allclose(vectors[0], vector, atol=1e-3)


def test_a_picture_that_comes_back_is_found_by_the_encoder_used_before(shelf: Shelf) -> None:
    before = shelf.under("before")
    before.add("/a", "one")
    shelf.catalog.forget(["/a"])
    shelf.add("/a", "one")
    assert before.found() == ["one"]


def test_publishing_again_changes_nothing_unless_the_vector_was_renewed(shelf: Shelf) -> None:
    shelf.add("/a", "one")
    shelf.under("other").add("/a", "one")
    shelf.embeddings.publish(["one"])
    assert seqs_of(shelf) == [1]
    new = unit(1, seed=9)
    with shelf.database.write():
        shelf.embeddings.put(["one"], new)
        shelf.embeddings.publish(["one"], renew=True)
    seqs, vectors, removed, _ = shelf.embeddings.changes(1, 0, 9)
    assert removed.tolist() == [1]
    assert len(seqs) == 1
    np.testing.assert_allclose(vectors, new, atol=1e-3)
    assert seqs_of(shelf.under("other")) == [2]


def test_an_image_is_not_published_without_a_vector_or_without_a_file(shelf: Shelf) -> None:
    shelf.catalog.put_image("bare", PICTURE)
    shelf.catalog.put_files([("/bare", FileRecord(1, 2, "bare"))])
    shelf.catalog.put_image("lost", PICTURE)
    shelf.embeddings.put(["lost"], unit(1))
    shelf.embeddings.publish(["bare", "lost", "unknown"])
    assert shelf.found() == []


def test_a_batch_that_fails_leaves_neither_vectors_nor_their_fingerprint(shelf: Shelf) -> None:
    def fail() -> None:
        with shelf.database.write():
            shelf.add("/a", "one")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert shelf.embeddings.cached(["one"]) == set()
    shelf.add("/b", "two")
    assert shelf.found() == ["two"]


def test_a_new_index_does_not_read_removals_of_before(shelf: Shelf) -> None:
    shelf.add("/a", "one")
    shelf.catalog.forget(["/a"])
    seqs, vectors, removed, last = shelf.embeddings.changes(0, 0, 9)
    assert (len(seqs), vectors.shape, len(removed), last) == (0, (0, DIM), 0, 1)


def test_an_index_reads_no_removals_of_other_fingerprints(shelf: Shelf) -> None:
    other = shelf.under("other")
    for number in range(20):
        other.add(f"/{number}", f"image {number}")
    shelf.add("/0", "image 0")
    follower = Follower(shelf)
    follower.catch_up()
    shelf.catalog.forget([f"/{number}" for number in range(1, 20)])
    _, _, removed, last = shelf.embeddings.changes(21, 0, 9)
    assert (len(removed), last) == (0, follower.last_removal)
    assert len(other.embeddings.changes(21, 0, 9)[2]) == 19


def drop(shelf: Shelf) -> None:
    """Delete the space that a shelf is of."""
    spaces = {space.fingerprint: space for space in Fingerprints(shelf.database).all()}
    Deleting(shelf.database).drop(spaces[shelf.embeddings.fingerprint], lambda _: None)


def removals(shelf: Shelf) -> int:
    with shelf.database.read() as connection:
        return int(connection.execute("SELECT COUNT(*) FROM removals").fetchone()[0])


def test_dropping_a_space_logs_nothing_and_an_index_of_it_begins_anew(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deleting, "_ROWS", 3)
    other = shelf.under("other")
    for number in range(7):
        shelf.add(f"/{number}", f"image {number}")
        other.add(f"/{number}", f"image {number}")
    shelf.catalog.forget(["/6"])
    here, there = Follower(shelf), Follower(other)
    here.catch_up()
    there.catch_up()
    drop(other)
    assert removals(shelf) == 1, "its own"
    assert shelf.embeddings.changes(here.last_seq, here.last_removal, 9)[3] == here.last_removal
    assert shelf.embeddings.remembers(here.last_removal)
    for is_there_again in (False, True):
        last = other.embeddings.changes(there.last_seq, there.last_removal, 9)[3]
        assert last > there.last_removal, "so that it asks"
        assert not other.embeddings.remembers(there.last_removal), is_there_again
        fresh = Follower(other)
        assert len(fresh.catch_up()) == is_there_again
        assert other.embeddings.remembers(fresh.last_removal)
        other.add("/again", "again")


def test_removals_are_forgotten_up_to_what_the_index_of_each_fingerprint_knows(
    shelf: Shelf,
) -> None:
    other = shelf.under("other")
    for number in range(4):
        shelf.add(f"/{number}", f"image {number}")
        other.add(f"/{number}", f"image {number}")
    for number in range(3):
        shelf.catalog.forget([f"/{number}"])
    ids = {space.fingerprint: space.id for space in Fingerprints(shelf.database).all()}
    known = {ids["one"]: 4}
    assert Deleting(shelf.database).removals(known) == 2 + 3, "known ones, and of no stored index"
    Deleting(shelf.database).delete_removals(known)
    assert removals(shelf) == 1
    assert [shelf.embeddings.remembers(n) for n in range(6)] == [False] * 3 + [True] * 3
    assert [other.embeddings.remembers(n) for n in (0, 3, 5, 6)] == [False, False, False, True]


def test_a_sample_is_of_this_fingerprint_and_without_repeats(shelf: Shelf) -> None:
    vectors = unit(30)
    for number, vector in enumerate(vectors):
        shelf.add(f"/{number}", f"image {number}", vector)
    shelf.under("other").add("/0", "image 0")

    def numbers(count: int) -> list[int]:
        """Say which vectors a sample has."""
        found = shelf.embeddings.sample(count)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
        return [int(number) for number in (found @ vectors.T).argmax(1)]

    sample = numbers(10)
    assert len(set(sample)) == 10
    assert sorted(numbers(100)) == list(range(30))
    assert {tuple(numbers(10)) for _ in range(20)} != {tuple(sample)}


def test_a_sample_of_a_few_entries_among_many_others_is_whole(shelf: Shelf) -> None:
    for number in range(60):
        shelf.under("other").add(f"/{number}", f"image {number}")
    for number in (3, 30, 55):
        shelf.add(f"/{number}", f"image {number}")
    assert len(shelf.embeddings.sample(2)) == 2
    assert len(shelf.embeddings.sample(5)) == 3
    assert shelf.under("third").embeddings.sample(5).shape == (0, DIM)


def test_a_sample_with_a_seed_is_always_the_same(shelf: Shelf) -> None:
    for number, vector in enumerate(unit(60)):
        shelf.add(f"/{number}", f"image {number}", vector)
    first, again, other = (shelf.embeddings.sample(8, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_every_entry_is_as_likely_in_a_sample(shelf: Shelf) -> None:
    vectors = unit(40)
    for number, vector in enumerate(vectors):
        shelf.add(f"/{number}", f"image {number}", vector)
    counts = np.zeros(40)
    for _ in range(400):
        counts[(shelf.embeddings.sample(4) @ vectors.T).argmax(1)] += 1
    assert counts.sum() == 1600
    assert 15 <= counts.min() <= counts.max() <= 75, "40 each, give or take six"


STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "forget", "break", "renew", "look"]), st.integers(0, 5)),
    max_size=25,
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(STEPS, st.integers(0, 2**32 - 1))
def test_an_index_that_follows_holds_what_one_made_anew_would(
    shelf: Shelf, steps: list[tuple[str, int]], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    shelf.catalog.forget(list(shelf.catalog.known("/")))
    follower = Follower(shelf)
    for step, number in steps:
        path, image = f"/{number}", f"image {rng.integers(4)}"
        if step == "add":
            shelf.add(path, image, unit(1, seed=number)[0])
        elif step == "forget":
            shelf.catalog.forget([path])
        elif step == "break":
            shelf.catalog.put_files([(path, FileRecord(1, 2, error="broken"))])
        elif step == "renew":
            shelf.embeddings.publish([image], renew=True)
        else:
            follower.catch_up()
    fresh = Follower(shelf, block=1000).catch_up()
    assert follower.catch_up().keys() == fresh.keys()
    held = {record.image_id for record in shelf.catalog.describe(list(fresh))}
    files = shelf.catalog.known("/").values()
    assert held == {file.image_id for file in files if file.image_id}
    assert len(fresh) == len(held)


def test_the_newest_numbers_are_those_that_were_ever_given_out(shelf: Shelf) -> None:
    assert shelf.embeddings.newest() == (0, 0)
    for name in "abc":
        shelf.add(f"/{name}.png", name * 16)
    other = shelf.under("two")
    other.add("/d.png", "d" * 16)
    assert shelf.embeddings.newest() == other.embeddings.newest() == (4, 0)
    shelf.catalog.forget(["/d.png", "/c.png"])
    assert shelf.embeddings.newest() == (4, 2)


def test_some_entries_are_the_first_at_or_below_each_seq(shelf: Shelf) -> None:
    vectors = unit(5)
    for number, vector in enumerate(vectors):
        shelf.add(f"/{number}.png", str(number) * 16, vector)
    shelf.under("two").add("/other.png", "d" * 16)
    shelf.catalog.forget(["/1.png", "/2.png"])
    seqs, found = shelf.embeddings.some(np.array([6, 3, 2, 1, 0, -5, 4]))
    assert seqs.tolist() == [5, 1, 4]
    assert np.allclose(found, vectors[[4, 0, 3]], atol=1e-3)
    seqs, found = shelf.embeddings.some(np.array([0]))
    assert (len(seqs), found.shape) == (0, (0, vectors.shape[1]))
