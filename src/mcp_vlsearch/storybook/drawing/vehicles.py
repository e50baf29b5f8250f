"""Vehicles, each in the unit square of a pen."""

from mcp_vlsearch.storybook.drawing.pen import INK, RGB, Pen, shade, tint

__all__ = ["airplane", "bicycle", "boat", "bus", "car", "hot_air_balloon", "rocket", "train"]

_GLASS: RGB = (190, 225, 245)
_METAL: RGB = (150, 155, 165)


def _wheel(pen: Pen, x: float, y: float, radius: float) -> None:
    pen.circle(x, y, radius, INK)
    pen.dot(x, y, radius * 0.45, (200, 200, 205))


def car(pen: Pen, colour: RGB) -> None:
    """A small car from the side: rounded cabin, two big wheels."""
    pen.polygon([(0.2, 0.5), (0.32, 0.24), (0.68, 0.24), (0.82, 0.5)], colour)
    pen.polygon([(0.28, 0.48), (0.36, 0.3), (0.48, 0.3), (0.48, 0.48)], _GLASS)
    pen.polygon([(0.53, 0.48), (0.53, 0.3), (0.65, 0.3), (0.73, 0.48)], _GLASS)
    pen.rectangle(0.03, 0.47, 0.97, 0.76, colour, 0.1)
    pen.rectangle(0.06, 0.63, 0.94, 0.68, shade(colour, 0.3))
    pen.dot(0.91, 0.56, 0.045, (255, 240, 150))
    _wheel(pen, 0.26, 0.77, 0.14)
    _wheel(pen, 0.74, 0.77, 0.14)


def bus(pen: Pen, colour: RGB) -> None:
    """A long tall bus: a row of square windows and a door."""
    pen.rectangle(0.02, 0.14, 0.98, 0.82, colour, 0.07)
    for x in (0.08, 0.26, 0.44):
        pen.rectangle(x, 0.23, x + 0.14, 0.45, _GLASS, 0.02)
    pen.rectangle(0.64, 0.23, 0.78, 0.78, tint(_GLASS, 0.3), 0.02)
    pen.line([(0.71, 0.24), (0.71, 0.77)], shade(colour, 0.4), 0.015)
    pen.rectangle(0.84, 0.23, 0.98, 0.48, _GLASS, 0.02)
    pen.rectangle(0.03, 0.54, 0.62, 0.6, tint(colour, 0.6))
    _wheel(pen, 0.24, 0.83, 0.11)
    _wheel(pen, 0.82, 0.83, 0.11)


def bicycle(pen: Pen, colour: RGB) -> None:
    """A bicycle: two open wheels and a thick coloured frame."""
    for x in (0.03, 0.57):
        pen.arc(x, 0.5, x + 0.4, 0.9, 0, 360, INK, 0.045)
        pen.arc(x + 0.045, 0.545, x + 0.355, 0.855, 0, 360, colour, 0.04)
        pen.dot(x + 0.2, 0.7, 0.03, INK)
    frame = [(0.23, 0.7), (0.37, 0.38), (0.68, 0.38), (0.48, 0.7), (0.23, 0.7)]
    pen.line(frame, colour, 0.075)
    pen.line([(0.34, 0.3), (0.48, 0.7)], colour, 0.075)
    pen.line([(0.77, 0.7), (0.66, 0.24)], colour, 0.075)
    pen.line([(0.56, 0.2), (0.66, 0.22), (0.8, 0.16)], INK, 0.045)
    pen.ellipse(0.24, 0.24, 0.44, 0.32, INK)


def boat(pen: Pen, colour: RGB) -> None:
    """A sailing boat: two coloured sails, a hull and waves."""
    pen.line([(0.48, 0.04), (0.48, 0.72)], (110, 80, 50), 0.035)
    pen.polygon([(0.52, 0.04), (0.93, 0.6), (0.52, 0.6)], colour)
    pen.polygon([(0.44, 0.14), (0.44, 0.6), (0.14, 0.6)], tint(colour, 0.3))
    pen.polygon([(0.06, 0.67), (0.94, 0.67), (0.78, 0.88), (0.22, 0.88)], shade(colour, 0.15))
    pen.rectangle(0.09, 0.71, 0.91, 0.75, tint(colour, 0.7))
    for start in (0.0, 0.33, 0.66):
        pen.arc(start + 0.02, 0.84, start + 0.32, 0.96, 20, 160, (90, 170, 230), 0.045)


def airplane(pen: Pen, colour: RGB) -> None:
    """An airplane flying right: swept wing, tail fin, round windows."""
    pen.polygon([(0.04, 0.14), (0.16, 0.14), (0.3, 0.42), (0.1, 0.44)], shade(colour, 0.2))
    pen.polygon([(0.52, 0.42), (0.4, 0.14), (0.5, 0.14), (0.7, 0.42)], shade(colour, 0.35))
    pen.ellipse(0.05, 0.36, 0.97, 0.64, colour)
    pen.polygon([(0.4, 0.55), (0.22, 0.92), (0.34, 0.92), (0.66, 0.55)], shade(colour, 0.25))
    for x in (0.34, 0.46, 0.58, 0.7):
        pen.dot(x, 0.46, 0.03, _GLASS)
    pen.pie(0.76, 0.38, 0.96, 0.58, 270, 360, _GLASS)


def rocket(pen: Pen, colour: RGB) -> None:
    """A rocket pointing up: nose cone, porthole, fins, flame."""
    pen.polygon([(0.4, 0.78), (0.6, 0.78), (0.5, 0.98)], (255, 150, 40))
    pen.polygon([(0.44, 0.78), (0.56, 0.78), (0.5, 0.9)], (255, 225, 90))
    pen.polygon([(0.32, 0.5), (0.1, 0.84), (0.34, 0.78)], shade(colour, 0.3))
    pen.polygon([(0.68, 0.5), (0.9, 0.84), (0.66, 0.78)], shade(colour, 0.3))
    body = [(0.5, 0.02), (0.64, 0.16), (0.72, 0.38), (0.7, 0.62), (0.64, 0.8)]
    pen.polygon([*body, *((1 - x, y) for x, y in reversed(body[1:]))], colour)
    pen.polygon([(0.5, 0.02), (0.64, 0.17), (0.36, 0.17)], shade(colour, 0.3))
    pen.circle(0.5, 0.38, 0.115, (240, 240, 240))
    pen.dot(0.5, 0.38, 0.08, _GLASS)
    pen.rectangle(0.35, 0.68, 0.65, 0.72, tint(colour, 0.6))


def train(pen: Pen, colour: RGB) -> None:
    """A steam engine: boiler, chimney with smoke, cab, wheels on a rail."""
    pen.circle(0.82, 0.1, 0.08, (215, 215, 220))
    pen.circle(0.68, 0.07, 0.055, (225, 225, 230))
    pen.rectangle(0.74, 0.2, 0.86, 0.46, shade(colour, 0.4), 0.02)
    pen.rectangle(0.4, 0.4, 0.94, 0.72, colour, 0.08)
    pen.rectangle(0.08, 0.2, 0.46, 0.74, colour, 0.03)
    pen.rectangle(0.03, 0.14, 0.5, 0.23, shade(colour, 0.3), 0.03)
    pen.rectangle(0.15, 0.3, 0.37, 0.5, _GLASS, 0.02)
    pen.rectangle(0.6, 0.4, 0.65, 0.72, tint(colour, 0.6))
    pen.polygon([(0.92, 0.66), (0.99, 0.86), (0.84, 0.86)], _METAL)
    pen.line([(0.02, 0.95), (0.98, 0.95)], _METAL, 0.04)
    for x, r in ((0.24, 0.13), (0.53, 0.1), (0.76, 0.1)):
        _wheel(pen, x, 0.93 - r, r)


def hot_air_balloon(pen: Pen, colour: RGB) -> None:
    """A hot-air balloon: a striped envelope over a small basket."""
    pen.line([(0.26, 0.56), (0.42, 0.84)], INK, 0.018)
    pen.line([(0.74, 0.56), (0.58, 0.84)], INK, 0.018)
    pen.polygon([(0.2, 0.52), (0.8, 0.52), (0.6, 0.74), (0.4, 0.74)], colour)
    pen.circle(0.5, 0.37, 0.35, colour)
    pen.polygon(
        [(0.4, 0.04), (0.6, 0.04), (0.66, 0.4), (0.56, 0.73), (0.44, 0.73), (0.34, 0.4)],
        tint(colour, 0.45),
    )
    pen.dot(0.5, 0.07, 0.05, shade(colour, 0.2))
    pen.rectangle(0.4, 0.83, 0.6, 0.97, (165, 115, 65), 0.03)
