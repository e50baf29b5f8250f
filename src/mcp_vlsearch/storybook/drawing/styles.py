"""Drawing styles: how bold the ink around objects is, and a finish for the whole picture."""

import random
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageFilter

from mcp_vlsearch.storybook.drawing.pen import INK

__all__ = ["finish", "outline"]

_OUTLINES: Final = {"cartoon": 0.032, "crayon": 0.014}
_PAPER: Final = (250, 247, 240)
_TEXTURE: Final = 1024
_PIXELS: Final = 92
_LEVEL: Final = 24
_BAYER: Final = ((0, 8, 2, 10), (12, 4, 14, 6), (3, 11, 1, 9), (15, 7, 13, 5))


def outline(style: str) -> float:
    """Width of the ink line around shapes in this style, as a share of the object; 0 for none."""
    return _OUTLINES.get(style, 0.0)


def finish(style: str, image: Image.Image, rng: random.Random) -> Image.Image:
    """Give the drawn picture the texture of its style."""
    return _FINISHES[style](image, rng)


def _flat(image: Image.Image, _: random.Random) -> Image.Image:
    return image


def _cartoon(image: Image.Image, _: random.Random) -> Image.Image:
    """Stronger colours, and an ink frame around the panel."""
    image = ImageEnhance.Color(image).enhance(1.2)
    width, height = image.size
    edge = max(2, round(0.014 * min(image.size)))
    for box in (
        (0, 0, width, edge),
        (0, height - edge, width, height),
        (0, 0, edge, height),
        (width - edge, 0, width, height),
    ):
        image.paste(INK, box)
    return image


def _crayon(image: Image.Image, rng: random.Random) -> Image.Image:
    """Wobbly edges, and strokes of wax that leave specks of paper bare."""
    image = _wobble(image, _waves(image.size, 6))
    image.paste(_PAPER, mask=_cut(_wax, image.size, rng))
    return image


def _pixel(image: Image.Image, _: random.Random) -> Image.Image:
    """Coarse square pixels of few colours."""
    block = max(2, round(max(image.size) / _PIXELS))
    small = _dither(image.reduce(block))
    return small.resize((small.width * block, small.height * block), Image.Resampling.NEAREST).crop(
        (0, 0, *image.size)
    )


def _watercolour(image: Image.Image, rng: random.Random) -> Image.Image:
    """Pale paint with soft edges, in blotches on grainy paper that shows around the painting."""
    image = _wobble(image, _waves(image.size, 5))
    image = image.filter(ImageFilter.BoxBlur(0.0035 * min(image.size)))
    image.paste(_PAPER, mask=_cut(_blotches, image.size, rng))
    image.paste(_PAPER, mask=_bare_edge(image.size))
    return image


_FINISHES: Final[dict[str, Callable[[Image.Image, random.Random], Image.Image]]] = {
    "flat": _flat,
    "cartoon": _cartoon,
    "crayon": _crayon,
    "pixel": _pixel,
    "watercolour": _watercolour,
}


def _dither(image: Image.Image) -> Image.Image:
    """Round every channel to one of eleven levels, with an ordered pattern in between."""
    values = np.asarray(image, np.uint16)
    height, width = values.shape[:2]
    pattern = (np.array(_BAYER, np.uint16) * _LEVEL + _LEVEL // 2) // 16
    pattern = np.tile(pattern, (height // 4 + 1, width // 4 + 1))[:height, :width, None]
    levels = (values + pattern) // _LEVEL * _LEVEL
    return Image.fromarray(np.minimum(levels, 255).astype(np.uint8))


def _noise(width: int, height: int, seed: int) -> Image.Image:
    """Grey noise that is the same on every machine."""
    return Image.frombytes("L", (width, height), random.Random(seed).randbytes(width * height))


def _smooth(size: tuple[int, int], cells: int, seed: int) -> Image.Image:
    """Noise with about ``cells`` hills along the longer side."""
    longer = max(size)
    columns, rows = (max(2, round(cells * side / longer)) for side in size)
    return _noise(columns, rows, seed).resize(size, Image.Resampling.BICUBIC)


def _cut(
    texture: Callable[[], Image.Image], size: tuple[int, int], rng: random.Random
) -> Image.Image:
    """A piece of the texture from a random place, at the scale of the picture."""
    width, height = size
    whole = _scaled(texture, max(size) * 3 // 2)
    x, y = rng.random() * (whole.width - width), rng.random() * (whole.height - height)
    return whole.crop((int(x), int(y), int(x) + width, int(y) + height))


@lru_cache(maxsize=16)
def _scaled(texture: Callable[[], Image.Image], side: int) -> Image.Image:
    return texture().resize((side, side), Image.Resampling.BOX)


@lru_cache(maxsize=1)
def _wax() -> Image.Image:
    """Slanted streaks and grains, as a mask of where paper shows through."""
    side = _TEXTURE * 3 // 2
    streaks = _noise(side // 24, side // 4, 1).resize((side, side), Image.Resampling.BICUBIC)
    streaks = streaks.rotate(35, Image.Resampling.BILINEAR)
    low = (side - _TEXTURE) // 2
    streaks = streaks.crop((low, low, low + _TEXTURE, low + _TEXTURE))
    grain = _smooth((_TEXTURE, _TEXTURE), _TEXTURE // 3, 2)
    mixed = Image.blend(streaks, grain, 0.55)
    return mixed.point([min(150, max(0, round((v - 128) * 2.8) + 6)) for v in range(256)])


@lru_cache(maxsize=1)
def _blotches() -> Image.Image:
    """Pools of thin and thick paint with a fine grain, as a mask of how much paper shows."""
    size = (_TEXTURE, _TEXTURE)
    pools = Image.blend(_smooth(size, 12, 3), _smooth(size, 36, 4), 0.4)
    grain = _smooth(size, _TEXTURE // 3, 5)
    mixed = Image.blend(pools, grain, 0.25)
    return mixed.point([min(96, max(8, round((v - 128) * 1.0) + 48)) for v in range(256)])


@lru_cache(maxsize=16)
def _bare_edge(size: tuple[int, int]) -> Image.Image:
    """A ragged rim of bare paper around the picture, as a mask."""
    width, height = size
    y, x = np.ogrid[:height, :width]
    inside = np.minimum(np.minimum(x, width - 1 - x), np.minimum(y, height - 1 - y))
    rim = 0.012 + 0.03 * np.asarray(_smooth(size, 22, 6), np.float32) / 255
    bare = 1 - (inside / min(size) - rim) / 0.008
    return Image.fromarray((bare.clip(0, 1) * 255).astype(np.uint8))


@lru_cache(maxsize=32)
def _waves(size: tuple[int, int], strength: int) -> npt.NDArray[np.intp]:
    """For every pixel, the flat index of the one near it that it takes its colour from."""
    width, height = size
    reach = strength / 1000 * min(size)
    across, down = (
        (np.asarray(_smooth(size, 48, seed), np.float32) / 127.5 - 1) * reach for seed in (7, 8)
    )
    y, x = np.ogrid[:height, :width]
    rows = (y + np.rint(down).astype(np.intp)).clip(0, height - 1)
    columns = (x + np.rint(across).astype(np.intp)).clip(0, width - 1)
    index: npt.NDArray[np.intp] = (rows * width + columns).ravel()
    return index


def _wobble(image: Image.Image, source: npt.NDArray[np.intp]) -> Image.Image:
    """Move every pixel a little, so that straight edges waver."""
    words = np.asarray(image.convert("RGBX")).view(np.uint32).ravel()
    moved = words[source].view(np.uint8)
    return Image.frombuffer("RGBX", image.size, moved.tobytes()).convert("RGB")
