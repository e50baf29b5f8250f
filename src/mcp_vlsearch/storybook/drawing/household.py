"""Things around a house, each in the unit square of a pen."""

from mcp_vlsearch.storybook.drawing.pen import INK, RGB, Pen, shade, tint

__all__ = [
    "bell",
    "book",
    "bottle",
    "chair",
    "clock",
    "cup",
    "house",
    "key",
    "lamp",
    "table",
    "umbrella",
]

_GLASS: RGB = (255, 240, 170)
_WOOD: RGB = (140, 95, 55)
_PAPER: RGB = (250, 248, 238)


def house(pen: Pen, colour: RGB) -> None:
    """A house: a steep roof, chimney, door and two lit windows."""
    pen.rectangle(0.68, 0.1, 0.8, 0.4, shade(colour, 0.4))
    pen.rectangle(0.14, 0.44, 0.86, 0.96, colour)
    pen.polygon([(0.03, 0.48), (0.5, 0.05), (0.97, 0.48)], shade(colour, 0.3))
    pen.rectangle(0.42, 0.66, 0.58, 0.96, _WOOD)
    pen.rectangle(0.2, 0.56, 0.36, 0.74, _GLASS)
    pen.rectangle(0.64, 0.56, 0.8, 0.74, _GLASS)
    pen.dot(0.54, 0.82, 0.018, _GLASS)


def umbrella(pen: Pen, colour: RGB) -> None:
    """An open umbrella: a scalloped dome and a hooked handle."""
    pen.line([(0.5, 0.45), (0.5, 0.86)], INK, 0.035)
    pen.arc(0.5, 0.76, 0.68, 0.96, 0, 180, INK, 0.035)
    pen.line([(0.5, 0.03), (0.5, 0.12)], INK, 0.035)
    pen.pie(0.03, 0.08, 0.97, 0.98, 180, 360, colour)
    pen.pie(0.3, 0.08, 0.7, 0.98, 180, 360, tint(colour, 0.4))
    for x in (0.03, 0.265, 0.5, 0.735):
        pen.arc(x, 0.46, x + 0.235, 0.6, 180, 360, shade(colour, 0.4), 0.03)


def chair(pen: Pen, colour: RGB) -> None:
    """A wooden chair seen from the side: tall back, seat, legs."""
    pen.rectangle(0.14, 0.04, 0.27, 0.97, shade(colour, 0.2), 0.03)
    pen.rectangle(0.7, 0.55, 0.82, 0.97, shade(colour, 0.2), 0.03)
    pen.rectangle(0.36, 0.62, 0.45, 0.9, shade(colour, 0.4), 0.02)
    pen.rectangle(0.24, 0.1, 0.42, 0.24, colour, 0.03)
    pen.rectangle(0.24, 0.3, 0.42, 0.42, colour, 0.03)
    pen.rectangle(0.12, 0.5, 0.9, 0.66, colour, 0.04)


def table(pen: Pen, colour: RGB) -> None:
    """A table: a wide thick top on two pairs of legs."""
    for x in (0.1, 0.78):
        pen.rectangle(x, 0.42, x + 0.12, 0.92, shade(colour, 0.2), 0.02)
    for x in (0.28, 0.64):
        pen.rectangle(x, 0.42, x + 0.08, 0.82, shade(colour, 0.4), 0.02)
    pen.rectangle(0.06, 0.4, 0.94, 0.52, shade(colour, 0.15))
    pen.polygon([(0.14, 0.2), (0.86, 0.2), (0.98, 0.42), (0.02, 0.42)], colour)


def lamp(pen: Pen, colour: RGB) -> None:
    """A table lamp: a cone shade glowing over a slim stand."""
    pen.ellipse(0.24, 0.36, 0.76, 0.66, (255, 245, 180))
    pen.rectangle(0.46, 0.45, 0.54, 0.88, (150, 130, 100))
    pen.ellipse(0.24, 0.84, 0.76, 0.97, shade(colour, 0.25))
    pen.polygon([(0.34, 0.04), (0.66, 0.04), (0.93, 0.54), (0.07, 0.54)], colour)
    pen.polygon([(0.1, 0.48), (0.9, 0.48), (0.93, 0.54), (0.07, 0.54)], tint(colour, 0.6))


def clock(pen: Pen, colour: RGB) -> None:
    """An alarm clock: a pale dial in a thick ring, two bells, feet."""
    pen.circle(0.24, 0.16, 0.13, shade(colour, 0.2))
    pen.circle(0.76, 0.16, 0.13, shade(colour, 0.2))
    pen.line([(0.28, 0.85), (0.18, 0.97)], INK, 0.05)
    pen.line([(0.72, 0.85), (0.82, 0.97)], INK, 0.05)
    pen.circle(0.5, 0.54, 0.41, colour)
    pen.circle(0.5, 0.54, 0.27, _PAPER)
    pen.line([(0.5, 0.54), (0.5, 0.34)], INK, 0.035)
    pen.line([(0.5, 0.54), (0.65, 0.6)], INK, 0.035)
    pen.dot(0.5, 0.54, 0.035, (200, 40, 40))


def book(pen: Pen, colour: RGB) -> None:
    """A closed book, slanted: cover, page edges, a label."""
    pen.polygon([(0.12, 0.86), (0.26, 0.97), (0.94, 0.84), (0.8, 0.74)], _PAPER)
    pen.polygon([(0.12, 0.18), (0.76, 0.06), (0.8, 0.74), (0.14, 0.87)], colour)
    pen.polygon([(0.06, 0.22), (0.14, 0.17), (0.16, 0.86), (0.08, 0.86)], shade(colour, 0.4))
    pen.polygon([(0.76, 0.06), (0.9, 0.16), (0.94, 0.84), (0.8, 0.75)], _PAPER)
    pen.polygon([(0.28, 0.29), (0.65, 0.22), (0.66, 0.38), (0.29, 0.45)], tint(colour, 0.75))
    pen.line([(0.3, 0.62), (0.66, 0.55)], tint(colour, 0.6), 0.025)


def cup(pen: Pen, colour: RGB) -> None:
    """A steaming cup with a big handle, on a saucer."""
    for x in (0.32, 0.5):
        pen.line([(x, 0.26), (x + 0.05, 0.18), (x, 0.11), (x + 0.05, 0.03)], (190, 195, 205), 0.03)
    pen.arc(0.6, 0.4, 0.96, 0.74, 270, 100, colour, 0.085)
    pen.ellipse(0.06, 0.84, 0.86, 0.97, (215, 215, 225))
    pen.polygon(
        [(0.1, 0.32), (0.78, 0.32), (0.7, 0.82), (0.6, 0.9), (0.28, 0.9), (0.18, 0.82)], colour
    )
    pen.ellipse(0.1, 0.25, 0.78, 0.4, shade(colour, 0.3))
    pen.ellipse(0.16, 0.28, 0.72, 0.38, (110, 70, 40))
    pen.rectangle(0.17, 0.58, 0.72, 0.66, tint(colour, 0.5))


def bottle(pen: Pen, colour: RGB) -> None:
    """A tall bottle: narrow neck, cap, pale label."""
    pen.rectangle(0.41, 0.02, 0.59, 0.12, (90, 90, 100), 0.02)
    pen.polygon(
        [(0.42, 0.11), (0.58, 0.11), (0.6, 0.32), (0.74, 0.46), (0.26, 0.46), (0.4, 0.32)], colour
    )
    pen.rectangle(0.26, 0.42, 0.74, 0.97, colour, 0.07)
    pen.dot(0.5, 0.45, 0.2, colour)
    pen.rectangle(0.26, 0.58, 0.74, 0.8, _PAPER)
    pen.line([(0.36, 0.69), (0.64, 0.69)], shade(colour, 0.2), 0.05)
    pen.line([(0.34, 0.46), (0.34, 0.55)], tint(colour, 0.6), 0.03)


def key(pen: Pen, colour: RGB) -> None:
    """A key lying slanted: a ring with a hole, a shaft, two teeth."""
    pen.line([(0.42, 0.58), (0.92, 0.08)], colour, 0.12)
    pen.line([(0.76, 0.22), (0.92, 0.38)], colour, 0.1)
    pen.line([(0.62, 0.37), (0.76, 0.51)], colour, 0.1)
    pen.circle(0.29, 0.71, 0.26, colour)
    pen.circle(0.25, 0.75, 0.1, (235, 235, 225))
    pen.line([(0.46, 0.5), (0.86, 0.1)], tint(colour, 0.5), 0.025)


def bell(pen: Pen, colour: RGB) -> None:
    """A hand bell: a flared body, a loop on top, a clapper below."""
    pen.arc(0.4, 0.02, 0.6, 0.22, 0, 360, shade(colour, 0.3), 0.05)
    pen.circle(0.5, 0.87, 0.1, shade(colour, 0.45))
    body = [(0.5, 0.12), (0.66, 0.2), (0.72, 0.42), (0.78, 0.62), (0.95, 0.8)]
    pen.polygon([*body, *((1 - x, y) for x, y in reversed(body))], colour)
    pen.rectangle(0.05, 0.76, 0.95, 0.84, shade(colour, 0.25), 0.03)
    pen.line([(0.38, 0.28), (0.33, 0.6)], tint(colour, 0.6), 0.04)
