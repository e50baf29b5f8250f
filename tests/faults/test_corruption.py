"""A database with damaged pages becomes a working library again."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.progress import Progress
from mcp_vlsearch.core.recovering import recover
from mcp_vlsearch.errors import CancelledError, LibraryError
from tests.core.conftest import paint
from tests.core.mosaic import MosaicEncoder

COUNT = 150
PAGE = 4096


@pytest.fixture
def indexed(library: Library, photos: Path) -> Path:
    """The folder of a library whose tables fill many pages."""
    for seed in range(10, COUNT):
        paint(photos / f"{seed:04}{'-' * 60}.png", seed)
    assert library.index().encoded == COUNT
    library.close()
    return library.settings.library


def opened(folder: Path) -> Library:
    return Library.open(folder, encoder="mosaic", model="colours")


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "library.db")) as connection:
        return connection.execute(query).fetchall()


def damage(folder: Path, which: Callable[[bytes], bool]) -> int:
    """Overwrite all pages but the first that ``which`` is true of; return how many."""
    file = folder / "library.db"
    content = file.read_bytes()
    pages = [content[start : start + PAGE] for start in range(0, len(content), PAGE)]
    damaged = [page for page in pages[1:] if which(page)]
    file.write_bytes(
        b"".join(pages[:1] + [b"\xff" * PAGE if p in damaged else p for p in pages[1:]])
    )
    return len(damaged)


FILES = "SELECT path, size, mtime_ns, image_id FROM files ORDER BY path"


def assert_whole(folder: Path) -> None:
    assert rows(folder, "PRAGMA integrity_check") == [("ok",)]
    assert rows(folder, "PRAGMA foreign_key_check") == []


def test_lost_vectors_are_named_and_only_they_are_encoded_again(indexed: Path) -> None:
    before = rows(indexed, FILES)
    (vector,), *_ = rows(indexed, "SELECT vector FROM embeddings ORDER BY id LIMIT 1 OFFSET 70")
    assert isinstance(vector, bytes)
    assert damage(indexed, lambda page: vector in page) == 1
    broken = (indexed / "library.db").read_bytes()

    recovered = opened(indexed).recover()

    assert_whole(indexed)
    assert Path(recovered.backup).read_bytes() == broken
    assert recovered.files == COUNT
    assert rows(indexed, FILES) == before
    assert 0 < len(recovered.lost) == COUNT - recovered.vectors < COUNT / 3
    with opened(indexed) as library:
        found = library.search_by_text("red").searched_images
        assert found == recovered.vectors, "the index is made of what is left"
        MosaicEncoder.encoded.clear()
        assert library.index().encoded == len(recovered.lost) == sum(MosaicEncoder.encoded)
        assert library.search_by_text("red").searched_images == COUNT


@pytest.mark.parametrize("table", ["fingerprints", "fingerprints_again"])
def test_no_vector_is_lost_with_the_page_that_names_the_encoders(indexed: Path, table: str) -> None:
    before = rows(indexed, "SELECT image_id, vector FROM embeddings ORDER BY id")
    ((page,),) = rows(indexed, f"SELECT rootpage FROM sqlite_schema WHERE name = '{table}'")
    assert isinstance(page, int)
    content = (indexed / "library.db").read_bytes()
    hit = content[(page - 1) * PAGE : page * PAGE]
    assert damage(indexed, lambda page: page == hit) == 1
    recovered = opened(indexed).recover()
    assert_whole(indexed)
    assert (recovered.vectors, recovered.lost) == (COUNT, [])
    assert rows(indexed, "SELECT image_id, vector FROM embeddings ORDER BY id") == before
    with opened(indexed) as library:
        assert library.search_by_text("red").searched_images == COUNT
        assert library.index().encoded == 0


def test_lost_file_rows_are_read_again_without_encoding(indexed: Path) -> None:
    before = rows(indexed, FILES)
    name = f"{COUNT // 2:04}{'-' * 60}.png".encode()
    assert damage(indexed, lambda page: name in page) > 0
    with (
        pytest.raises(LibraryError, match="`mcp-vlsearch doctor --fix"),
        opened(indexed) as library,
    ):
        library.index()
    recovered = recover(indexed)
    assert_whole(indexed)
    assert (recovered.roots, recovered.vectors) == (1, COUNT)
    assert 0 < recovered.files < COUNT
    with opened(indexed) as library:
        assert library.index().encoded == 0, "vectors come from the cache"
    assert rows(indexed, FILES) == before


@pytest.mark.parametrize("seed", range(6))
def test_whatever_pages_are_damaged_the_library_works_again(indexed: Path, seed: int) -> None:
    before = rows(indexed, FILES)
    chance = np.random.default_rng(seed)
    assert damage(indexed, lambda _: chance.random() < 0.08)
    recovered = recover(indexed)
    assert_whole(indexed)
    with opened(indexed) as library:
        library.allow([indexed.parent / "photos"])
        report = library.index()
        assert report.total_images == COUNT
        assert report.encoded <= COUNT - recovered.vectors
        assert library.search_by_text("red").searched_images == COUNT
    assert rows(indexed, FILES) == before


def test_a_file_that_is_no_database_any_more_is_kept_and_a_new_one_begun(indexed: Path) -> None:
    (indexed / "library.db").write_bytes(b"\0" * PAGE * 3)
    recovered = recover(indexed)
    assert Path(recovered.backup).read_bytes() == b"\0" * PAGE * 3
    assert (recovered.roots, recovered.files, recovered.vectors) == (0, 0, 0)
    assert "`mcp-vlsearch index FOLDER`" in str(recovered)
    assert_whole(indexed)


def test_a_recovery_that_is_stopped_changes_nothing(indexed: Path) -> None:
    def stop(_: Progress) -> None:
        raise CancelledError("stopped")

    before = (indexed / "library.db").read_bytes()
    with pytest.raises(CancelledError):
        recover(indexed, stop)
    assert (indexed / "library.db").read_bytes() == before
    assert not [*indexed.glob("*recovering*"), *indexed.glob("*.damaged-*")]
