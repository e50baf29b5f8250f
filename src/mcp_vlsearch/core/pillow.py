"""Pillow, made ready for files that nobody vouches for.

Only formats of a list are opened, none that runs code or another program, and none beyond what
memory and time are promised. Pillow's own limits leave some of that open.
"""

import io
import re
import warnings
from functools import cache
from typing import IO, Final

import pillow_heif
from PIL import Image, ImageFile, PngImagePlugin
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from mcp_vlsearch.errors import ImageError
from mcp_vlsearch.formats import PILLOW_FORMATS

__all__ = ["MAX_DECODED_PIXELS", "MAX_DECODING_BYTES", "open_picture", "too_large"]

MAX_DECODED_PIXELS: Final = 250_000_000
"""Pictures of more pixels are refused by their header: a small file may claim any size."""

MAX_DECODING_BYTES: Final = 3_500_000_000
"""Memory that decoding one picture takes at most, beside the bytes of its file."""

_BYTES_A_PIXEL: Final = {"WEBP": 22, "JPEG2000": 26}
"""Memory that decoding takes at most by format, measured over modes; these decode by copies."""
_MOST_BYTES_A_PIXEL: Final = 14
"""That of all other formats."""
_MAX_SLOW_PIXELS: Final = 25_000_000
"""Rare formats are decoded in Python, holding everything else up: about a second a megapixel."""

_SPARE_TAG_BYTES: Final = 2**20
"""What a directory of tags may read beyond the size of its file: each value is read once."""

_PILLOW: Final = r"PIL\."
_IGNORE: Final = ("ignore", None, Warning, re.compile(_PILLOW), 0)

# Pillow warns above this and raises above twice as much, for pictures inside of pictures, too.
Image.MAX_IMAGE_PIXELS = MAX_DECODED_PIXELS // 2
# Editors write XMP and histories into PNG texts that are larger than Pillow's 1 MiB.
PngImagePlugin.MAX_TEXT_CHUNK = 16 * 2**20


def open_picture(data: bytes) -> ImageFile.ImageFile:
    """Open a picture of an allowed format by its header; nothing is decoded yet.

    Raises :class:`ImageError` for what is too large, and whatever Pillow does.
    """
    if not data:
        raise ImageError("the file is empty: copy it again")
    _quiet_pillow()
    _register_heif()
    file = Image.open(io.BytesIO(data), formats=PILLOW_FORMATS)
    _check_size(file)
    return file


def _check_size(file: ImageFile.ImageFile) -> None:
    """Refuse by its header what would take more memory or time than is promised."""
    each = _BYTES_A_PIXEL.get(file.format or "", _MOST_BYTES_A_PIXEL)
    most = min(MAX_DECODED_PIXELS, MAX_DECODING_BYTES // each)
    if any(tile[0] in Image.DECODERS for tile in getattr(file, "tile", ())):
        most = _MAX_SLOW_PIXELS
    if file.width * file.height > most:
        raise too_large(file.width * file.height, most)


def too_large(pixels: float, most: float) -> ImageError:
    """Return what is told of a picture of too many pixels."""
    return ImageError(
        f"the picture has {pixels / 1e6:.0f} megapixels, the limit is {most / 1e6:.0f}: "
        "store a smaller copy beside it"
    )


class _Metered:
    """A file that gives no more bytes than it has, however often they are asked for."""

    def __init__(self, file: IO[bytes]) -> None:
        place = file.tell()
        self._left = file.seek(0, io.SEEK_END) + _SPARE_TAG_BYTES
        file.seek(place)
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise OSError("its tags claim more than there is in the file")
        return data


def _quiet_pillow() -> None:
    """Ignore Pillow's warnings: what it warns of is either read well enough or raises later.

    ``warnings.catch_warnings`` is not for threads, and others may have replaced the filters since.
    """
    if _IGNORE not in warnings.filters:
        warnings.filterwarnings("ignore", module=_PILLOW)


@cache
def _register_heif() -> None:
    pillow_heif.register_heif_opener()


def _bound_tags() -> None:
    """Let each byte of a file be read for one tag only.

    Pillow copies the value of every tag: 65,535 tags of a small file that all point at the same
    megabyte would fill any memory. This holds for TIFF and for EXIF in all formats.
    """
    load = ImageFileDirectory_v2.load

    def bounded(self: ImageFileDirectory_v2, fp: IO[bytes]) -> None:
        load(self, _Metered(fp))  # type: ignore[arg-type]

    ImageFileDirectory_v2.load = bounded  # type: ignore[method-assign]


_bound_tags()
