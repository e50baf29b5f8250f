"""Files are encoded by peers and by a library, and are what they say they are."""

import hashlib
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import _pictures, index_folder
from benchmarks._pictures import camera, gallery

from .conftest import tables


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """A camera of few pixels, and its width and height."""
    monkeypatch.setattr(_pictures, "CAMERA", (640, 480))
    return 640, 480


def digests(paths: list[Path]) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def test_a_cameras_files_have_12_megapixels() -> None:
    width, height = _pictures.CAMERA
    assert width * height == 12_000_000


def test_a_cameras_files_are_all_different_and_the_same_each_time(
    tmp_path: Path, small: tuple[int, int]
) -> None:
    first, second = camera(tmp_path / "a", 9), camera(tmp_path / "b", 9)
    assert digests(first) == digests(second)
    assert len(set(digests(first))) == 9
    for path in first:
        with Image.open(path) as image:
            assert (image.format, image.size) == ("JPEG", small)


def test_a_gallery_is_half_png_and_half_jpeg(tmp_path: Path) -> None:
    paths = gallery(tmp_path, 5)
    assert [path.suffix for path in paths] == [".png", ".jpg", ".png", ".jpg", ".png"]
    assert len(set(digests(paths))) == 5
    assert sorted(tmp_path.iterdir()) == [tmp_path / "captions.jsonl", *paths]


@pytest.mark.usefixtures("small")
def test_every_way_encodes_every_file(tmp_path: Path, here: Callable[[], Executor]) -> None:
    out = tmp_path / "index.json"
    sizes = ["--gallery", "4", "--camera", "2", "--batch", "3", "--runs", "1", "--threads", "1"]
    index_folder.main([*sizes, "--out", str(out)], here)
    found = tables(out)
    assert list(found) == ["gallery: 4 files", "camera: 2 files"]
    for rows in found.values():
        assert list(rows) == list(index_folder.WAYS)
        best = rows["ours"]["pictures/s"]
        for row in rows.values():
            assert row["ours"] == pytest.approx(best / row["pictures/s"])
            assert 0 < row["decoding alone"] < 10
            assert row["MiB"] > 50
            assert row["cosine"] > 0.998  # a JPEG that is decoded at half its size differs a bit
    gallery_rows = found["gallery: 4 files"]
    assert all(row["cosine"] > 0.9999 for row in gallery_rows.values())
