"""What every setting is painted on and with: the sheet, sky, ground, hills, clouds and lights."""

import math
import random
from dataclasses import dataclass

from PIL import Image

from mcp_vlsearch.storybook.drawing.pen import RGB, Pen

__all__ = ["Sheet", "cloud", "ground", "hills", "sky", "stars", "sun"]


@dataclass(frozen=True)
class Sheet:
    """The picture to paint on. Its shorter side is 1 long, so that circles stay round."""

    image: Image.Image
    pen: Pen
    wide: float
    high: float
    rng: random.Random

    def x(self) -> float:
        """Any place along the width."""
        return self.rng.uniform(0, self.wide)

    def y(self, low: float, high: float) -> float:
        """Any place between two shares of the height."""
        return self.rng.uniform(low, high) * self.high


def sky(sheet: Sheet, *colours: RGB) -> None:
    """Blend the colours from top to bottom."""
    strip = Image.new("RGB", (1, len(colours)))
    for i, colour in enumerate(colours):
        strip.putpixel((0, i), colour)
    strip = strip.resize((1, sheet.image.height), Image.Resampling.BILINEAR)
    sheet.image.paste(strip.resize(sheet.image.size, Image.Resampling.NEAREST))


def hills(sheet: Sheet, level: float, height: float, colour: RGB, bumps: float = 1.0) -> None:
    """Fill from a wavy line at ``level`` (a share of the picture's height) downwards."""
    phase, pace = sheet.rng.uniform(0, 6.3), bumps * sheet.rng.uniform(3.0, 4.5)
    points = [(sheet.wide, sheet.high), (0.0, sheet.high)]
    for i in range(33):
        x = sheet.wide * i / 32
        points.append((x, level * sheet.high + height * math.sin(phase + pace * x)))
    sheet.pen.polygon(points, colour)


def ground(sheet: Sheet, level: float, colour: RGB) -> None:
    """Fill from ``level`` (a share of the picture's height) downwards."""
    sheet.pen.rectangle(0, level * sheet.high, sheet.wide, sheet.high, colour)


def cloud(sheet: Sheet, x: float, y: float, size: float, colour: RGB) -> None:
    """Put a cloud with a flat foot around a place."""
    for across, up, radius in ((-0.9, 0, 0.5), (-0.2, -0.25, 0.65), (0.6, -0.05, 0.55)):
        sheet.pen.dot(x + across * size, y + up * size, radius * size, colour)
    sheet.pen.rectangle(x - 0.9 * size, y, x + 0.6 * size, y + 0.49 * size, colour)


def sun(sheet: Sheet, colour: RGB, rays: int) -> None:
    """Put the sun high on one side."""
    x = sheet.wide * sheet.rng.choice((0.13, 0.3, 0.7, 0.87))
    y, radius = sheet.y(0.12, 0.16), 0.075
    for i in range(rays):
        angle = 2 * math.pi * i / rays
        near, far = 1.3 * radius, 1.75 * radius
        way = math.cos(angle), math.sin(angle)
        ends = [(x + way[0] * r, y + way[1] * r) for r in (near, far)]
        sheet.pen.line(ends, colour, 0.014)
    sheet.pen.circle(x, y, radius, colour)


def stars(sheet: Sheet, count: int, below: float) -> None:
    """Scatter stars over the part of the height that lies above ``below``."""
    for _ in range(count):
        x, y = sheet.x(), sheet.y(0.0, below)
        sheet.pen.dot(x, y, sheet.rng.choice((0.003, 0.004, 0.006)), (226, 226, 214))
