"""Pages of a PDF are pictures of what is drawn on them, and what is wrong is told in a line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from mcp_vlsearch.core import pdf
from mcp_vlsearch.core.digest import open_file
from mcp_vlsearch.core.pdf import MAX_PAGE_PIXELS, PdfFile
from mcp_vlsearch.errors import ImageError
from tests.parted_files import BLUE, GREEN, LOCKED, RED, write_pdf
from tests.pictures import anywhere


@contextmanager
def opened(path: Path) -> Iterator[PdfFile]:
    with open_file(str(path), anywhere) as file:
        document = PdfFile(file)
        try:
            yield document
        finally:
            document.close()


def refused(path: Path) -> str:
    with pytest.raises(ImageError) as caught, opened(path):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_each_page_is_drawn_in_its_colours(tmp_path: Path) -> None:
    with opened(write_pdf(tmp_path / "a.pdf", [RED, GREEN, BLUE])) as document:
        assert document.parts(10) == ("page=1", "page=2", "page=3")
        for part, colour in zip(document.parts(10), (RED, GREEN, BLUE), strict=True):
            found = document.picture(part)
            assert np.asarray(found.image).reshape(-1, 3).mean(axis=0).tolist() == list(colour)
            assert found.image.mode == "RGB"
            assert (found.info.part, found.info.format) == (part, "PDF")


def test_a_page_has_its_size_at_150_dots_per_inch_and_is_drawn_at_the_size_asked_for(
    tmp_path: Path,
) -> None:
    asked = []

    def target(width: int, height: int) -> tuple[int, int]:
        asked.append((width, height))
        return 64, 32

    with opened(write_pdf(tmp_path / "a4.pdf", [RED], (595.276, 841.89))) as document:
        found = document.picture("page=1", target)
        assert asked == [(1240, 1754)]
        assert (found.info.width, found.info.height) == (1240, 1754)
        assert found.image.size == (64, 32)
        assert document.picture("page=1").image.size == (1240, 1754)


def test_what_is_above_on_the_page_is_above_in_the_picture(tmp_path: Path) -> None:
    commands = "1 0 0 rg 0 50 200 50 re f 0 0 1 rg 0 0 200 50 re f"  # PDF counts from below
    with opened(write_pdf(tmp_path / "a.pdf", [commands])) as document:
        pixels = np.asarray(document.picture("page=1", lambda _w, _h: (40, 20)).image)
    assert pixels[2, 20].tolist() == [255, 0, 0]
    assert pixels[17, 20].tolist() == [0, 0, 255]


def test_no_more_pages_are_given_than_asked_for(tmp_path: Path) -> None:
    with opened(write_pdf(tmp_path / "a.pdf", [RED] * 12)) as document:
        assert document.parts(2) == ("page=1", "page=2")


@pytest.mark.parametrize("size", [(14_400, 14_400), (1_000_000, 2_000_000), (0.01, 14_400)])
def test_a_huge_page_is_drawn_within_bounds(tmp_path: Path, size: tuple[float, float]) -> None:
    with opened(write_pdf(tmp_path / "huge.pdf", [RED], size)) as document:
        try:
            found = document.picture("page=1", lambda _w, _h: (32, 32))
        except ImageError:
            return  # PDFium itself refuses some sizes
        assert found.info.width * found.info.height <= 1.01 * MAX_PAGE_PIXELS
        assert found.image.size == (32, 32)


def test_a_page_that_is_missing_fails_by_itself(tmp_path: Path) -> None:
    with opened(write_pdf(tmp_path / "torn.pdf", [RED, None, BLUE])) as document:
        assert len(document.parts(10)) == 3
        with pytest.raises(ImageError, match="the page is damaged"):
            document.picture("page=2")
        assert document.picture("page=3").image.getpixel((5, 5)) == BLUE


def test_a_pdf_with_a_password_says_so(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "locked.pdf", [RED], encrypt=LOCKED)
    assert refused(path) == "the PDF needs a password: save a copy without one"


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7\n", b"hello", b"%PDF-1.7\n%%EOF"])
def test_what_is_no_pdf_is_refused_in_a_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad.pdf"
    path.write_bytes(data)
    assert refused(path) in (
        "the file is empty: copy it here again",
        "the PDF is damaged, or not a PDF: get another copy",
    )


def test_a_page_that_takes_too_long_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf, "PAGE_SECONDS", 0.0)
    many = " ".join(f"0 0 0 rg {n % 200} {n % 100} 3 3 re f" for n in range(3000))
    with (
        opened(write_pdf(tmp_path / "slow.pdf", [many])) as document,
        pytest.raises(ImageError, match="takes more than 0 s to draw"),
    ):
        document.picture("page=1")


@pytest.mark.parametrize(
    ("said", "taken_at"),
    [
        ("D:20240506070809+02'00'", "2024-05-06T07:08:09+02:00"),
        ("D:20240506070809Z", "2024-05-06T07:08:09+00:00"),
        ("D:20240506070809", "2024-05-06T07:08:09"),
        ("D:20240506", "2024-05-06T00:00:00"),
        ("D:20241306070809", None),
        ("D:19040101000000", None),
        ("yesterday", None),
    ],
)
def test_a_page_was_taken_when_the_pdf_was_made(
    tmp_path: Path, said: str, taken_at: str | None
) -> None:
    path = write_pdf(tmp_path / "a.pdf", [RED], info=f"/CreationDate ({said})")
    with opened(path) as document:
        assert document.picture("page=1").info.taken_at == taken_at
