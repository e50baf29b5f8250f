"""What is not needed any more goes, its space comes back, and what is searched stays."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.errors import LibraryError
from mcp_vlsearch.indexes.faiss import index as faiss_index
from mcp_vlsearch.types import PruneReport
from tests.core.conftest import paint
from tests.core.mosaic import MosaicEncoder


@pytest.fixture
def grown(library: Library, photos: Path, tmp_path: Path) -> Iterator[Library]:
    """An old fingerprint, a searched one, and one that grows; two images have no file any more."""
    for seed in range(10, 60):
        paint(photos / f"{seed}.png", seed)
    library.index()
    for pixels in (5000, 8192):
        with Library.open(tmp_path / "library", max_pixels=pixels) as other:
            other.index([photos / "trip"] if pixels == 8192 else ())
    library.remove([photos / "10.png", photos / "11.png"])
    MosaicEncoder.encoded.clear()
    with Library.open(tmp_path / "library") as reopened:
        assert spaces(reopened) == {
            "mosaic None": ("old", 58),
            "mosaic 5000": ("searched", 58),
            "mosaic 8192": ("growing", 5),
        }
        yield reopened


def spaces(library: Library) -> dict[str, tuple[str, int]]:
    return {s.fingerprint: (s.state, s.vectors) for s in library.status().spaces}


def brief(report: PruneReport) -> tuple[int, int, list[str]]:
    return report.unused, report.vectors, report.fingerprints


def vectors_in_all(library: Library) -> int:
    with library._database.read() as connection:
        return int(connection.execute("SELECT COUNT(*) FROM embeddings").fetchone()[0])


def test_a_dry_run_tells_what_would_go_and_deletes_nothing(grown: Library) -> None:
    report = grown.cache.prune(unused=True, old=True, dry_run=True)
    assert brief(report) == (2, 60, ["mosaic None"])
    assert report.dry_run
    assert report.freed > 62 * 49 * 2
    assert vectors_in_all(grown) == 125


def test_nothing_that_was_not_asked_for_goes(grown: Library) -> None:
    assert brief(grown.cache.prune()) == (0, 0, [])
    assert vectors_in_all(grown) == 125


def test_vectors_of_images_without_files_go_and_all_others_stay(grown: Library) -> None:
    before = spaces(grown)
    assert brief(grown.cache.prune(unused=True)) == (4, 0, [])
    assert spaces(grown) == before
    assert vectors_in_all(grown) == 121
    with grown._database.read() as connection:
        assert connection.execute("SELECT COUNT(*) FROM images").fetchone() == (58,)
    report = grown.index()
    assert (report.added, report.encoded) == (2, 2), "what comes back is encoded again"


def test_old_fingerprints_go_and_those_that_grow_stay(grown: Library, photos: Path) -> None:
    report = grown.cache.prune(old=True)
    assert brief(report) == (0, 60, ["mosaic None"])
    assert set(spaces(grown)) == {"mosaic 5000", "mosaic 8192"}
    assert grown.search_by_text("red", top_k=100).total_images == 58
    assert grown.search_by_image(str(photos / "0.png")).hits[0].path == str(photos / "0.png")


def test_a_fingerprint_goes_by_its_name_but_never_the_searched_one(grown: Library) -> None:
    with pytest.raises(LibraryError, match="mosaic 5000 is what is searched: go over"):
        grown.cache.prune(fingerprints=["mosaic 5"])
    with pytest.raises(LibraryError, match="no fingerprint begins with 'x'"):
        grown.cache.prune(fingerprints=["x"])
    assert brief(grown.cache.prune(fingerprints=["mosaic 8"])) == (0, 5, ["mosaic 8192"])
    assert vectors_in_all(grown) == 120


def test_space_comes_back_to_the_disk(grown: Library) -> None:
    before = grown.status().database_bytes
    report = grown.cache.prune(unused=True, old=True, fingerprints=["mosaic 8192"])
    assert report.database_bytes == grown.status().database_bytes
    assert before - report.database_bytes == report.freed > 0
    with grown._database.read() as connection:
        assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)


def test_a_server_that_runs_meanwhile_finds_what_is_left(grown: Library, photos: Path) -> None:
    with Library.open(grown.settings.library) as server:
        assert server.search_by_text("red").total_images == 58
        grown.remove([photos / "12.png", photos / "13.png"])
        grown.cache.prune(unused=True, old=True)
        found = server.search_by_text("red", top_k=100)
        assert (found.total_images, len(found.hits)) == (56, 56)


def test_a_read_only_library_is_not_pruned(grown: Library) -> None:
    with (
        Library.open(grown.settings.library, read_only=True) as reader,
        pytest.raises(LibraryError, match="read-only"),
    ):
        reader.cache.prune()


def test_a_server_that_searches_what_was_dropped_says_so(grown: Library) -> None:
    with Library.open(grown.settings.library, encoder="mosaic", max_pixels=8192) as server:
        assert server.search_by_text("red").total_images == 5
        grown.cache.prune(fingerprints=["mosaic 8192"])
        with pytest.raises(LibraryError, match="indexed with other settings"):
            server.search_by_text("red")


def bases(library: Library) -> list[Path]:
    return sorted((library.settings.library / "index").rglob("base.json"))


def test_what_an_index_keeps_on_disk_goes_with_its_fingerprint(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faiss_index, "_LEAST_TAIL", 4)
    library.index()
    with Library.open(library.settings.library, max_pixels=8192) as other:
        other.index()
        assert len(bases(other)) == 2
    library.cache.prune(old=True)
    assert len(bases(library)) == 1
    with Library.open(library.settings.library) as later:
        assert later.search_by_image(str(photos / "0.png")).total_images == 10


def test_a_stored_index_still_learns_what_was_removed_after_it_was_stored(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index()
    library.remove([photos / "trip" / "1.png"])
    monkeypatch.setattr(faiss_index, "_LEAST_TAIL", 4)
    library.index()
    stored = bases(library)
    library.remove([photos / "2.png", photos / "trip" / "3.png"])
    assert library.cache.prune().removals == 1, "the one that the stored index knows"
    with Library.open(library.settings.library) as later:
        found = later.search_by_text("red", top_k=100)
        assert (found.total_images, len(found.hits)) == (8, 8)
        assert bases(later) == stored
