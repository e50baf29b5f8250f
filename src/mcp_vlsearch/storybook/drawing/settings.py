"""The twelve places a scene can be in, painted softer than the objects that stand in them."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageDraw

from mcp_vlsearch.storybook.drawing.pen import RGB, Pen, shade, tint

__all__ = ["paint"]


@dataclass(frozen=True)
class _Sheet:
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


def paint(setting: str, image: Image.Image, rng: random.Random) -> None:
    """Paint the setting over the whole picture."""
    side = min(image.size)
    pen = Pen(image, (0, 0, side, side))
    _PAINT[setting](_Sheet(image, pen, image.width / side, image.height / side, rng))


def _sky(sheet: _Sheet, *colours: RGB) -> None:
    """Blend the colours from top to bottom."""
    strip = Image.new("RGB", (1, len(colours)))
    for i, colour in enumerate(colours):
        strip.putpixel((0, i), colour)
    strip = strip.resize((1, sheet.image.height), Image.Resampling.BILINEAR)
    sheet.image.paste(strip.resize(sheet.image.size, Image.Resampling.NEAREST))


def _hills(sheet: _Sheet, level: float, height: float, colour: RGB, bumps: float = 1.0) -> None:
    """Fill from a wavy line at ``level`` (a share of the picture's height) downwards."""
    phase, pace = sheet.rng.uniform(0, 6.3), bumps * sheet.rng.uniform(3.0, 4.5)
    points = [(sheet.wide, sheet.high), (0.0, sheet.high)]
    for i in range(33):
        x = sheet.wide * i / 32
        points.append((x, level * sheet.high + height * math.sin(phase + pace * x)))
    sheet.pen.polygon(points, colour)


def _ground(sheet: _Sheet, level: float, colour: RGB) -> None:
    sheet.pen.rectangle(0, level * sheet.high, sheet.wide, sheet.high, colour)


def _cloud(sheet: _Sheet, x: float, y: float, size: float, colour: RGB) -> None:
    for across, up, radius in ((-0.9, 0, 0.5), (-0.2, -0.25, 0.65), (0.6, -0.05, 0.55)):
        sheet.pen.dot(x + across * size, y + up * size, radius * size, colour)
    sheet.pen.rectangle(x - 0.9 * size, y, x + 0.6 * size, y + 0.49 * size, colour)


def _sun(sheet: _Sheet, colour: RGB, rays: int) -> None:
    x = sheet.wide * sheet.rng.choice((0.13, 0.3, 0.7, 0.87))
    y, radius = sheet.y(0.12, 0.16), 0.075
    for i in range(rays):
        angle = 2 * math.pi * i / rays
        near, far = 1.3 * radius, 1.75 * radius
        way = math.cos(angle), math.sin(angle)
        ends = [(x + way[0] * r, y + way[1] * r) for r in (near, far)]
        sheet.pen.line(ends, colour, 0.014)
    sheet.pen.circle(x, y, radius, colour)


def _meadow(sheet: _Sheet) -> None:
    _sky(sheet, (168, 212, 240), (205, 231, 245), (226, 240, 246))
    _sun(sheet, (252, 228, 140), 12)
    _cloud(sheet, sheet.x(), sheet.y(0.12, 0.3), 0.07, (244, 249, 252))
    _hills(sheet, 0.55, 0.05, (184, 212, 156))
    _hills(sheet, 0.63, 0.02, (164, 201, 132))
    for _ in range(34):
        _tuft(sheet, sheet.x(), sheet.y(0.68, 0.98))
    for _ in range(14):
        petal = sheet.rng.choice(((252, 250, 240), (248, 228, 160), (240, 205, 215)))
        sheet.pen.dot(sheet.x(), sheet.y(0.68, 0.98), 0.008, petal)


def _tuft(sheet: _Sheet, x: float, y: float) -> None:
    for lean in (-0.018, 0.0, 0.018):
        sheet.pen.line([(x + lean / 3, y), (x + lean, y - 0.032)], (132, 176, 104), 0.007)


def _stars(sheet: _Sheet, count: int, below: float) -> None:
    for _ in range(count):
        x, y = sheet.x(), sheet.y(0.0, below)
        sheet.pen.dot(x, y, sheet.rng.choice((0.003, 0.004, 0.006)), (226, 226, 214))


def _night(sheet: _Sheet) -> None:
    top: RGB = (30, 37, 74)
    _sky(sheet, top, (44, 54, 98), (66, 76, 122))
    _stars(sheet, 45, 0.6)
    x, y = sheet.wide * sheet.rng.choice((0.15, 0.35, 0.65, 0.85)), sheet.y(0.13, 0.17)
    sheet.pen.circle(x, y, 0.115, (52, 60, 100))
    sheet.pen.circle(x, y, 0.085, (240, 234, 204))
    for across, up, radius in ((-0.3, 0.2, 0.2), (0.3, -0.3, 0.15), (0.25, 0.4, 0.12)):
        sheet.pen.dot(x + across * 0.085, y + up * 0.085, radius * 0.085, (220, 212, 180))
    _hills(sheet, 0.66, 0.05, (44, 56, 84))
    _hills(sheet, 0.76, 0.03, (36, 48, 62))


def _beach(sheet: _Sheet) -> None:
    _sky(sheet, (190, 224, 240), (226, 240, 242), (226, 240, 242))
    _cloud(sheet, sheet.x(), sheet.y(0.1, 0.22), 0.06, (248, 250, 250))
    _ground(sheet, 0.4, (130, 190, 208))
    sheet.pen.rectangle(0, 0.4 * sheet.high, sheet.wide, 0.43 * sheet.high, (112, 174, 198))
    for _ in range(16):
        x, y = sheet.x(), sheet.y(0.44, 0.6)
        for dx in (0, 0.05):
            sheet.pen.arc(x + dx, y, x + dx + 0.05, y + 0.03, 180, 360, (214, 236, 240), 0.007)
    _hills(sheet, 0.635, 0.014, (240, 248, 246), 3)
    _hills(sheet, 0.66, 0.014, (240, 226, 188), 2)
    for _ in range(60):
        sheet.pen.dot(sheet.x(), sheet.y(0.7, 1), 0.004, (220, 202, 160))


def _snow(sheet: _Sheet) -> None:
    _sky(sheet, (176, 190, 208), (196, 208, 222), (210, 220, 230))
    for _ in range(3):
        x, y, size = sheet.x(), sheet.high * 0.66, sheet.rng.uniform(0.25, 0.4)
        sheet.pen.polygon([(x - size, y), (x, y - size), (x + size, y)], (160, 176, 198))
        tip = [(x - size / 3, y - size * 2 / 3), (x, y - size), (x + size / 3, y - size * 2 / 3)]
        sheet.pen.polygon(tip, (228, 234, 242))
    _hills(sheet, 0.63, 0.03, (226, 233, 241))
    _hills(sheet, 0.75, 0.03, (240, 244, 248))
    for _ in range(70):
        colour: RGB = (252, 253, 255) if sheet.rng.random() < 0.8 else (206, 217, 230)
        sheet.pen.dot(sheet.x(), sheet.y(0, 1), sheet.rng.uniform(0.006, 0.012), colour)


def _street(sheet: _Sheet) -> None:
    _sky(sheet, (196, 214, 228), (222, 230, 236), (222, 230, 236))
    x = -sheet.rng.uniform(0, 0.1)
    while x < sheet.wide:
        width = sheet.rng.uniform(0.2, 0.3)
        _building(sheet, x, sheet.y(0.1, 0.3), width)
        x += width
    _ground(sheet, 0.66, (202, 200, 196))
    _ground(sheet, 0.72, (138, 140, 146))
    sheet.pen.rectangle(0, 0.71 * sheet.high, sheet.wide, 0.725 * sheet.high, (172, 171, 170))
    x = -sheet.rng.uniform(0, 0.15)
    while x < sheet.wide:
        sheet.pen.rectangle(x, 0.85 * sheet.high, x + 0.13, 0.87 * sheet.high, (226, 224, 212))
        x += 0.24


def _building(sheet: _Sheet, x: float, top: float, width: float) -> None:
    walls: tuple[RGB, ...] = ((196, 170, 156), (172, 180, 188), (206, 192, 166), (184, 164, 170))
    wall = sheet.rng.choice(walls)
    sheet.pen.rectangle(x, top, x + width, 0.68 * sheet.high, wall)
    sheet.pen.rectangle(x, top, x + width, top + 0.02, shade(wall, 0.15))
    y = top + 0.05
    while y < 0.6 * sheet.high:
        for i in range(3):
            left = x + width * (0.12 + 0.29 * i)
            glass: RGB = (236, 226, 186) if sheet.rng.random() < 0.3 else (134, 152, 170)
            sheet.pen.rectangle(left, y, left + width * 0.18, y + 0.05, glass)
        y += 0.095


def _room(sheet: _Sheet) -> None:
    papers: tuple[RGB, ...] = ((232, 216, 200), (214, 222, 210), (226, 214, 222), (230, 222, 196))
    wall = sheet.rng.choice(papers)
    _sky(sheet, wall, wall)
    for i in range(math.ceil(sheet.wide / 0.12)):
        sheet.pen.rectangle(i * 0.12, 0, i * 0.12 + 0.05, sheet.high, tint(wall, 0.3))
    _ground(sheet, 0.7, (198, 166, 132))
    sheet.pen.rectangle(0, 0.68 * sheet.high, sheet.wide, 0.71 * sheet.high, (246, 240, 232))
    for i in range(1, 5):
        y = (0.71 + 0.06 * i) * sheet.high
        sheet.pen.line([(0, y), (sheet.wide, y)], (172, 140, 108), 0.006)
        for _ in range(3):
            x = sheet.x()
            sheet.pen.line([(x, y - 0.06 * sheet.high), (x, y)], (172, 140, 108), 0.006)
    window, frame = sheet.rng.choice(((0.22, 0.78), (0.78, 0.22)))
    _window(sheet, window * sheet.wide, 0.25 * sheet.high)
    _frame(sheet, frame * sheet.wide, sheet.y(0.2, 0.28))


def _window(sheet: _Sheet, x: float, y: float) -> None:
    pen = sheet.pen
    pen.rectangle(x - 0.15, y - 0.16, x + 0.15, y + 0.16, (250, 248, 244))
    for left in (x - 0.13, x + 0.01):
        for top in (y - 0.14, y + 0.01):
            pen.rectangle(left, top, left + 0.12, top + 0.13, (184, 216, 234))
    for side in (-1, 1):
        outer, inner = x + side * 0.2, x + side * 0.1
        curtain = [(outer, y - 0.18), (x + side * 0.06, y - 0.18), (inner, y + 0.2)]
        pen.polygon([*curtain, (outer, y + 0.2)], (206, 168, 160))
    pen.line([(x - 0.22, y - 0.18), (x + 0.22, y - 0.18)], (150, 118, 92), 0.016)


def _frame(sheet: _Sheet, x: float, y: float) -> None:
    sheet.pen.rectangle(x - 0.1, y - 0.08, x + 0.1, y + 0.08, (168, 134, 100))
    sheet.pen.rectangle(x - 0.08, y - 0.06, x + 0.08, y + 0.06, (222, 230, 226))
    hill = [(x - 0.08, y + 0.06), (x - 0.02, y - 0.01), (x + 0.03, y + 0.03), (x + 0.08, y + 0.06)]
    sheet.pen.polygon(hill, (156, 178, 150))


def _forest(sheet: _Sheet) -> None:
    _sky(sheet, (196, 214, 192), (176, 200, 170), (158, 184, 150))
    rows: tuple[tuple[float, RGB, float], ...] = (
        (0.56, (140, 172, 136), 0.3),
        (0.63, (112, 148, 112), 0.38),
        (0.71, (84, 122, 90), 0.46),
    )
    for level, colour, size in rows:
        x = -sheet.rng.uniform(0, 0.1)
        while x < sheet.wide + 0.1:
            _fir(sheet, x, level * sheet.high, size * sheet.rng.uniform(0.8, 1.15), colour)
            x += size * sheet.rng.uniform(0.42, 0.62)
    _hills(sheet, 0.71, 0.012, (136, 142, 98))
    for _ in range(26):
        x, y = sheet.x(), sheet.y(0.76, 0.98)
        sheet.pen.line([(x, y), (x + 0.02, y - 0.02)], (110, 118, 78), 0.008)


def _fir(sheet: _Sheet, x: float, y: float, size: float, colour: RGB) -> None:
    half = size * 0.24
    sheet.pen.rectangle(x - size * 0.04, y - size * 0.2, x + size * 0.04, y + 0.03, (112, 92, 74))
    for low, high, width in ((0.14, 0.55, 1.0), (0.38, 0.78, 0.78), (0.62, 1.0, 0.55)):
        base = y - low * size
        tip = (x, y - high * size)
        sheet.pen.polygon([(x - half * width, base), tip, (x + half * width, base)], colour)


def _desert(sheet: _Sheet) -> None:
    _sky(sheet, (246, 214, 158), (250, 228, 184), (252, 238, 208))
    _sun(sheet, (255, 246, 214), 0)
    for _ in range(2):
        x, size = sheet.x(), sheet.rng.uniform(0.1, 0.16)
        base, top = 0.6 * sheet.high, 0.6 * sheet.high - size * 1.1
        mesa = [(x - size, base), (x - size * 0.7, top), (x + size * 0.7, top), (x + size, base)]
        sheet.pen.polygon(mesa, (212, 164, 126))
    _hills(sheet, 0.56, 0.03, (234, 198, 142))
    _hills(sheet, 0.68, 0.05, (226, 184, 124), 0.8)
    _hills(sheet, 0.82, 0.04, (216, 172, 112), 0.9)
    for _ in range(14):
        x, y = sheet.x(), sheet.y(0.68, 0.97)
        sheet.pen.arc(x, y, x + 0.12, y + 0.03, 190, 350, (198, 154, 98), 0.006)


def _rain(sheet: _Sheet) -> None:
    _sky(sheet, (142, 152, 166), (164, 174, 186), (182, 190, 198))
    x = 0.0
    while x < sheet.wide + 0.1:
        grey = sheet.rng.choice(((112, 120, 134), (124, 132, 146)))
        _cloud(sheet, x, sheet.rng.uniform(0.02, 0.12), 0.13, grey)
        x += 0.2
    _ground(sheet, 0.74, (132, 138, 138))
    for _ in range(5):
        x, y = sheet.x(), sheet.y(0.8, 0.96)
        sheet.pen.ellipse(x - 0.13, y - 0.03, x + 0.13, y + 0.03, (168, 182, 198))
        sheet.pen.arc(x - 0.06, y - 0.014, x + 0.06, y + 0.014, 0, 360, (206, 216, 226), 0.005)
    for _ in range(80):
        x, y = sheet.x(), sheet.y(0.05, 0.95)
        sheet.pen.line([(x, y), (x - 0.018, y + 0.055)], (212, 224, 236), 0.006)


def _sunset(sheet: _Sheet) -> None:
    _sky(sheet, (118, 94, 150), (190, 122, 158), (238, 156, 140), (250, 190, 120), (250, 206, 130))
    x = sheet.wide * sheet.rng.uniform(0.25, 0.75)
    y = 0.7 * sheet.high
    for radius, colour in (
        (0.27, (250, 196, 126)),
        (0.21, (253, 214, 138)),
        (0.15, (255, 234, 168)),
    ):
        sheet.pen.circle(x, y, radius, colour)
    for _ in range(4):
        left, at = sheet.x() - 0.2, sheet.y(0.1, 0.4)
        sheet.pen.rectangle(left, at, left + 0.4, at + 0.018, (222, 150, 160), 0.009)
    _hills(sheet, 0.7, 0.016, (130, 88, 124))
    _hills(sheet, 0.82, 0.03, (98, 68, 106))


def _underwater(sheet: _Sheet) -> None:
    _sky(sheet, (140, 206, 214), (92, 164, 190), (62, 122, 164), (48, 96, 142))
    light = ImageDraw.Draw(sheet.image, "RGBA")
    side = min(sheet.image.size)
    for i in range(4):
        x = (i + sheet.rng.random()) * sheet.image.width / 4
        foot = x - 0.4 * side, sheet.image.height
        ray = [(x, 0), (x + 0.1 * side, 0), (foot[0] + 0.25 * side, foot[1]), foot]
        light.polygon(ray, (235, 255, 250, 38))
    _hills(sheet, 0.87, 0.025, (150, 158, 140))
    for _ in range(11):
        _seaweed(sheet, sheet.x(), sheet.rng.uniform(0.15, 0.38))
    for _ in range(26):
        x, y, radius = sheet.x(), sheet.y(0.03, 0.85), sheet.rng.uniform(0.008, 0.022)
        sheet.pen.arc(
            x - radius, y - radius, x + radius, y + radius, 0, 360, (206, 236, 240), 0.006
        )


def _seaweed(sheet: _Sheet, x: float, length: float) -> None:
    phase, green = sheet.rng.uniform(0, 6), sheet.rng.choice(((54, 118, 104), (70, 134, 108)))
    stalk: Sequence[tuple[float, float]] = [
        (x + 0.018 * math.sin(phase + i), 0.97 * sheet.high - length * i / 9) for i in range(10)
    ]
    sheet.pen.line(stalk, green, 0.022)


def _space(sheet: _Sheet) -> None:
    _sky(sheet, (12, 12, 22), (18, 16, 32), (10, 10, 20))
    for _ in range(3):
        x, y = sheet.x(), sheet.y(0.1, 0.9)
        for radius, colour in ((0.2, (24, 20, 42)), (0.13, (32, 25, 54)), (0.07, (40, 30, 64))):
            sheet.pen.ellipse(x - 1.5 * radius, y - radius, x + 1.5 * radius, y + radius, colour)
    _stars(sheet, 120, 1.0)
    side = sheet.rng.choice((0.16, 0.84))
    _planet(sheet, side * sheet.wide, sheet.y(0.14, 0.3), 0.085)
    x, y = (1 - side) * sheet.wide, sheet.y(0.72, 0.88)
    sheet.pen.circle(x, y, 0.05, (120, 124, 140))
    sheet.pen.dot(x - 0.015, y - 0.01, 0.012, (98, 102, 118))
    sheet.pen.dot(x + 0.018, y + 0.015, 0.009, (98, 102, 118))


def _planet(sheet: _Sheet, x: float, y: float, radius: float) -> None:
    body = sheet.rng.choice(((178, 142, 120), (128, 150, 172), (164, 134, 168)))
    ring = 1.8 * radius, 0.5 * radius
    edges = (x - ring[0], y - ring[1], x + ring[0], y + ring[1])
    sheet.pen.arc(*edges, 180, 360, (196, 184, 160), 0.016)
    sheet.pen.circle(x, y, radius, body)
    sheet.pen.pie(x - radius, y - radius, x + radius, y + radius, 200, 340, tint(body, 0.15))
    sheet.pen.arc(*edges, 0, 180, (214, 202, 178), 0.016)


_PAINT: Final[dict[str, Callable[[_Sheet], None]]] = {
    "meadow": _meadow,
    "night": _night,
    "beach": _beach,
    "snow": _snow,
    "street": _street,
    "room": _room,
    "forest": _forest,
    "desert": _desert,
    "rain": _rain,
    "sunset": _sunset,
    "underwater": _underwater,
    "space": _space,
}
