"""Settings that people have built: a street, and a room."""

import math

from mcp_vlsearch.storybook.drawing.pen import RGB, shade, tint
from mcp_vlsearch.storybook.drawing.sheet import Sheet, ground, sky

__all__ = ["room", "street"]


def street(sheet: Sheet) -> None:
    """A row of houses behind pavement and road."""
    sky(sheet, (196, 214, 228), (222, 230, 236), (222, 230, 236))
    x = -sheet.rng.uniform(0, 0.1)
    while x < sheet.wide:
        width = sheet.rng.uniform(0.2, 0.3)
        _building(sheet, x, sheet.y(0.1, 0.3), width)
        x += width
    ground(sheet, 0.66, (202, 200, 196))
    ground(sheet, 0.72, (138, 140, 146))
    sheet.pen.rectangle(0, 0.71 * sheet.high, sheet.wide, 0.725 * sheet.high, (172, 171, 170))
    x = -sheet.rng.uniform(0, 0.15)
    while x < sheet.wide:
        sheet.pen.rectangle(x, 0.85 * sheet.high, x + 0.13, 0.87 * sheet.high, (226, 224, 212))
        x += 0.24


def _building(sheet: Sheet, x: float, top: float, width: float) -> None:
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


def room(sheet: Sheet) -> None:
    """Striped wallpaper with a window and a picture, over a wooden floor."""
    papers: tuple[RGB, ...] = ((232, 216, 200), (214, 222, 210), (226, 214, 222), (230, 222, 196))
    wall = sheet.rng.choice(papers)
    sky(sheet, wall, wall)
    for i in range(math.ceil(sheet.wide / 0.12)):
        sheet.pen.rectangle(i * 0.12, 0, i * 0.12 + 0.05, sheet.high, tint(wall, 0.3))
    ground(sheet, 0.7, (198, 166, 132))
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


def _window(sheet: Sheet, x: float, y: float) -> None:
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


def _frame(sheet: Sheet, x: float, y: float) -> None:
    sheet.pen.rectangle(x - 0.1, y - 0.08, x + 0.1, y + 0.08, (168, 134, 100))
    sheet.pen.rectangle(x - 0.08, y - 0.06, x + 0.08, y + 0.06, (222, 230, 226))
    hill = [(x - 0.08, y + 0.06), (x - 0.02, y - 0.01), (x + 0.03, y + 0.03), (x + 0.08, y + 0.06)]
    sheet.pen.polygon(hill, (156, 178, 150))
