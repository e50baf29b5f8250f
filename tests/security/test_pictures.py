"""Attacks by picture: what is broken or hostile is a failure of its own, in bounded memory."""

import json
import math
import os
import random
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mcp_vlsearch.core import pdf, pillow, video
from mcp_vlsearch.core.decode import decode, open_upright
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.pillow import MAX_DECODED_PIXELS, MAX_DECODING_BYTES
from mcp_vlsearch.errors import ImageError
from mcp_vlsearch.formats import PILLOW_FORMATS
from tests.fuzz import mutants
from tests.parted_files import SIZE, scene, write_pdf, write_video
from tests.pictures import encoded, exif, good_files, picture, pixels
from tests.security.bombs import bombs, hidden, pages

REPOSITORY = Path(__file__).parents[2]
GOOD = good_files()
MODEST = 400 * 2**20
"""Bytes that no small picture takes, whatever it claims."""

Found = dict[str, dict[str, Any]]


def measured(folder: Path, files: Mapping[str, bytes], limit: int, smaller: int = 1) -> Found:
    """Decode files in a process that may take no more than so many bytes beyond its own.

    What is stated of pixels and memory is made so many times smaller there.
    """
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-m", "tests.security.measured", str(folder), str(limit), str(smaller)],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    found: Found = json.loads(done.stdout)
    assert found.keys() == files.keys()
    return found


def one_line(error: str) -> bool:
    return "\n" not in error and len(error) < 400 and "Traceback" not in error


linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is measured by /proc")


@linux
def test_a_bomb_of_any_format_is_refused_by_its_header(tmp_path: Path) -> None:
    made = bombs()
    assert len(made) >= 20
    for name, found in measured(tmp_path / "bombs", made, MODEST).items():
        assert found["error"], name
        assert one_line(found["error"])
        assert "fit into memory" not in found["error"], name
        assert found["bytes"] < 2**25, (name, found)
        assert found["seconds"] < 1, (name, found)
    told = [n for n in made if "the limit is" in measured_error(made[n])]
    assert {"png", "jpeg", "gif", "webp", "tiff", "bigtiff", "jpeg2000", "psd", "qoi"} <= set(told)


def measured_error(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        open_upright(data)
    return str(caught.value)


@linux
def test_what_is_hidden_in_a_picture_is_unpacked_within_bounds(tmp_path: Path) -> None:
    """Compressed texts and profiles, tags that all claim one megabyte, circles, inner pictures."""
    for name, found in measured(tmp_path / "hidden", dict(hidden()), MODEST).items():
        assert one_line(found["error"])
        assert "fit into memory" not in found["error"], name
        assert found["bytes"] < 2**27, (name, found)
        assert found["seconds"] < 2, (name, found)


@linux
def test_decoding_takes_no_more_memory_than_is_stated(tmp_path: Path) -> None:
    side, spare = 1000, 12 * 2**20
    colours = picture(side, side)
    see_through = colours.copy()
    see_through.putalpha(picture(side, side, 1).convert("L"))
    grey = colours.convert("L")
    made = {
        "PNG": [colours, see_through, grey, colours.quantize(16)],
        "JPEG": [colours, colours.convert("CMYK")],
        "WEBP": [colours, see_through],
        "GIF": [grey],
        "TIFF": [colours, Image.fromarray(np.asarray(grey, np.float32)), colours.convert("CMYK")],
        "BMP": [colours],
        "AVIF": [colours],
        "HEIF": [colours],
        "JPEG2000": [colours, see_through],
        "QOI": [picture(250, 250)],
    }
    quick: dict[str, dict[str, Any]] = {"WEBP": {"method": 0}, "AVIF": {"speed": 10}}
    files = {
        f"{kind}-{number}": encoded(image, kind, **quick.get(kind, {}))
        for kind, images in made.items()
        for number, image in enumerate(images)
    }
    for name, found in measured(tmp_path / "files", files, MODEST).items():
        kind = name.split("-")[0]
        each = pillow._BYTES_A_PIXEL.get(kind, pillow._MOST_BYTES_A_PIXEL)
        assert not found["error"], name
        assert found["bytes"] <= each * found["pixels"] + spare, (name, found)
        assert each * min(MAX_DECODED_PIXELS, MAX_DECODING_BYTES // each) <= MAX_DECODING_BYTES


def of_pixels(pixels: int, mode: str, kind: str) -> bytes:
    """Return a picture of just so many pixels, or up to a row less."""
    side = math.isqrt(pixels)
    quick: dict[str, Any] = {"WEBP": {"method": 0}, "AVIF": {"speed": 10}}.get(kind, {})
    return encoded(Image.new(mode, (pixels // side, side)), kind, **quick)


@linux
def test_a_picture_at_the_limit_takes_no_more_memory_than_is_stated(tmp_path: Path) -> None:
    """All limits are a hundred times lower: at their own height it takes seconds."""
    smaller, spare = 100, 8 * 2**20
    stated = MAX_DECODING_BYTES // smaller
    kinds = {"PNG": "RGBA", "JPEG": "CMYK", "WEBP": "RGBA", "JPEG2000": "RGBA", "AVIF": "RGB"}
    files: dict[str, bytes] = {}
    for kind, mode in kinds.items():
        each = pillow._BYTES_A_PIXEL.get(kind, pillow._MOST_BYTES_A_PIXEL)
        most = min(MAX_DECODED_PIXELS // smaller, stated // each)
        files[f"{kind}-fits"] = of_pixels(most, mode, kind)
        files[f"{kind}-larger"] = of_pixels(most + 2 * math.isqrt(most), mode, kind)
    for name, found in measured(tmp_path / "files", files, MODEST, smaller).items():
        if name.endswith("fits"):
            assert not found["error"], name
            assert found["bytes"] <= stated + spare, (name, found)
        else:
            assert "the limit is" in found["error"], name
            # libwebp takes four bytes a pixel before it can be asked for the size
            assert found["bytes"] <= stated / 4 + spare, (name, found)


def test_only_formats_of_the_list_are_opened() -> None:
    """None of them runs code or another program, or needs a library beside Pillow's own."""
    assert not {"EPS", "WMF", "EMF", "FPX", "MIC", "HDF5", "BUFR", "GRIB", "PDF", "MPEG", "IPTC",
                "GD", "WAL", "PALM"} & set(PILLOW_FORMATS)  # fmt: skip
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
    for hostile in (
        svg,
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + svg,
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) run\n",
        b"\xd7\xcd\xc6\x9a" + bytes(60),
        b"\x01\0\0\0" + bytes(36) + b" EMF" + bytes(60),
        b"<?php system('id'); ?>",
    ):
        assert "not a picture" in measured_error(hostile)


def test_svg_is_passed_by_and_not_parsed_under_another_name(library: Library, photos: Path) -> None:
    svg = "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
    (photos / "drawing.svg").write_text(svg)
    (photos / "drawing.png").write_text(svg)
    (failure,) = library.index().failures
    assert Path(failure.path).name == "drawing.png"
    assert "not a picture" in failure.error


def test_a_picture_cut_off_anywhere_is_a_picture_or_one_line() -> None:
    for name, data in GOOD.items():
        for part in range(20):
            try:
                found = open_upright(data[: len(data) * part // 20])
            except ImageError as error:
                assert one_line(str(error)), name  # noqa: PT017 - most are errors, not all
            else:
                assert found.mode == "RGB"


def test_wrong_extensions_break_nothing(library: Library, photos: Path) -> None:
    kinds = ("a.jpg", "b.png", "c.webp", "d.gif", "f.tif", "g.heic", "e.bmp")
    suffixes = (".jpg", ".png", ".tif", ".heic", ".ico", ".pdf", ".mp4", ".xpm", ".tga")
    folder = photos / "wrong"
    folder.mkdir()
    for kind in kinds:
        for suffix in suffixes:
            (folder / f"{kind[0]}{suffix}").write_bytes(GOOD[kind] + suffix.encode())
    report = library.index([folder])
    broken = {Path(failure.path).suffix for failure in report.failures}
    assert broken == {".pdf", ".mp4"}  # though HEIC is what .mp4 is, and may pass as one
    assert report.added + report.failed == len(kinds) * len(suffixes)
    assert all(one_line(failure.error) for failure in report.failures)


def test_only_the_first_of_many_pages_of_a_tiff_is_read() -> None:
    data = pages()
    began = time.monotonic()
    assert open_upright(data).size == (2, 2)
    assert time.monotonic() - began < 1


def test_a_huge_exif_is_read_within_a_second() -> None:
    long = exif({0x010F: "A" * 60_000, 0x9003: "2024:01:02 03:04:05"})
    many = exif({0x010F: "Maker", **{0xC000 + number: "x" * 500 for number in range(8000)}})
    first, second = (encoded(picture(), exif=data) for data in (long, many))
    began = time.process_time()  # to write them takes far longer
    assert decode(first, lambda *size: size).info.taken_at
    assert decode(second, lambda *size: size).image.size == (96, 64)
    assert time.process_time() - began < 1


def test_formats_that_are_decoded_slowly_have_a_lower_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pillow, "_MAX_SLOW_PIXELS", 96 * 64 - 1)
    assert "the limit is" in measured_error(encoded(picture(), "QOI"))
    assert open_upright(encoded(picture(), "PNG")).size == (96, 64)


ANY_SIZE = [(1e9, 1e9), (1e9, 0.001), (0, 0), (14400, 14400), (-5, 3)]


@pytest.mark.parametrize("size", ANY_SIZE)
def test_a_page_that_claims_any_size_is_drawn_or_a_line(
    library: Library, photos: Path, size: tuple[float, float]
) -> None:
    write_pdf(photos / "wall.pdf", [(255, 0, 0)], size)
    report = library.index([photos / "wall.pdf"])
    assert report.added + report.failed == 1
    assert all(one_line(failure.error) for failure in report.failures)


@linux
def test_a_page_that_claims_any_size_is_drawn_small(tmp_path: Path) -> None:
    files = {
        f"{across} by {down}.pdf": write_pdf(
            tmp_path / "wall.pdf", [(255, 0, 0)], (across, down)
        ).read_bytes()
        for across, down in ANY_SIZE
    }
    drawn = measured(tmp_path / "files", files, MAX_DECODING_BYTES).values()
    assert max(found["pixels"] for found in drawn) == pdf.MAX_PAGE_PIXELS
    for found in drawn:
        assert found["bytes"] < 400_000_000, found


def claiming(film: bytes, width: int, height: int) -> bytes:
    """Return a VP8 film whose codec claims another size than its container, frame by frame."""
    size = struct.pack("<HH", *SIZE)
    return film.replace(VP8 + size, VP8 + struct.pack("<HH", width, height))


VP8 = b"\x9d\x01\x2a"
"""Stands before width and height in each key frame."""


@linux
def test_a_frame_of_a_video_takes_no_more_memory_than_is_stated(tmp_path: Path) -> None:
    """All limits are fifty times lower, for frames are large at their own height."""
    smaller, spare = 50, 12 * 2**20
    most = video.MAX_FRAME_PIXELS // smaller
    scenes = [(scene(1), 2.5), (scene(2), 2.5)]
    small = write_video(tmp_path / "a.webm", scenes, codec="libvpx", key_frames=5).read_bytes()
    fits = write_video(tmp_path / "b.webm", [(scene(1, (most // 1000, 1000)), 0.1)], codec="libvpx")
    files = {
        "fits.webm": fits.read_bytes(),
        "claims more.webm": claiming(small, most // 1000 + 16, 1000),
        "claims much.webm": claiming(small, 12_000, 12_000),
    }
    found = measured(tmp_path / "files", files, MAX_DECODING_BYTES, smaller)
    assert found["fits.webm"]["pixels"] == most
    assert found["fits.webm"]["bytes"] <= MAX_DECODING_BYTES // smaller + spare
    assert "the limit is 2" in found["claims more.webm"]["error"]
    assert "no picture of the video can be decoded" in found["claims much.webm"]["error"]
    for name in ("claims more.webm", "claims much.webm"):
        assert found[name]["bytes"] <= MAX_DECODING_BYTES // smaller + spare, found


def test_a_video_whose_container_claims_a_huge_frame_shows_what_its_codec_has(
    library: Library, photos: Path
) -> None:
    path = write_video(photos / "film.mp4", [(scene(1), 0.5)])
    size = (96).to_bytes(2, "big") + (64).to_bytes(2, "big")
    path.write_bytes(path.read_bytes().replace(size, b"\xff\xf0\xff\xf0"))
    report = library.index([path])
    assert (report.added, report.failed) == (1, 0)


def test_a_video_that_claims_a_huge_frame_is_refused(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(photos / "film.mp4", [(scene(1), 0.5)])
    monkeypatch.setattr(video, "MAX_FRAME_PIXELS", 96 * 64 - 1)
    (failure,) = library.index([path]).failures
    assert "the limit is" in failure.error


def test_pixels_of_a_video_that_claim_to_be_very_wide_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "film.mp4", [(scene(1), 0.5)])
    stored = struct.pack(">HH", *SIZE)  # and beside it, as what they are to be shown
    path.write_bytes(path.read_bytes().replace(stored, struct.pack(">HH", 1, 0xFFFF)))
    monkeypatch.setattr(video, "MAX_FRAME_PIXELS", 1_000_000)
    with path.open("rb") as file:
        film = video.VideoFile(file, "MP4")
        with pytest.raises(ImageError, match="the limit is 1"):
            film.picture("t=0")
        film.close()


def test_a_folder_of_attacks_gives_failures_and_everything_else(
    library: Library, photos: Path
) -> None:
    hostile = {f"bomb-{name}.png": data for name, data in bombs().items()}
    for name, data in hostile.items():
        (photos / name).write_bytes(data)
    Image.fromarray(pixels(seed=77)).save(photos / "good.png")
    report = library.index()
    assert report.added == 1
    assert report.failed == len(hostile)
    assert all(one_line(failure.error) for failure in report.failures)
    assert library.search_by_text("red").total_images == 5


def test_mutated_pictures_are_pictures_or_one_line() -> None:
    """`python -m tests.fuzz --seconds N` goes on for longer, with a corpus that grows."""
    for name, data in mutants(random.Random(7), 600):
        try:
            found = open_upright(data)
        except ImageError as error:
            assert one_line(str(error)), name  # noqa: PT017 - most are errors, not all
        else:
            assert found.mode == "RGB"
            assert found.width * found.height <= MAX_DECODED_PIXELS
