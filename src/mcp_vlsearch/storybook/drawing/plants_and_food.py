"""Food and plants, each in the unit square of a pen."""

from mcp_vlsearch.storybook.drawing.pen import RGB, Pen, shade, tint

__all__ = [
    "apple",
    "banana",
    "cactus",
    "cake",
    "carrot",
    "flower",
    "ice_cream",
    "leaf",
    "mushroom",
    "tree",
]

_STEM: RGB = (100, 75, 45)
_LEAF: RGB = (90, 165, 75)
_CREAM: RGB = (250, 235, 205)
_WAFER: RGB = (215, 165, 95)


def apple(pen: Pen, colour: RGB) -> None:
    """An apple: two lobes, a stalk and one leaf."""
    pen.line([(0.5, 0.28), (0.54, 0.06)], _STEM, 0.05)
    pen.ellipse(0.54, 0.06, 0.82, 0.22, _LEAF)
    pen.ellipse(0.08, 0.22, 0.62, 0.95, colour)
    pen.ellipse(0.38, 0.22, 0.92, 0.95, colour)
    pen.dot(0.5, 0.6, 0.2, colour)
    pen.dot(0.26, 0.42, 0.07, tint(colour, 0.6))


def banana(pen: Pen, colour: RGB) -> None:
    """A banana: a crescent with dark tips."""
    outer = [(0.1, 0.12), (0.12, 0.42), (0.26, 0.68), (0.5, 0.86), (0.76, 0.9), (0.95, 0.82)]
    inner = [(0.93, 0.7), (0.72, 0.66), (0.52, 0.54), (0.38, 0.36), (0.26, 0.12)]
    pen.polygon([*outer, *inner], colour)
    pen.line([(0.2, 0.3), (0.34, 0.58), (0.56, 0.74), (0.8, 0.8)], shade(colour, 0.3), 0.03)
    pen.rectangle(0.09, 0.04, 0.27, 0.16, _STEM, 0.03)
    pen.dot(0.94, 0.76, 0.055, _STEM)


def carrot(pen: Pen, colour: RGB) -> None:
    """A carrot: a long cone with rings and a tuft of green."""
    for x in (0.34, 0.5, 0.66):
        pen.polygon([(0.44, 0.32), (x, 0.02), (0.56, 0.32)], _LEAF)
    pen.polygon([(0.26, 0.34), (0.4, 0.26), (0.6, 0.26), (0.74, 0.34), (0.52, 0.97)], colour)
    for y, left, right in ((0.44, 0.3, 0.48), (0.56, 0.5, 0.64), (0.68, 0.42, 0.53)):
        pen.line([(left, y), (right, y)], shade(colour, 0.35), 0.025)


def cake(pen: Pen, colour: RGB) -> None:
    """A birthday cake: two tiers with dripping cream and three candles."""
    for x in (0.34, 0.5, 0.66):
        pen.rectangle(x - 0.02, 0.12, x + 0.02, 0.3, (240, 110, 120))
        pen.ellipse(x - 0.03, 0.02, x + 0.03, 0.13, (255, 190, 50))
    pen.rectangle(0.22, 0.28, 0.78, 0.58, colour, 0.05)
    pen.rectangle(0.08, 0.55, 0.92, 0.9, colour, 0.05)
    pen.rectangle(0.22, 0.28, 0.78, 0.36, _CREAM, 0.04)
    pen.rectangle(0.08, 0.55, 0.92, 0.63, _CREAM, 0.04)
    for x in (0.18, 0.36, 0.54, 0.72):
        pen.dot(x + 0.04, 0.65, 0.04, _CREAM)
    pen.rectangle(0.02, 0.9, 0.98, 0.96, (205, 205, 215), 0.03)


def ice_cream(pen: Pen, colour: RGB) -> None:
    """An ice cream: two big scoops in a wafer cone."""
    pen.polygon([(0.24, 0.5), (0.76, 0.5), (0.5, 0.97)], _WAFER)
    pen.line([(0.36, 0.56), (0.58, 0.8)], shade(_WAFER, 0.3), 0.02)
    pen.line([(0.64, 0.56), (0.42, 0.8)], shade(_WAFER, 0.3), 0.02)
    pen.circle(0.34, 0.4, 0.2, colour)
    pen.circle(0.66, 0.4, 0.2, colour)
    pen.circle(0.5, 0.23, 0.21, colour)
    pen.dot(0.43, 0.17, 0.05, tint(colour, 0.6))
    pen.dot(0.5, 0.04, 0.04, (215, 40, 60))


def mushroom(pen: Pen, colour: RGB) -> None:
    """A mushroom: a wide spotted cap on a pale stalk."""
    pen.rectangle(0.36, 0.5, 0.64, 0.95, _CREAM, 0.1)
    pen.pie(0.03, 0.06, 0.97, 1.1, 180, 360, colour)
    pen.ellipse(0.03, 0.5, 0.97, 0.66, shade(colour, 0.2))
    for x, y, r in ((0.3, 0.36, 0.075), (0.54, 0.22, 0.08), (0.74, 0.4, 0.07), (0.5, 0.44, 0.05)):
        pen.dot(x, y, r, tint(colour, 0.75))


def flower(pen: Pen, colour: RGB) -> None:
    """A flower: six round petals on a leafy stalk."""
    pen.line([(0.5, 0.5), (0.5, 0.97)], (70, 140, 60), 0.05)
    pen.ellipse(0.5, 0.72, 0.8, 0.86, _LEAF)
    pen.ellipse(0.2, 0.78, 0.5, 0.92, _LEAF)
    petals = ((0.5, 0.15), (0.71, 0.25), (0.71, 0.49), (0.5, 0.58), (0.29, 0.49), (0.29, 0.25))
    for x, y in petals:
        pen.circle(x, y, 0.14, colour)
    pen.circle(0.5, 0.37, 0.12, (250, 215, 80) if colour[2] > 90 or colour[0] < 230 else _STEM)


def tree(pen: Pen, colour: RGB) -> None:
    """A tree: a crown of round clumps on a trunk."""
    pen.polygon([(0.42, 0.55), (0.58, 0.55), (0.64, 0.97), (0.36, 0.97)], _STEM)
    pen.circle(0.28, 0.45, 0.22, shade(colour, 0.12))
    pen.circle(0.72, 0.45, 0.22, shade(colour, 0.12))
    pen.circle(0.5, 0.28, 0.25, colour)
    pen.dot(0.5, 0.48, 0.19, colour)
    for x, y in ((0.36, 0.4), (0.58, 0.24), (0.66, 0.48), (0.46, 0.54)):
        pen.dot(x, y, 0.05, tint(colour, 0.35))


def cactus(pen: Pen, colour: RGB) -> None:
    """A cactus: a ribbed column with two raised arms."""
    pen.rectangle(0.1, 0.32, 0.24, 0.62, colour, 0.07)
    pen.rectangle(0.1, 0.52, 0.45, 0.64, colour, 0.06)
    pen.rectangle(0.76, 0.2, 0.9, 0.54, colour, 0.07)
    pen.rectangle(0.55, 0.44, 0.9, 0.56, colour, 0.06)
    pen.rectangle(0.36, 0.04, 0.64, 0.97, colour, 0.14)
    for x in (0.44, 0.56):
        pen.line([(x, 0.14), (x, 0.92)], shade(colour, 0.35), 0.02)
    for x, y in ((0.5, 0.2), (0.5, 0.5), (0.5, 0.8), (0.17, 0.42), (0.83, 0.32)):
        pen.line([(x - 0.03, y), (x + 0.03, y - 0.03)], tint(colour, 0.7), 0.018)


def leaf(pen: Pen, colour: RGB) -> None:
    """A single big leaf, slanted, with veins."""
    edge = [(0.12, 0.88), (0.1, 0.5), (0.3, 0.2), (0.62, 0.06), (0.95, 0.05)]
    pen.polygon([*edge, (0.94, 0.38), (0.8, 0.7), (0.5, 0.9)], colour)
    pen.line([(0.03, 0.97), (0.85, 0.15)], shade(colour, 0.45), 0.035)
    for a, b in (((0.35, 0.65), (0.25, 0.4)), ((0.55, 0.45), (0.47, 0.2))):
        pen.line([a, b], shade(colour, 0.35), 0.022)
        pen.line([a, (1 - b[1], 1 - b[0])], shade(colour, 0.35), 0.022)
