"""Settings where nothing stands on the ground: under water, and in space."""

import math
from collections.abc import Sequence

from PIL import ImageDraw

from mcp_vlsearch.storybook.drawing.pen import tint
from mcp_vlsearch.storybook.drawing.sheet import Sheet, hills, sky, stars

__all__ = ["space", "underwater"]


def underwater(sheet: Sheet) -> None:
    """Rays of light, seaweed and bubbles over the sea floor."""
    sky(sheet, (140, 206, 214), (92, 164, 190), (62, 122, 164), (48, 96, 142))
    light = ImageDraw.Draw(sheet.image, "RGBA")
    side = min(sheet.image.size)
    for i in range(4):
        x = (i + sheet.rng.random()) * sheet.image.width / 4
        foot = x - 0.4 * side, sheet.image.height
        ray = [(x, 0), (x + 0.1 * side, 0), (foot[0] + 0.25 * side, foot[1]), foot]
        light.polygon(ray, (235, 255, 250, 38))
    hills(sheet, 0.87, 0.025, (150, 158, 140))
    for _ in range(11):
        _seaweed(sheet, sheet.x(), sheet.rng.uniform(0.15, 0.38))
    for _ in range(26):
        x, y, radius = sheet.x(), sheet.y(0.03, 0.85), sheet.rng.uniform(0.008, 0.022)
        sheet.pen.arc(
            x - radius, y - radius, x + radius, y + radius, 0, 360, (206, 236, 240), 0.006
        )


def _seaweed(sheet: Sheet, x: float, length: float) -> None:
    phase, green = sheet.rng.uniform(0, 6), sheet.rng.choice(((54, 118, 104), (70, 134, 108)))
    stalk: Sequence[tuple[float, float]] = [
        (x + 0.018 * math.sin(phase + i), 0.97 * sheet.high - length * i / 9) for i in range(10)
    ]
    sheet.pen.line(stalk, green, 0.022)


def space(sheet: Sheet) -> None:
    """Stars, clouds of gas, a planet with a ring and a moon."""
    sky(sheet, (12, 12, 22), (18, 16, 32), (10, 10, 20))
    for _ in range(3):
        x, y = sheet.x(), sheet.y(0.1, 0.9)
        for radius, colour in ((0.2, (24, 20, 42)), (0.13, (32, 25, 54)), (0.07, (40, 30, 64))):
            sheet.pen.ellipse(x - 1.5 * radius, y - radius, x + 1.5 * radius, y + radius, colour)
    stars(sheet, 120, 1.0)
    side = sheet.rng.choice((0.16, 0.84))
    _planet(sheet, side * sheet.wide, sheet.y(0.14, 0.3), 0.085)
    x, y = (1 - side) * sheet.wide, sheet.y(0.72, 0.88)
    sheet.pen.circle(x, y, 0.05, (120, 124, 140))
    sheet.pen.dot(x - 0.015, y - 0.01, 0.012, (98, 102, 118))
    sheet.pen.dot(x + 0.018, y + 0.015, 0.009, (98, 102, 118))


def _planet(sheet: Sheet, x: float, y: float, radius: float) -> None:
    body = sheet.rng.choice(((178, 142, 120), (128, 150, 172), (164, 134, 168)))
    ring = 1.8 * radius, 0.5 * radius
    edges = (x - ring[0], y - ring[1], x + ring[0], y + ring[1])
    sheet.pen.arc(*edges, 180, 360, (196, 184, 160), 0.016)
    sheet.pen.circle(x, y, radius, body)
    sheet.pen.pie(x - radius, y - radius, x + radius, y + radius, 200, 340, tint(body, 0.15))
    sheet.pen.arc(*edges, 0, 180, (214, 202, 178), 0.016)
