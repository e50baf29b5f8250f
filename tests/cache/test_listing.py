"""Known files are listed in the order of their paths, and those without a vector are marked."""

from pathlib import PurePath

import pytest

from mcp_vlsearch.cache import listing
from mcp_vlsearch.cache.catalog import FileRecord
from mcp_vlsearch.cache.listing import Listing

from .conftest import PICTURE, Shelf

PATHS = ["/p", "/p/a.jpg", "/p/a/1", "/p/a/b/2", "/p/b", "/p/é", "/p/猫/x", "/p-1", "/q"]
BELOW = [path for path in PATHS if path == "/p" or path.startswith("/p/")]
DIRECT = [path for path in BELOW if str(PurePath(path).parent) in ("/", "/p")]


def marks(shelf: Shelf, fingerprint: str = "one") -> dict[str, int]:
    return {
        path: again
        for path, _, _, again, _, _ in Listing(shelf.database, fingerprint).below("/", True)
    }


@pytest.mark.parametrize("page", [1, 2, 3, 1000])
@pytest.mark.parametrize(("recursive", "expected"), [(True, BELOW), (False, DIRECT)])
def test_files_come_in_order_however_they_are_cut_into_pages(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, page: int, recursive: bool, expected: list[str]
) -> None:
    shelf.catalog.put_files((path, FileRecord(1, 2, error="broken")) for path in PATHS)
    monkeypatch.setattr(listing, "_PAGE", page)
    files = list(Listing(shelf.database, "one").below("/p", recursive))
    assert [file[0] for file in files] == sorted(expected)
    assert {file[1:] for file in files} == {(1, 2, 0, "broken", 0)}


def test_a_file_is_read_again_if_it_said_so_or_its_image_has_no_vector(shelf: Shelf) -> None:
    shelf.add("/a", "one")
    shelf.add("/b", "two")
    shelf.catalog.put_files([("/locked", FileRecord(1, 2, error="locked", retry=True))])
    shelf.catalog.put_files([("/broken", FileRecord(1, 2, error="broken"))])
    assert marks(shelf) == {"/a": 0, "/b": 0, "/locked": 1, "/broken": 0}
    assert marks(shelf, "other") == {"/a": 1, "/b": 1, "/locked": 1, "/broken": 0}
    shelf.under("other").add("/b", "two")
    assert marks(shelf, "other") == {"/a": 1, "/b": 0, "/locked": 1, "/broken": 0}
    shelf.under("other").add("/a", "one")
    assert marks(shelf, "other") == marks(shelf)
    shelf.catalog.put_image("three", PICTURE)
    shelf.catalog.put_files([("/c", FileRecord(1, 2, "three"))])
    assert marks(shelf)["/c"] == 1


def test_no_transaction_stays_open_while_files_are_listed(shelf: Shelf) -> None:
    shelf.add("/a", "one")
    files = Listing(shelf.database, "one").below("/", True)
    next(files)
    shelf.add("/b", "two")
    assert [file[0] for file in files] == ["/b"]


def test_pages_and_files_are_found_by_their_keys(shelf: Shelf) -> None:
    asked: list[str] = []
    with shelf.database.read() as connection:
        connection.set_trace_callback(asked.append)
        list(Listing(shelf.database, "one").below("/p", True))
        connection.set_trace_callback(None)
        for query in asked:
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
            scanned = [step for step in plan if "SCAN files" in step or "TEMP B-TREE" in step]
            assert not scanned, plan
    assert len(asked) == 3
