"""Compose a scene: its setting, its items with their shadows, and the finish of its style."""

import random
from typing import Final

from PIL import Image, ImageDraw

from mcp_vlsearch.storybook.drawing.layout import Box, boxes
from mcp_vlsearch.storybook.drawing.objects import DRAW
from mcp_vlsearch.storybook.drawing.pen import INK, RGB, Pen
from mcp_vlsearch.storybook.drawing.settings import paint
from mcp_vlsearch.storybook.drawing.signs import sign
from mcp_vlsearch.storybook.drawing.styles import finish, outline
from mcp_vlsearch.storybook.scene import Item, Scene
from mcp_vlsearch.storybook.vocabulary import COLOURS

__all__ = ["draw", "where"]

_STEP: Final = 32
_PIXELS: Final = 512 * 512
_SKETCH: Final = 8
_SUPERSAMPLING: Final = 2
_GREY_RIM: Final = 0.016
_PALE_RIM: Final = 0.022
_GREY_INK: Final[RGB] = (110, 108, 114)
_PALE_INK: Final[RGB] = (206, 206, 212)
_CLOSE: Final = 85.0
"""Colours nearer than this (in RGB space) are hard to tell apart in a small picture."""


def draw(scene: Scene, pixels: int = _PIXELS) -> Image.Image:
    """Draw the scene in its aspect ratio, with about ``pixels`` pixels."""
    rng = random.Random(scene.seed)
    width, height = _size(scene.aspect, pixels)
    image = Image.new("RGB", (width * _SUPERSAMPLING, height * _SUPERSAMPLING))
    paint(scene.setting, image, rng)
    for item, copies in boxes(scene, *image.size, rng):
        for box in copies:
            if scene.setting not in {"space", "underwater"}:
                _shadow(image, box)
            _put(image, item, box, outline(scene.style))
    return finish(scene.style, image.reduce(_SUPERSAMPLING), rng)


def where(scene: Scene, pixels: int = _PIXELS) -> list[tuple[Item, list[Box]]]:
    """Return where ``draw`` puts every copy of every item, in shares of the width and height."""
    rng = random.Random(scene.seed)
    width, height = (side // _SKETCH for side in _size(scene.aspect, pixels))
    sketch = Image.new("RGB", (width, height))
    paint(scene.setting, sketch, rng)  # takes as much from the generator at any size
    return [
        (item, [(x / width, y / height, w / width, h / height) for x, y, w, h in copies])
        for item, copies in boxes(scene, width, height, rng)
    ]


def _size(aspect: tuple[int, int], pixels: int) -> tuple[int, int]:
    across, down = aspect
    unit = (pixels / (across * down)) ** 0.5
    return max(_STEP, round(across * unit / _STEP) * _STEP), max(
        _STEP, round(down * unit / _STEP) * _STEP
    )


def _shadow(image: Image.Image, box: Box) -> None:
    """Darken the ground at the object's foot; what hangs in the air has no shadow."""
    left, top, width, height = box
    foot = top + 0.97 * height
    if foot < 0.6 * image.height:
        return
    edges = (left + 0.1 * width, foot - 0.05 * height, left + 0.9 * width, foot + 0.05 * height)
    ImageDraw.Draw(image, "RGBA").ellipse(edges, (20, 20, 30, 44))


def _put(image: Image.Image, item: Item, box: Box, width: float) -> None:
    colour = COLOURS[item.colour]
    ink = INK
    if _blends_in(image, box, colour):
        width, ink = _rim(colour, width)
    if item.kind == "sign":
        sign(image, box, colour, item.word, width, ink)
    else:
        DRAW[item.kind](Pen(image, box, width, ink), colour)


def _rim(colour: RGB, width: float) -> tuple[float, RGB]:
    """The line and its ink that set an object off from a background of its own colour."""
    if sum(colour) < 330:
        return max(width, _PALE_RIM), _PALE_INK
    return (width, INK) if width else (_GREY_RIM, _GREY_INK)


def _blends_in(image: Image.Image, box: Box, colour: RGB) -> bool:
    """Say whether a good part of what lies behind the object has nearly its colour."""
    left, top, width, height = box
    edges = (left, top, left + width, top + height)
    behind = image.resize((5, 5), Image.Resampling.NEAREST, box=edges).tobytes()
    close = 0
    for i in range(0, len(behind), 3):
        square = sum((a - b) ** 2 for a, b in zip(behind[i : i + 3], colour, strict=True))
        close += square < _CLOSE**2
    return close >= 5
