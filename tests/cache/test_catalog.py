"""What the library knows of roots, files and images."""

import pytest

from mcp_vlsearch.cache.catalog import Counts, FileRecord, ImageInfo, ImageRecord
from mcp_vlsearch.cache.conditions import Condition

from .conftest import PICTURE, Shelf

BROKEN = FileRecord(5, 6, error="not a picture")


def test_roots_are_kept_once_and_go_by_name(shelf: Shelf) -> None:
    for folder in ("/b", "/a", "/b"):
        shelf.catalog.add_root(folder)
    assert shelf.catalog.roots() == ["/a", "/b"]
    shelf.catalog.remove_roots(["/b", "/never/added"])
    assert shelf.catalog.roots() == ["/a"]


def test_a_file_is_known_as_it_was_recorded(shelf: Shelf) -> None:
    shelf.catalog.put_image("one", PICTURE)
    files = {
        "/p/good.jpg": FileRecord(2**40, -(10**18), "one"),
        "/p/bad.jpg": BROKEN,
        "/p/locked.jpg": FileRecord(7, 8, error="permission denied", retry=True),
        "/p/Ünïcode 猫.jpg": FileRecord(1, 2, "one"),
    }
    shelf.catalog.put_files(files.items())
    assert shelf.catalog.known("/p") == files


@pytest.mark.parametrize("folder", ["/p", "/p/"])
def test_a_folder_holds_what_is_below_it_and_not_its_neighbours(shelf: Shelf, folder: str) -> None:
    inside = ["/p/a.jpg", "/p/q/b.jpg", "/p/q/r/c.jpg", "/p/\U0010ffff", "/p/%", "/p/_"]
    outside = ["/p.jpg", "/p-q/a.jpg", "/p0", "/pp/a.jpg", "/P/a.jpg", "/o/p/a.jpg"]
    shelf.catalog.put_files((path, BROKEN) for path in inside + outside)
    assert set(shelf.catalog.known(folder)) == set(inside)
    assert set(shelf.catalog.known(folder, recursive=False)) == set(inside) - {
        "/p/q/b.jpg",
        "/p/q/r/c.jpg",
    }
    assert shelf.catalog.file_count(folder) == len(inside)
    assert shelf.catalog.counts([folder]).failed == len(inside)


def test_the_whole_disk_is_a_folder_too(shelf: Shelf) -> None:
    shelf.catalog.put_files((path, BROKEN) for path in ("/a", "/b/c"))
    assert set(shelf.catalog.known("/")) == {"/a", "/b/c"}
    assert set(shelf.catalog.known("/", recursive=False)) == {"/a"}


def test_a_single_file_is_known_by_its_path(shelf: Shelf) -> None:
    shelf.catalog.put_files((path, BROKEN) for path in ("/p/a", "/p/ab"))
    assert set(shelf.catalog.known("/p/a")) == {"/p/a"}
    assert set(shelf.catalog.known("/p/a", recursive=False)) == {"/p/a"}
    assert shelf.catalog.file_count("/p/a") == shelf.catalog.counts(["/p/a"]).files == 1


def test_a_range_of_paths_is_found_by_the_key_and_not_by_reading_all(shelf: Shelf) -> None:
    asked: list[str] = []
    with shelf.database.read() as connection:
        connection.set_trace_callback(asked.append)
        shelf.catalog.known("/p")
        shelf.catalog.file_count("/p")
        connection.set_trace_callback(None)
        for query in asked:
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
            assert not [step for step in plan if step.startswith("SCAN")], plan
    assert len(asked) == 3


def test_counts_tell_files_failures_and_distinct_images(shelf: Shelf) -> None:
    assert shelf.catalog.counts() == Counts(0, 0, 0)
    shelf.add("/a", "one")
    shelf.add("/b", "one")
    shelf.add("/c", "two")
    shelf.catalog.put_files([("/d", BROKEN)])
    assert shelf.catalog.counts() == Counts(files=4, failed=1, images=2)
    shelf.catalog.forget(["/c", "/d"])
    assert shelf.catalog.counts() == Counts(files=2, failed=0, images=1)


def test_counts_of_folders_are_of_what_lies_at_or_below_one_of_them(shelf: Shelf) -> None:
    for path, image in (("/a/1", "one"), ("/b/1", "one"), ("/b/2", "two"), ("/c", "three")):
        shelf.add(path, image)
    shelf.catalog.put_files([("/b/broken", BROKEN)])
    assert shelf.catalog.counts(["/b"]) == Counts(files=3, failed=1, images=2)
    assert shelf.catalog.counts(["/b", "/a", "/b/1"]) == Counts(files=4, failed=1, images=2)
    assert shelf.catalog.counts(["/c"]) == Counts(files=1, failed=0, images=1)
    assert shelf.catalog.counts([]) == Counts(files=0, failed=0, images=0)


def test_a_file_that_is_mended_has_failed_no_more(shelf: Shelf) -> None:
    shelf.catalog.put_files([("/a", BROKEN)])
    shelf.add("/a", "one")
    assert shelf.catalog.counts() == Counts(files=1, failed=0, images=1)
    assert shelf.catalog.records(["/a"])["/a"].image_id == "one"


def test_images_and_files_know_each_other(shelf: Shelf) -> None:
    shelf.add("/b", "one")
    shelf.add("/a", "one")
    shelf.catalog.put_files([("/broken", BROKEN)])
    assert shelf.catalog.paths_of("one") == ["/a", "/b"]
    assert shelf.catalog.paths_of("none") == []
    known = shelf.catalog.records(["/a", "/broken", "/nowhere"])
    images = {path: record.image_id for path, record in known.items()}
    assert images == {"/a": "one", "/broken": None}
    assert shelf.catalog.has_image("one")
    assert not shelf.catalog.has_image("none")


def test_an_image_without_files_is_still_described(shelf: Shelf) -> None:
    shelf.add("/a", "one")
    shelf.catalog.forget(["/a"])
    assert shelf.catalog.has_image("one")
    assert shelf.catalog.counts().images == 0


def test_an_image_can_be_described_anew(shelf: Shelf) -> None:
    shelf.add("/a", "one")
    shelf.catalog.put_image("one", ImageInfo(1, 2, "png", 3, "2024-05-06T07:08:09+02:00", part="p"))
    (record,) = shelf.catalog.describe([1])
    assert record == ImageRecord(
        paths=("/a",),
        seq=1,
        image_id="one",
        width=1,
        height=2,
        format="PNG",
        bytes=3,
        part="p",
        taken_at="2024-05-06T07:08:09+02:00",
    )


def test_hits_are_described_in_the_order_asked_for_and_lost_ones_are_left_out(shelf: Shelf) -> None:
    for number in range(20):
        shelf.add(f"/{number}/x", f"image {number}")
        shelf.add(f"/{number}/copy", f"image {number}")
    shelf.catalog.forget(["/4/x", "/7/x", "/7/copy"])
    wanted = [12, 8, 5, 999, 1, 11, 19]
    records = shelf.catalog.describe(wanted)
    assert [record.seq for record in records] == [12, 5, 1, 11, 19]
    assert [record.image_id for record in records] == [
        f"image {seq - 1}" for seq in (12, 5, 1, 11, 19)
    ]
    assert [record.paths for record in records[:2]] == [("/11/copy", "/11/x"), ("/4/copy",)]
    assert shelf.catalog.describe([]) == []


def test_describing_many_hits_is_one_query(shelf: Shelf) -> None:
    for number in range(50):
        shelf.add(f"/{number}", f"image {number}")
    asked: list[str] = []
    with shelf.database.read() as connection:
        connection.set_trace_callback(asked.append)
        assert len(shelf.catalog.describe(list(range(1, 51)))) == 50
        connection.set_trace_callback(None)
    assert len(asked) == 1


def test_allowed_seqs_are_those_of_one_fingerprint(shelf: Shelf) -> None:
    other = shelf.under("two")
    shelf.add("/a", "one")
    other.add("/a", "one")
    other.add("/b", "two")
    everything = Condition("width = ?", (40,))
    assert shelf.catalog.allowed(everything, "one").tolist() == [1]
    assert shelf.catalog.allowed(everything, "two").tolist() == [2, 3]
    assert shelf.catalog.allowed(everything, "unknown").tolist() == []
    assert shelf.catalog.allowed(Condition("width = ?", (41,)), "two").tolist() == []
