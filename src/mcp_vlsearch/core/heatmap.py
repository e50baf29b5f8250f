"""A heat map drawn over its picture, as a JPEG that every client takes."""

from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mcp_vlsearch.core.sheet import MAX_BYTES, MAX_EDGE, fitting_jpeg, font, shortened

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Heat

__all__ = ["MAX_SIDE", "draw_heat_map", "peak_of", "spread"]

MAX_SIDE: Final = MAX_EDGE
"""Pixels along an edge."""
_LEAST_SIDE: Final = 560
"""Smaller pictures are enlarged, so that the legend can be read."""
_LEGEND: Final = 48

# From dark violet over red to light yellow, brightness growing evenly, as inferno's does (van der
# Walt and Smith, 2015).
_ANCHORS: Final = (
    (27, 12, 65),
    (74, 12, 107),
    (120, 28, 109),
    (165, 44, 96),
    (207, 68, 70),
    (237, 105, 37),
    (251, 155, 6),
    (247, 209, 61),
    (252, 255, 164),
)
_OPACITY: Final = 0.72
"""Of the hottest part."""
_FADED: Final = 0.55
"""How far the picture's own colours are taken back, so that the map's stand out."""
_PAPER: Final = (24, 22, 26)
_INK: Final = (238, 236, 232)

Pixels = NDArray[np.uint8]


def draw_heat_map(image: Image.Image, heat: "Heat", caption: str) -> bytes:
    """Return an upright RGB picture with its heat map and a legend, as JPEG.

    No edge is over :data:`MAX_SIDE`, and there are at most :data:`MAX_BYTES`.
    """
    return fitting_jpeg(_with_legend(_blended(_sized(image), heat), caption), MAX_BYTES)


def spread(heat: "Heat", width: int, height: int) -> "Heat":
    """Return heat for every pixel, shape (height, width): smooth between the cells' centres."""
    small = Image.fromarray(np.asarray(heat, np.float32), "F")
    smooth = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))
    return np.asarray(np.clip(smooth, 0, 1), np.float32)


def peak_of(heat: "Heat", width: int, height: int) -> tuple[int, int]:
    """Return the hottest pixel of a picture of some size, across and down."""
    down, across = np.unravel_index(spread(heat, width, height).argmax(), (height, width))
    return int(across), int(down)


def _sized(image: Image.Image) -> Image.Image:
    room = MAX_SIDE - _LEGEND
    longest = max(image.size)
    scale = min(1.0, room / longest)
    if longest < _LEAST_SIDE:
        scale = _LEAST_SIDE / longest
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)


def _blended(image: Image.Image, heat: "Heat") -> Image.Image:
    """Lay the map over the picture, the more opaque the hotter, and mark the hottest point."""
    hot = spread(heat, *image.size)[..., None]
    picture = np.asarray(image.convert("RGB"), np.float32)
    grey = np.asarray(image.convert("L"), np.float32)[..., None]
    faded = picture + _FADED * (grey * 0.9 - picture)
    colours = _ramp()[np.rint(hot[..., 0] * 255).astype(np.uint8)]
    opacity = _OPACITY * hot**0.8  # what is hardly warm stays the picture
    blended = faded + opacity * (colours - faded)
    canvas = Image.fromarray(np.clip(np.rint(blended), 0, 255).astype(np.uint8))
    if hot.any():
        _mark(canvas, peak_of(heat, *image.size))
    return canvas


def _mark(canvas: Image.Image, at: tuple[int, int]) -> None:
    radius = max(8, min(canvas.size) // 40)
    draw = ImageDraw.Draw(canvas)
    for grown, colour, width in ((1, (0, 0, 0), 5), (0, (255, 255, 255), 3)):
        box = [c + sign * (radius + grown) for sign in (-1, 1) for c in at]
        draw.ellipse(box, outline=colour, width=width)


def _with_legend(image: Image.Image, caption: str) -> Image.Image:
    canvas = Image.new("RGB", (max(image.width, 320), image.height + _LEGEND), _PAPER)
    canvas.paste(image, ((canvas.width - image.width) // 2, 0))
    draw = ImageDraw.Draw(canvas)
    middle = image.height + _LEGEND // 2
    width = min(160, canvas.width // 4)
    right = canvas.width - 14
    small = font(14)
    more = draw.textlength("matches most", small)
    left = right - more - 10 - width
    bar = Image.fromarray(_ramp().astype(np.uint8)[None]).resize((width, 14))
    canvas.paste(bar, (round(left), middle - 7))
    draw.text((right, middle), "matches most", _INK, small, anchor="rm")
    draw.text((left - 10, middle), "rest", _INK, small, anchor="rm")
    room = left - 10 - draw.textlength("rest", small) - 28
    text = shortened(" ".join(caption.split()), 14, room)
    draw.text((14, middle), text, _INK, font(14, text), anchor="lm")
    return canvas


@cache
def _ramp() -> NDArray[np.float32]:
    """Return 256 colours, shape (256, 3)."""
    anchors = np.array(_ANCHORS, np.float32)
    at = np.linspace(0, len(anchors) - 1, 256)
    channels = [np.interp(at, np.arange(len(anchors)), anchors[:, c]) for c in range(3)]
    return np.stack(channels, 1).astype(np.float32)
