"""Trees are what they say they are, and both ways find every file of them."""

from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

import pytest

from benchmarks import rescan
from benchmarks._filled import fill, image_id_of, noise, opened
from benchmarks._trees import SHAPES, plant

from .conftest import tables


@pytest.mark.parametrize("shape", SHAPES)
def test_a_tree_has_as_many_files_as_asked_for_and_is_described_as_it_is(
    tmp_path: Path, shape: str
) -> None:
    planted = plant(tmp_path / shape, shape, 500)
    there = {str(p): p.stat() for p in (tmp_path / shape).rglob("*") if p.is_file()}
    assert {f.path: (f.size, f.mtime_ns) for f in planted} == {
        path: (status.st_size, status.st_mtime_ns) for path, status in there.items()
    }
    assert len({file.size for file in planted}) == len(planted) == 500


def test_the_shapes_are_many_folders_one_folder_and_a_deep_one() -> None:
    parents = {s: {str(Path(name).parent) for name in SHAPES[s](1200)} for s in SHAPES}
    assert {shape: len(folders) for shape, folders in parents.items()} == {
        "photos": 120,
        "flat": 1,
        "deep": 100,
    }
    assert max(len(Path(folder).parts) for folder in parents["deep"]) == 99


def test_a_library_that_is_filled_finds_every_file_unchanged_and_by_its_vector(
    tmp_path: Path,
) -> None:
    planted = plant(tmp_path / "photos", "photos", 50)
    fill(tmp_path / "library", tmp_path / "photos", planted, noise(50, 8))
    with opened(tmp_path / "library", 8) as library:
        report = library.index()
        assert (report.unchanged, report.scanned, report.total_images) == (50, 50, 50)
        for file in planted:
            hit = library.search_by_image(image_id_of(file.path)).hits[0]
            assert (hit.path, round(hit.score, 2)) == (file.path, 1)


def test_every_way_goes_through_every_tree(tmp_path: Path, here: Callable[[], Executor]) -> None:
    out = tmp_path / "rescan.json"
    rescan.main(["--files", "150", "--runs", "1", "--out", str(out)], here)
    found = tables(out)
    assert list(found) == ["150 files, unchanged", "Stages of ours"]
    for rows in found.values():
        assert list(rows) == list(SHAPES)
    for row in found["150 files, unchanged"].values():
        assert row["rescan / walk"] == pytest.approx(row["rescan, s"] / row["walk + stat, s"])
        assert row["files/s"] == pytest.approx(150 / row["rescan, s"])
        assert row["rescan, bytes a file"] > row["walk, bytes a file"] > 0


def test_a_tree_that_changed_meanwhile_stops_the_run(tmp_path: Path) -> None:
    rescan.prepare(tmp_path, 5)
    (tmp_path / "flat" / "IMG_000001.jpg").unlink()
    for way, kind in ((rescan.BARE, rescan.BARE), *((rescan.OURS, s) for s in ("scan", "index"))):
        with pytest.raises(RuntimeError, match="4 of 5 files were found"):
            rescan.make(way, tmp_path, 5)(rescan.Task("flat", kind))()
