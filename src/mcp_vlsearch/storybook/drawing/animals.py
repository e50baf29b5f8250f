"""Animals, each in the unit square of a pen."""

from mcp_vlsearch.storybook.drawing.pen import INK, RGB, Pen, shade, tint

__all__ = ["bird", "butterfly", "cat", "dog", "duck", "fish", "owl", "rabbit", "snail", "turtle"]

_WHITE: RGB = (255, 255, 255)
_BEAK: RGB = (245, 160, 40)


def _eye(pen: Pen, x: float, y: float, radius: float = 0.035) -> None:
    pen.dot(x, y, radius * 1.5, _WHITE)
    pen.dot(x, y, radius, INK)


def cat(pen: Pen, colour: RGB) -> None:
    """A sitting cat: pointed ears, whiskers, a raised tail."""
    pen.line([(0.68, 0.9), (0.9, 0.85), (0.93, 0.6), (0.84, 0.48)], shade(colour), 0.09)
    pen.ellipse(0.22, 0.48, 0.78, 0.97, colour)
    pen.ellipse(0.38, 0.6, 0.62, 0.95, tint(colour))
    pen.polygon([(0.2, 0.3), (0.2, 0.03), (0.42, 0.17)], colour)
    pen.polygon([(0.8, 0.3), (0.8, 0.03), (0.58, 0.17)], colour)
    pen.polygon([(0.25, 0.24), (0.25, 0.11), (0.35, 0.18)], tint(colour, 0.6))
    pen.polygon([(0.75, 0.24), (0.75, 0.11), (0.65, 0.18)], tint(colour, 0.6))
    pen.ellipse(0.16, 0.13, 0.84, 0.6, colour)
    _eye(pen, 0.36, 0.34, 0.045)
    _eye(pen, 0.64, 0.34, 0.045)
    pen.polygon([(0.46, 0.43), (0.54, 0.43), (0.5, 0.48)], (240, 130, 150))
    for y in (0.43, 0.5):
        pen.line([(0.28, 0.46), (0.06, y)], shade(colour, 0.5), 0.014)
        pen.line([(0.72, 0.46), (0.94, y)], shade(colour, 0.5), 0.014)


def dog(pen: Pen, colour: RGB) -> None:
    """A dog in profile: hanging ear, long snout, tongue, four legs."""
    pen.line([(0.12, 0.5), (0.05, 0.3)], shade(colour), 0.07)
    for x in (0.16, 0.28, 0.52, 0.63):
        pen.rectangle(x, 0.66, x + 0.09, 0.96, shade(colour, 0.12), 0.04)
    pen.rectangle(0.1, 0.43, 0.74, 0.76, colour, 0.14)
    pen.ellipse(0.5, 0.12, 0.86, 0.54, colour)
    pen.rectangle(0.68, 0.28, 0.97, 0.48, colour, 0.09)
    pen.rectangle(0.8, 0.45, 0.88, 0.6, (240, 110, 130), 0.03)
    pen.dot(0.94, 0.31, 0.045, INK)
    pen.ellipse(0.46, 0.16, 0.62, 0.56, shade(colour, 0.35))
    _eye(pen, 0.72, 0.25)
    pen.rectangle(0.52, 0.53, 0.74, 0.59, (210, 60, 60), 0.02)


def rabbit(pen: Pen, colour: RGB) -> None:
    """A rabbit: two very long ears and a round tail."""
    for x in (0.3, 0.54):
        pen.ellipse(x, 0.02, x + 0.16, 0.46, colour)
        pen.ellipse(x + 0.045, 0.08, x + 0.115, 0.4, (250, 190, 200))
    pen.circle(0.84, 0.78, 0.1, tint(colour, 0.6))
    pen.ellipse(0.2, 0.55, 0.8, 0.97, colour)
    pen.ellipse(0.36, 0.64, 0.64, 0.95, tint(colour))
    pen.ellipse(0.24, 0.32, 0.76, 0.72, colour)
    _eye(pen, 0.39, 0.48)
    _eye(pen, 0.61, 0.48)
    pen.dot(0.5, 0.57, 0.035, (240, 130, 150))
    pen.rectangle(0.455, 0.6, 0.545, 0.69, _WHITE, 0.02)


def bird(pen: Pen, colour: RGB) -> None:
    """A small perching bird: round body, wing, orange beak, thin legs."""
    pen.polygon([(0.2, 0.55), (0.02, 0.42), (0.04, 0.66)], shade(colour))
    pen.line([(0.45, 0.8), (0.43, 0.97)], _BEAK, 0.03)
    pen.line([(0.58, 0.8), (0.6, 0.97)], _BEAK, 0.03)
    pen.ellipse(0.12, 0.32, 0.78, 0.86, colour)
    pen.circle(0.68, 0.3, 0.21, colour)
    pen.polygon([(0.86, 0.24), (0.99, 0.32), (0.86, 0.38)], _BEAK)
    pen.ellipse(0.2, 0.45, 0.58, 0.72, shade(colour, 0.3))
    pen.ellipse(0.56, 0.5, 0.76, 0.76, tint(colour, 0.5))
    _eye(pen, 0.72, 0.25)


def fish(pen: Pen, colour: RGB) -> None:
    """A fish swimming right: forked tail, fins, scales."""
    pen.polygon([(0.3, 0.5), (0.03, 0.22), (0.1, 0.5), (0.03, 0.78)], shade(colour))
    pen.polygon([(0.42, 0.34), (0.58, 0.1), (0.7, 0.32)], shade(colour))
    pen.polygon([(0.48, 0.7), (0.56, 0.9), (0.66, 0.7)], shade(colour))
    pen.ellipse(0.2, 0.24, 0.97, 0.76, colour)
    for x in (0.36, 0.48, 0.6):
        pen.arc(x, 0.36, x + 0.14, 0.64, 270, 90, shade(colour, 0.35), 0.025)
    pen.arc(0.66, 0.26, 0.8, 0.74, 270, 90, shade(colour, 0.4), 0.03)
    _eye(pen, 0.84, 0.43, 0.045)


def duck(pen: Pen, colour: RGB) -> None:
    """A swimming duck: flat orange bill, upturned tail, water below."""
    pen.ellipse(0.08, 0.46, 0.8, 0.92, colour)
    pen.polygon([(0.18, 0.62), (0.03, 0.4), (0.34, 0.5)], colour)
    pen.ellipse(0.5, 0.28, 0.72, 0.72, colour)
    pen.circle(0.66, 0.26, 0.2, colour)
    pen.ellipse(0.78, 0.24, 0.99, 0.36, _BEAK)
    pen.ellipse(0.24, 0.52, 0.6, 0.78, shade(colour, 0.25))
    _eye(pen, 0.7, 0.2)
    for start in (0.04, 0.34, 0.64):
        pen.arc(start, 0.84, start + 0.3, 0.98, 20, 160, (90, 170, 230), 0.04)


def turtle(pen: Pen, colour: RGB) -> None:
    """A turtle: a domed shell with plates, head out to the right."""
    skin: RGB = (150, 190, 110)
    pen.ellipse(0.72, 0.42, 0.98, 0.7, skin)
    pen.ellipse(0.14, 0.66, 0.34, 0.92, skin)
    pen.ellipse(0.58, 0.66, 0.78, 0.92, skin)
    pen.polygon([(0.1, 0.7), (0.01, 0.8), (0.16, 0.8)], skin)
    pen.pie(0.06, 0.14, 0.82, 1.3, 180, 360, colour)
    for x in (0.24, 0.44, 0.64):
        pen.circle(x, 0.52 if x != 0.44 else 0.38, 0.085, shade(colour, 0.3))
    pen.circle(0.44, 0.58, 0.07, shade(colour, 0.3))
    pen.rectangle(0.05, 0.67, 0.83, 0.76, shade(colour, 0.15), 0.04)
    _eye(pen, 0.88, 0.52, 0.03)


def butterfly(pen: Pen, colour: RGB) -> None:
    """A butterfly from above: four spotted wings and feelers."""
    pen.line([(0.5, 0.25), (0.38, 0.06)], INK, 0.02)
    pen.line([(0.5, 0.25), (0.62, 0.06)], INK, 0.02)
    for left, right in ((0.03, 0.5), (0.5, 0.97)):
        pen.ellipse(left, 0.12, right, 0.58, colour)
        inner = 0.12 if left < 0.5 else 0.5
        pen.ellipse(inner, 0.5, inner + 0.38, 0.94, shade(colour, 0.15))
    for x in (0.22, 0.78):
        pen.dot(x, 0.34, 0.1, tint(colour, 0.6))
        pen.dot(x, 0.34, 0.05, shade(colour, 0.5))
    for x in (0.32, 0.68):
        pen.dot(x, 0.72, 0.07, tint(colour, 0.6))
    pen.ellipse(0.455, 0.22, 0.545, 0.86, INK)


def snail(pen: Pen, colour: RGB) -> None:
    """A snail: a spiral shell on a long pale body with stalked eyes."""
    body: RGB = (225, 195, 150)
    pen.line([(0.84, 0.6), (0.78, 0.32)], body, 0.04)
    pen.line([(0.9, 0.6), (0.95, 0.34)], body, 0.04)
    pen.ellipse(0.74, 0.54, 0.98, 0.9, body)
    pen.rectangle(0.04, 0.78, 0.92, 0.94, body, 0.08)
    pen.circle(0.42, 0.48, 0.39, colour)
    pen.circle(0.44, 0.5, 0.27, tint(colour, 0.45))
    pen.circle(0.45, 0.52, 0.19, colour)
    pen.circle(0.46, 0.53, 0.09, tint(colour, 0.45))
    pen.dot(0.78, 0.31, 0.04, INK)
    pen.dot(0.95, 0.33, 0.04, INK)


def owl(pen: Pen, colour: RGB) -> None:
    """An owl from the front: ear tufts and huge round eyes."""
    pen.polygon([(0.16, 0.34), (0.14, 0.03), (0.44, 0.16)], colour)
    pen.polygon([(0.84, 0.34), (0.86, 0.03), (0.56, 0.16)], colour)
    pen.ellipse(0.12, 0.1, 0.88, 0.97, colour)
    pen.ellipse(0.1, 0.42, 0.28, 0.86, shade(colour, 0.3))
    pen.ellipse(0.72, 0.42, 0.9, 0.86, shade(colour, 0.3))
    for y in (0.6, 0.7, 0.8):
        for x in (0.38, 0.5, 0.62):
            pen.arc(x - 0.06, y, x + 0.06, y + 0.1, 0, 180, tint(colour, 0.6), 0.02)
    for x in (0.33, 0.67):
        pen.circle(x, 0.35, 0.17, _WHITE)
        pen.dot(x, 0.35, 0.09, INK)
    pen.polygon([(0.44, 0.42), (0.56, 0.42), (0.5, 0.55)], _BEAK)
