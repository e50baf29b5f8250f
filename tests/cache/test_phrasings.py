"""Phrasings are kept beside the database: bounded, shared, and never in the way of a search."""

import sqlite3
import threading
from pathlib import Path

import pytest

from mcp_vlsearch.cache import phrasings
from mcp_vlsearch.cache.phrasings import FILE, Phrasings


def test_what_was_kept_is_found_again_by_another_process(tmp_path: Path) -> None:
    Phrasings(tmp_path).keep("r1", "cat", ["A cat.", "一只猫"])
    again = Phrasings(tmp_path)
    assert again.find("r1", "cat") == ["A cat.", "一只猫"]
    assert again.find("r1", "Cat") is None
    assert again.find("r2", "cat") is None, "another model wrote nothing"
    assert again.count() == 1


def test_no_phrasing_is_kept_as_well_as_some(tmp_path: Path) -> None:
    Phrasings(tmp_path).keep("r", "?", [])
    assert Phrasings(tmp_path).find("r", "?") == []


def test_what_was_not_searched_for_the_longest_goes_first(tmp_path: Path) -> None:
    for query in ("a", "b", "c"):
        Phrasings(tmp_path, on_disk=3).keep("r", query, [query])
    assert Phrasings(tmp_path, on_disk=3).find("r", "a") == ["a"]  # used again
    Phrasings(tmp_path, on_disk=3).keep("r", "d", ["d"])
    left = Phrasings(tmp_path)
    assert [query for query in "abcd" if left.find("r", query)] == ["a", "c", "d"]
    assert left.count() == 3


def test_memory_is_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phrasings, "_IN_MEMORY", 2)
    known = Phrasings(tmp_path, read_only=True)
    for query in ("a", "b", "c"):
        known.keep("r", query, [query])
    assert [query for query in "abc" if known.find("r", query)] == ["b", "c"]


def test_a_read_only_library_keeps_them_in_memory_and_reads_the_file(tmp_path: Path) -> None:
    Phrasings(tmp_path).keep("r", "cat", ["A cat."])
    before = (tmp_path / FILE).read_bytes()
    known = Phrasings(tmp_path, read_only=True)
    known.keep("r", "dog", ["A dog."])
    assert known.find("r", "cat") == ["A cat."]
    assert known.find("r", "dog") == ["A dog."]
    assert Phrasings(tmp_path).find("r", "dog") is None
    assert (tmp_path / FILE).read_bytes() == before


def test_no_file_is_made_by_looking_or_where_there_is_no_library(tmp_path: Path) -> None:
    known = Phrasings(tmp_path / "nowhere")
    assert known.find("r", "cat") is None
    known.keep("r", "cat", ["A cat."])
    assert known.find("r", "cat") == ["A cat."]
    assert (known.count(), list(tmp_path.iterdir())) == (0, [])


@pytest.mark.parametrize("content", [b"no database", b"", b"SQLite format 3\0" + b"x" * 2000])
def test_a_file_that_is_damaged_fails_no_search(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    known = Phrasings(tmp_path)
    assert known.find("r", "cat") is None
    known.keep("r", "cat", ["A cat."])
    assert known.find("r", "cat") == ["A cat."]
    known.keep("r", "dog", ["A dog."])  # a damaged file is gone by now
    assert Phrasings(tmp_path).find("r", "dog") == ["A dog."]


def test_rows_that_make_no_sense_are_not_known(tmp_path: Path) -> None:
    Phrasings(tmp_path).keep("r", "cat", ["A cat."])
    for written in ("{", "{}", "[1]", "null"):
        with sqlite3.connect(tmp_path / FILE) as connection:
            connection.execute("UPDATE phrasings SET written = ?", (written,))
        connection.close()
        assert Phrasings(tmp_path).find("r", "cat") is None


def test_a_writer_that_holds_the_file_is_not_waited_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phrasings, "_BUSY_SECONDS", 0.01)
    known = Phrasings(tmp_path)
    known.keep("r", "cat", ["A cat."])
    holder = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        known.keep("r", "dog", ["A dog."])
        assert known.find("r", "dog") == ["A dog."]
    finally:
        holder.close()
    assert Phrasings(tmp_path).find("r", "dog") is None


def test_threads_may_keep_at_once(tmp_path: Path) -> None:
    known = Phrasings(tmp_path)
    threads = [threading.Thread(target=known.keep, args=("r", str(n), [str(n)])) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(Phrasings(tmp_path).find("r", str(n)) == [str(n)] for n in range(16))


def test_clearing_forgets_all(tmp_path: Path) -> None:
    known = Phrasings(tmp_path)
    for query in ("a", "b"):
        known.keep("r", query, [query])
    assert known.clear() == 2
    assert (known.find("r", "a"), known.count()) == (None, 0)
    assert not (tmp_path / FILE).exists()
    assert known.clear() == 0
