"""The pages of a PDF as pictures, by PDFium.

PDFium is not for threads: whatever is done with it is done under one lock.
"""

import ctypes
import math
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import BinaryIO, Final

import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image
from pypdfium2.internal import set_callback

from mcp_vlsearch.cache.catalog import ImageInfo
from mcp_vlsearch.core.decode import Decoded
from mcp_vlsearch.errors import ImageError

__all__ = ["DPI", "MAX_PAGE_PIXELS", "PAGE_SECONDS", "PdfFile"]

DPI: Final = 150
"""Resolution by which a page has a size in pixels; PDF's own unit is 1/72 inch."""
MAX_PAGE_PIXELS: Final = 25_000_000
"""Larger pages are drawn smaller, whatever size they claim."""
PAGE_SECONDS: Final = 20.0
"""Longest time for drawing one page."""

_LONGEST_EDGE: Final = 20_000
_PREFIX: Final = "page="
_DATE: Final = re.compile(r"D:(\d{4})(\d\d)(\d\d)(\d\d)?(\d\d)?(\d\d)?(?:([+-]\d\d)'?(\d\d)?|(Z))?")
_DAMAGED: Final = "the PDF is damaged, or not a PDF"
_WHY: Final = {
    pdfium.FPDF_ERR_PASSWORD: "the PDF needs a password: save a copy without one",
    pdfium.FPDF_ERR_SECURITY: "the PDF is encrypted in a way that can't be read: save a copy "
    "without encryption",
}
_FLAGS: Final = pdfium.FPDF_ANNOT | pdfium.FPDF_RENDER_LIMITEDIMAGECACHE

_turn = threading.Lock()


class PdfFile:
    """An opened PDF (see :class:`mcp_vlsearch.core.parted.PartedFile`).

    Raises :class:`ImageError` if it is damaged or needs a password.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._bytes = os.fstat(file.fileno()).st_size
        if not self._bytes:
            raise ImageError("the file is empty: copy it here again")
        with _turn, _explained():
            self._document = pypdfium2.PdfDocument(_Source(file))
            self._pages = len(self._document)
            self._taken_at = _taken_at(self._document)

    def parts(self, most: int) -> tuple[str, ...]:
        """Return the first pages: ``page=1`` and so on."""
        return tuple(f"{_PREFIX}{number}" for number in range(1, min(self._pages, most) + 1))

    def picture(
        self, part: str, target_size: Callable[[int, int], tuple[int, int]] | None = None
    ) -> Decoded:
        """Return a page, drawn on white at the size that is asked for."""
        number = int(part.removeprefix(_PREFIX))
        with _turn, _explained(), self._page(number) as page:
            across, down = page.get_size()
            if not (math.isfinite(across * down) and across > 0 and down > 0):
                raise ImageError("the page is damaged: export the PDF again")
            size = _pixels(across, down, DPI / 72)
            target = target_size(*size) if target_size else size
            drawn = _drawn(page, _pixels(across, down, max(target[0] / across, target[1] / down)))
        if drawn.size != target:
            drawn = drawn.resize(target, Image.Resampling.BICUBIC)
        info = ImageInfo(*size, "PDF", self._bytes, self._taken_at, part=part)
        return Decoded(drawn, info)

    def close(self) -> None:
        """Let go of the document."""
        with _turn:
            self._document.close()

    @contextmanager
    def _page(self, number: int) -> Iterator[pypdfium2.PdfPage]:
        if number > self._pages:
            raise ImageError(f"the PDF has {self._pages} pages: index it again")
        try:
            page = self._document[number - 1]
        except pypdfium2.PdfiumError as error:
            raise ImageError("the page is damaged: export the PDF again") from error
        try:
            yield page
        finally:
            page.close()


class _Source:
    """A file as PDFium reads it: what the system refuses counts as missing."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.read = file.seek, file.tell, file.read

    def readinto(self, buffer: "ctypes.Array[ctypes.c_char]") -> int:
        try:
            return self._file.readinto(buffer)  # type: ignore[attr-defined,no-any-return]
        except OSError:
            return 0


def _pixels(across: float, down: float, scale: float) -> tuple[int, int]:
    """Return the size of a page at a scale, or at the largest that there is memory for."""
    area, edge = MAX_PAGE_PIXELS / (across * down), _LONGEST_EDGE / max(across, down)
    scale = min(scale, math.sqrt(area), edge)
    return max(1, round(across * scale)), max(1, round(down * scale))


def _drawn(page: pypdfium2.PdfPage, size: tuple[int, int]) -> Image.Image:
    """Draw a page, giving up when it takes too long: PDFium asks between two objects of it."""
    until = time.monotonic() + PAGE_SECONDS
    pause = pdfium.IFSDK_PAUSE(version=1)
    set_callback(pause, "NeedToPauseNow", lambda _: time.monotonic() > until)
    bitmap = pypdfium2.PdfBitmap.new_native(*size, pdfium.FPDFBitmap_BGR)
    try:
        bitmap.fill_rect((255, 255, 255, 255), 0, 0, *size)
        status = pdfium.FPDF_RenderPageBitmap_Start(bitmap, page, 0, 0, *size, 0, _FLAGS, pause)
        pdfium.FPDF_RenderPage_Close(page)
        if status == pdfium.FPDF_RENDER_TOBECONTINUED:
            raise ImageError(
                f"the page takes more than {PAGE_SECONDS:.0f} s to draw: export it simpler"
            )
        if status != pdfium.FPDF_RENDER_DONE:
            raise ImageError("the page is damaged: export the PDF again")
        drawn: Image.Image = bitmap.to_pil()
        return drawn.convert("RGB").copy()  # out of the bitmap's memory
    finally:
        bitmap.close()


def _taken_at(document: pypdfium2.PdfDocument) -> str | None:
    """Return when a PDF was made, in ISO 8601; None if it does not say (ISO 32000-1, 7.9.4)."""
    try:
        match = _DATE.match(document.get_metadata_value("CreationDate"))
    except (pypdfium2.PdfiumError, ValueError):  # its text is damaged
        return None
    if not match:
        return None
    *numbers, hours, minutes, utc = match.groups()
    try:
        moment = datetime(*(int(n or 0) for n in numbers))  # type: ignore[arg-type]
    except ValueError:
        return None
    zone = "+00:00" if utc else f"{hours}:{minutes or '00'}" if hours else ""
    return moment.isoformat() + zone if moment.year >= 1970 else None


@contextmanager
def _explained() -> Iterator[None]:
    """Turn whatever PDFium's wrapper raises into one :class:`ImageError`."""
    try:
        yield
    except ImageError:
        raise
    except pypdfium2.PdfiumError as error:
        raise ImageError(_WHY.get(error.err_code, f"{_DAMAGED}: get another copy")) from error
    except MemoryError as error:
        raise ImageError(
            "the page does not fit into memory: close other programs", retry=True
        ) from error
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ImageError(f"{_DAMAGED}: {reason}; get another copy") from error
