"""A file's bytes as an upright RGB picture at the size that the encoder looks at.

Everything that can be wrong with a picture ends as one :class:`ImageError`. All functions may run
in several threads at once; Pillow decodes and resizes without holding the interpreter.
"""

import io
import math
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import (
    ExifTags,
    Image,
    ImageCms,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
)

from mcp_vlsearch.cache.catalog import ImageInfo
from mcp_vlsearch.core.metadata import Metadata, read_metadata
from mcp_vlsearch.core.pillow import MAX_DECODED_PIXELS, open_picture, too_large
from mcp_vlsearch.errors import ImageError
from mcp_vlsearch.formats import format_name

__all__ = ["Decoded", "decode", "open_upright", "within"]

_LARGE: Final = 50_000_000
"""Pictures of more pixels are decoded one at a time, since each takes so much memory."""
_large = threading.Lock()

_TRANSPOSE: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How to turn a picture upright, by EXIF orientation."""

_DRAFT_MARGIN: Final = 2
"""JPEG and JPEG 2000 are decoded at no less than so many times the target: resizing stays sharp."""

# Numbers that may stand for white where a file does not say it, by Pillow's mode.
_WHITES: Final = {"I": (255.0, 65535.0), "F": (1.0, 255.0, 65535.0)}
_WHITE_IS_ZERO: Final = 0
"""TIFF's name for greys that count from white to black; Pillow leaves those of 16 bits so."""


@dataclass(frozen=True)
class Decoded:
    """An upright RGB picture at the encoder's size, and what its file says about it."""

    image: Image.Image
    info: ImageInfo


def decode(data: bytes, target_size: Callable[[int, int], tuple[int, int]]) -> Decoded:
    """Return the first picture in a file's bytes, resized to ``target_size(width, height)``.

    Raises :class:`ImageError` with one line that does not name the file.
    """
    with _readable():
        file = open_picture(data)
    with _in_turn(file):
        with _readable():
            metadata = _read(file)
        width, height = file.size[::-1] if metadata.orientation > 4 else file.size
        target = target_size(width, height)
        with _readable():
            file = _halved(data, file, target[::-1] if metadata.orientation > 4 else target)
            image = _render(file, metadata.orientation, target)
    name = file.format or ""
    info = ImageInfo(
        width,
        height,
        format_name(name) or name,
        len(data),
        metadata.taken_at,
        metadata.camera,
        metadata.latitude,
        metadata.longitude,
        lens=metadata.lens,
    )
    return Decoded(image, info)


def open_upright(data: bytes) -> Image.Image:
    """Return the first picture in a file's bytes, upright, RGB and in its full size.

    Raises :class:`ImageError` with one line that does not name the file.
    """
    with _readable():
        file = open_picture(data)
        with _in_turn(file):
            return _render(file, _read(file).orientation, None)


@contextmanager
def _in_turn(file: ImageFile.ImageFile) -> Iterator[None]:
    """Let a large picture wait until no other large one is being decoded."""
    with _large if file.width * file.height > _LARGE else nullcontext():
        yield


def _read(file: ImageFile.ImageFile) -> Metadata:
    if not isinstance(file, JpegImagePlugin.JpegImageFile | Jpeg2KImagePlugin.Jpeg2KImageFile):
        # In other formats EXIF may come after the pixels, and loading may turn the picture already.
        file.load()
    return read_metadata(file)


def _halved(data: bytes, file: ImageFile.ImageFile, size: tuple[int, int]) -> ImageFile.ImageFile:
    """Return a JPEG 2000 in the smallest of its own sizes that still is sharp when resized.

    It holds a half, a quarter and so on of itself. How far that goes, only decoding tells; Pillow
    fails on some odd sizes, too.
    """
    if isinstance(file, Jpeg2KImagePlugin.Jpeg2KImageFile):
        room = min(
            there // (_DRAFT_MARGIN * wanted) for there, wanted in zip(file.size, size, strict=True)
        )
        for halvings in range(room.bit_length() - 1, 0, -1):
            smaller = open_picture(data)
            smaller.reduce = halvings  # type: ignore[assignment,method-assign]
            with suppress(OSError):
                smaller.load()
                return smaller
    return file


def _render(
    file: ImageFile.ImageFile, orientation: int, target: tuple[int, int] | None
) -> Image.Image:
    """Turn last: the picture is smallest then."""
    if target is not None:
        width, height = target = target[::-1] if orientation > 4 else target
        file.draft(None, (_DRAFT_MARGIN * width, _DRAFT_MARGIN * height))
    file.load()
    image = _flatten(file)
    if target is not None and image.size != target:
        image = image.resize(target, Image.Resampling.BICUBIC)
    image = _to_srgb(image, file.info.get("icc_profile"))
    turn = _TRANSPOSE.get(orientation)
    return image if turn is None else image.transpose(turn)


def _flatten(image: Image.Image) -> Image.Image:
    """Return the picture on white in one of the modes RGB, L, CMYK and LAB."""
    if image.mode in _WHITES or image.mode.startswith("I;16"):
        return Image.fromarray(_eight_bits(image))
    if image.has_transparency_data:
        transparent = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(transparent, mask=transparent.getchannel("A"))
        return white
    if image.mode in ("RGB", "L", "CMYK", "LAB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _eight_bits(image: Image.Image) -> NDArray[np.uint8]:
    """Scale greys of more than 8 bits to 0…255, rounded."""
    greys = np.asarray(image).astype(np.float32)
    np.nan_to_num(greys, copy=False, nan=0, posinf=0, neginf=0)
    black, white = _black_and_white(image, greys)
    greys -= black
    greys *= 255 / ((white - black) or 1)
    return np.clip(np.rint(greys, out=greys), 0, 255, out=greys).astype(np.uint8)


def _black_and_white(image: Image.Image, greys: NDArray[np.float32]) -> tuple[float, float]:
    """Return the numbers that stand for black and white: by the file's bit depth if it has one.

    Other files don't say it: white is the first usual one that no grey exceeds, or else both are
    the ends of the range.
    """
    if image.mode.startswith("I;16"):
        tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
        white = float(2 ** tags.get(ExifTags.Base.BitsPerSample, (16,))[0] - 1)
        inverted = tags.get(ExifTags.Base.PhotometricInterpretation) == _WHITE_IS_ZERO
        return (white, 0.0) if inverted else (0.0, white)
    if image.mode == "I" and image.format == "PPM":  # which Pillow has scaled to 16 bits
        return 0.0, 65535.0
    black, white = float(greys.min()), float(greys.max())
    usual = [w for w in _WHITES[image.mode] if black >= 0 and white <= w]
    return (0.0, usual[0]) if usual else (black, white)


def _to_srgb(image: Image.Image, profile: object) -> Image.Image:
    if isinstance(profile, bytes) and (transform := _srgb_transform(profile, image.mode)):
        return transform.apply(image)
    return image if image.mode == "RGB" else image.convert("RGB")


@lru_cache(maxsize=16)
def _srgb_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return how to get from a profile's colours to sRGB; None if that is needless or unknown."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in (source.profile.profile_description or "").lower():
            return None
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        return ImageCms.ImageCmsTransform(source, srgb, mode, "RGB")
    except Exception:  # it is damaged, or of another kind of picture: colours stay as they are
        return None


@contextmanager
def _readable() -> Iterator[None]:
    """Turn whatever Pillow raises into one :class:`ImageError`."""
    try:
        yield
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        pixels = re.search(r"\d+", str(error))
        size = float(pixels.group()) if pixels else math.inf
        raise too_large(size, MAX_DECODED_PIXELS) from error
    except UnidentifiedImageError as error:
        raise ImageError(
            "the file is not a picture that can be read, or its beginning is damaged: copy it "
            "again, or give another"
        ) from error
    except MemoryError as error:
        raise ImageError(
            "the picture does not fit into memory: end other programs and try again", retry=True
        ) from error
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ImageError(f"the picture is damaged: {reason}; copy it again") from error


def within(width: int, height: int, edge: int) -> tuple[int, int]:
    """Return the size of a picture whose longest edge is at most ``edge``, never enlarged."""
    scale = min(1.0, edge / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
