"""A pen that draws vector shapes in a unit square placed anywhere on a picture.

Objects are drawn once, in coordinates from 0 to 1 with y pointing down, and the pen places, scales
and outlines them. The picture is meant to be supersampled: Pillow's shapes are not anti-aliased.
"""

import math
from collections.abc import Sequence
from typing import Final

from PIL import Image, ImageDraw

__all__ = ["INK", "RGB", "Pen", "shade", "tint"]

RGB = tuple[int, int, int]
Point = tuple[float, float]

INK: Final[RGB] = (45, 38, 42)


def shade(colour: RGB, amount: float = 0.25) -> RGB:
    """Mix a colour with black; ``amount`` from 0 (unchanged) to 1 (black)."""
    return _mix(colour, (0, 0, 0), amount)


def tint(colour: RGB, amount: float = 0.4) -> RGB:
    """Mix a colour with white; ``amount`` from 0 (unchanged) to 1 (white)."""
    return _mix(colour, (255, 255, 255), amount)


def _mix(colour: RGB, other: RGB, amount: float) -> RGB:
    r, g, b = (round(c + (o - c) * amount) for c, o in zip(colour, other, strict=True))
    return r, g, b


class Pen:
    """Draws shapes into the box ``(left, top, width, height)`` of ``image``, in pixels.

    ``outline`` is the width of the ink line around each filled shape, as a share of the box's
    shorter side; 0 draws none. Thin strokes are measured the same way.
    """

    def __init__(
        self,
        image: Image.Image,
        box: tuple[float, float, float, float],
        outline: float = 0.0,
        ink: RGB = INK,
    ) -> None:
        self._draw = ImageDraw.Draw(image)
        self._left, self._top, self._width, self._height = box
        self._unit = min(self._width, self._height)
        self._outline = outline
        self._ink = ink

    def ellipse(self, x0: float, y0: float, x1: float, y1: float, fill: RGB) -> None:
        """Fill the ellipse inside the given box."""
        self._draw.ellipse(self._box(x0, y0, x1, y1), fill, *self._edge(fill))

    def circle(self, x: float, y: float, radius: float, fill: RGB) -> None:
        """Fill a circle around ``(x, y)``."""
        self.ellipse(x - radius, y - radius, x + radius, y + radius, fill)

    def rectangle(
        self, x0: float, y0: float, x1: float, y1: float, fill: RGB, radius: float = 0.0
    ) -> None:
        """Fill a rectangle, with rounded corners if ``radius`` is given."""
        self._draw.rounded_rectangle(
            self._box(x0, y0, x1, y1), radius * self._unit, fill, *self._edge(fill)
        )

    def polygon(self, points: Sequence[Point], fill: RGB) -> None:
        """Fill a polygon."""
        placed = [self._place(p) for p in points]
        self._draw.polygon(placed, fill)
        if self._outline:
            self._draw.line([*placed, placed[0], placed[1]], self._ink, self._line(), "curve")

    def pie(
        self, x0: float, y0: float, x1: float, y1: float, start: float, end: float, fill: RGB
    ) -> None:
        """Fill a slice of an ellipse, ``start`` to ``end`` degrees clockwise from the right."""
        self._draw.pieslice(self._box(x0, y0, x1, y1), start, end, fill, *self._edge(fill))

    def arc(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        start: float,
        end: float,
        colour: RGB,
        width: float = 0.03,
    ) -> None:
        """Stroke part of an ellipse from ``start`` to ``end`` degrees, clockwise from the right."""
        self._draw.arc(self._box(x0, y0, x1, y1), start, end, colour, self._stroke(width))

    def line(self, points: Sequence[Point], colour: RGB, width: float = 0.03) -> None:
        """Stroke a line through the points."""
        self._draw.line([self._place(p) for p in points], colour, self._stroke(width), "curve")

    def star(self, x: float, y: float, outer: float, inner: float, points: int, fill: RGB) -> None:
        """Fill a star around ``(x, y)``, one point up."""
        corners = []
        for i in range(2 * points):
            radius = outer if i % 2 == 0 else inner
            angle = math.pi * i / points - math.pi / 2
            corners.append((x + radius * math.cos(angle), y + radius * math.sin(angle)))
        self.polygon(corners, fill)

    def dot(self, x: float, y: float, radius: float, fill: RGB) -> None:
        """Fill a circle without an outline: eyes, spots, buttons."""
        self._draw.ellipse(self._box(x - radius, y - radius, x + radius, y + radius), fill)

    def _edge(self, fill: RGB) -> tuple[RGB, int]:
        return (self._ink, self._line()) if self._outline else (fill, 0)

    def _line(self) -> int:
        return max(1, round(self._outline * self._unit))

    def _stroke(self, width: float) -> int:
        return max(1, round(width * self._unit))

    def _place(self, point: Point) -> Point:
        return self._left + point[0] * self._width, self._top + point[1] * self._height

    def _box(self, x0: float, y0: float, x1: float, y1: float) -> tuple[float, float, float, float]:
        return *self._place((x0, y0)), *self._place((x1, y1))
