"""The twelve places a scene can be in, painted softer than the objects that stand in them."""

import random
from collections.abc import Callable
from typing import Final

from PIL import Image

from mcp_vlsearch.storybook.drawing import landscapes, sea_and_space, town
from mcp_vlsearch.storybook.drawing.pen import Pen
from mcp_vlsearch.storybook.drawing.sheet import Sheet

__all__ = ["paint"]

_PAINT: Final[dict[str, Callable[[Sheet], None]]] = {
    "meadow": landscapes.meadow,
    "night": landscapes.night,
    "beach": landscapes.beach,
    "snow": landscapes.snow,
    "street": town.street,
    "room": town.room,
    "forest": landscapes.forest,
    "desert": landscapes.desert,
    "rain": landscapes.rain,
    "sunset": landscapes.sunset,
    "underwater": sea_and_space.underwater,
    "space": sea_and_space.space,
}


def paint(setting: str, image: Image.Image, rng: random.Random) -> None:
    """Paint the setting over the whole picture."""
    side = min(image.size)
    pen = Pen(image, (0, 0, side, side))
    _PAINT[setting](Sheet(image, pen, image.width / side, image.height / side, rng))
