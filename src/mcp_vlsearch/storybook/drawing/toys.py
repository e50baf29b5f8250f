"""Things to play with and wear, each in the unit square of a pen."""

import math

from mcp_vlsearch.storybook.drawing.pen import INK, RGB, Pen, shade, tint

__all__ = ["ball", "gift", "guitar", "hat", "heart", "kite", "robot", "shoe", "star"]

_WOOD: RGB = (120, 80, 45)
_METAL: RGB = (165, 170, 180)


def guitar(pen: Pen, colour: RGB) -> None:
    """A guitar, slanted: waisted body, sound hole, long neck, strings."""
    pen.line([(0.4, 0.6), (0.86, 0.14)], _WOOD, 0.09)
    pen.line([(0.82, 0.18), (0.95, 0.05)], INK, 0.14)
    pen.circle(0.3, 0.7, 0.27, colour)
    pen.circle(0.5, 0.5, 0.19, colour)
    pen.dot(0.4, 0.6, 0.17, colour)
    pen.dot(0.41, 0.59, 0.09, INK)
    pen.line([(0.17, 0.73), (0.29, 0.85)], _WOOD, 0.05)
    for shift in (-0.015, 0.015):
        pen.line(
            [(0.23 + shift, 0.79 + shift), (0.88 + shift, 0.14 + shift)], (235, 230, 215), 0.01
        )


def ball(pen: Pen, colour: RGB) -> None:
    """A beach ball: coloured with two pale curved wedges and a button."""
    pen.circle(0.5, 0.5, 0.46, colour)
    pen.pie(0.04, 0.04, 0.96, 0.96, 290, 335, (245, 245, 240))
    pen.pie(0.04, 0.04, 0.96, 0.96, 50, 95, (245, 245, 240))
    pen.pie(0.04, 0.04, 0.96, 0.96, 170, 215, (245, 245, 240))
    pen.circle(0.5, 0.5, 0.1, shade(colour, 0.25))


def kite(pen: Pen, colour: RGB) -> None:
    """A diamond kite with a cross and a tail of bows."""
    pen.line([(0.42, 0.68), (0.5, 0.8), (0.66, 0.84), (0.82, 0.95)], INK, 0.02)
    for x, y in ((0.54, 0.81), (0.76, 0.91)):
        pen.polygon(
            [
                (x - 0.06, y - 0.05),
                (x + 0.06, y + 0.05),
                (x + 0.06, y - 0.05),
                (x - 0.06, y + 0.05),
            ],
            shade(colour, 0.25),
        )
    pen.polygon([(0.46, 0.02), (0.84, 0.28), (0.42, 0.72), (0.08, 0.24)], colour)
    pen.polygon([(0.46, 0.02), (0.84, 0.28), (0.45, 0.26)], tint(colour, 0.45))
    pen.polygon([(0.45, 0.26), (0.42, 0.72), (0.08, 0.24)], tint(colour, 0.45))
    pen.line([(0.46, 0.02), (0.42, 0.72)], shade(colour, 0.5), 0.02)
    pen.line([(0.08, 0.24), (0.84, 0.28)], shade(colour, 0.5), 0.02)


def hat(pen: Pen, colour: RGB) -> None:
    """A top hat: tall crown, wide brim, a pale band."""
    pen.rectangle(0.24, 0.08, 0.76, 0.78, colour, 0.05)
    pen.ellipse(0.24, 0.03, 0.76, 0.16, tint(colour, 0.25))
    pen.rectangle(0.24, 0.56, 0.76, 0.7, tint(colour, 0.7))
    pen.ellipse(0.02, 0.7, 0.98, 0.93, shade(colour, 0.2))
    pen.rectangle(0.25, 0.66, 0.75, 0.78, colour)


def shoe(pen: Pen, colour: RGB) -> None:
    """A sneaker from the side: pale sole and toe cap, laces."""
    pen.polygon(
        [(0.08, 0.22), (0.4, 0.22), (0.52, 0.46), (0.82, 0.56), (0.96, 0.76), (0.06, 0.78)], colour
    )
    pen.pie(0.7, 0.54, 0.99, 1.02, 180, 360, (245, 245, 240))
    pen.rectangle(0.04, 0.74, 0.98, 0.88, (245, 245, 240), 0.05)
    pen.rectangle(0.05, 0.84, 0.97, 0.89, shade(colour, 0.4), 0.02)
    for x, y in ((0.38, 0.34), (0.45, 0.43), (0.55, 0.5)):
        pen.line([(x - 0.03, y + 0.05), (x + 0.09, y - 0.03)], (250, 250, 245), 0.035)
    pen.rectangle(0.06, 0.18, 0.42, 0.28, shade(colour, 0.3), 0.03)


def star(pen: Pen, colour: RGB) -> None:
    """A plump five-pointed star with a smile."""
    pen.star(0.5, 0.53, 0.5, 0.24, 5, colour)
    pen.dot(0.41, 0.48, 0.035, INK)
    pen.dot(0.59, 0.48, 0.035, INK)
    pen.arc(0.41, 0.48, 0.59, 0.64, 20, 160, INK, 0.025)


def heart(pen: Pen, colour: RGB) -> None:
    """A heart with a gleam."""
    points = []
    for i in range(40):
        t = 2 * math.pi * i / 40
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((0.5 + x / 34, 0.47 - y / 34))
    pen.polygon(points, colour)
    pen.ellipse(0.18, 0.22, 0.36, 0.38, tint(colour, 0.5))


def gift(pen: Pen, colour: RGB) -> None:
    """A gift box: lid, pale ribbon both ways, a bow."""
    ribbon = (250, 235, 160) if colour[2] < 150 or colour[0] > 200 else (255, 150, 170)
    pen.ellipse(0.24, 0.04, 0.5, 0.26, ribbon)
    pen.ellipse(0.5, 0.04, 0.76, 0.26, ribbon)
    pen.rectangle(0.1, 0.4, 0.9, 0.96, colour)
    pen.rectangle(0.05, 0.24, 0.95, 0.44, shade(colour, 0.2), 0.02)
    pen.rectangle(0.43, 0.24, 0.57, 0.96, ribbon)
    pen.dot(0.5, 0.2, 0.06, shade(ribbon, 0.2))


def robot(pen: Pen, colour: RGB) -> None:
    """A robot: box head with antenna and round eyes, box body, arms, legs."""
    pen.line([(0.5, 0.16), (0.5, 0.05)], _METAL, 0.03)
    pen.dot(0.5, 0.05, 0.045, (230, 60, 60))
    for x in (0.32, 0.56):
        pen.rectangle(x, 0.8, x + 0.12, 0.97, _METAL, 0.02)
    for x in (0.06, 0.82):
        pen.rectangle(x, 0.5, x + 0.12, 0.78, _METAL, 0.05)
    pen.rectangle(0.22, 0.14, 0.78, 0.46, colour, 0.06)
    pen.rectangle(0.18, 0.48, 0.82, 0.84, colour, 0.05)
    for x in (0.37, 0.63):
        pen.circle(x, 0.27, 0.075, (250, 250, 240))
        pen.dot(x, 0.27, 0.035, INK)
    pen.rectangle(0.36, 0.37, 0.64, 0.42, shade(colour, 0.5))
    pen.rectangle(0.32, 0.56, 0.68, 0.74, tint(colour, 0.6), 0.03)
    for x, dot in ((0.4, (220, 60, 60)), (0.5, (250, 200, 60)), (0.6, (70, 170, 90))):
        pen.dot(x, 0.65, 0.032, dot)
