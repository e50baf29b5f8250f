"""Settings under the open sky, by day and by night."""

from mcp_vlsearch.storybook.drawing.pen import RGB
from mcp_vlsearch.storybook.drawing.sheet import Sheet, cloud, ground, hills, sky, stars, sun

__all__ = ["beach", "desert", "forest", "meadow", "night", "rain", "snow", "sunset"]


def meadow(sheet: Sheet) -> None:
    """Green hills with tufts and flowers, under sun and a cloud."""
    sky(sheet, (168, 212, 240), (205, 231, 245), (226, 240, 246))
    sun(sheet, (252, 228, 140), 12)
    cloud(sheet, sheet.x(), sheet.y(0.12, 0.3), 0.07, (244, 249, 252))
    hills(sheet, 0.55, 0.05, (184, 212, 156))
    hills(sheet, 0.63, 0.02, (164, 201, 132))
    for _ in range(34):
        _tuft(sheet, sheet.x(), sheet.y(0.68, 0.98))
    for _ in range(14):
        petal = sheet.rng.choice(((252, 250, 240), (248, 228, 160), (240, 205, 215)))
        sheet.pen.dot(sheet.x(), sheet.y(0.68, 0.98), 0.008, petal)


def _tuft(sheet: Sheet, x: float, y: float) -> None:
    for lean in (-0.018, 0.0, 0.018):
        sheet.pen.line([(x + lean / 3, y), (x + lean, y - 0.032)], (132, 176, 104), 0.007)


def night(sheet: Sheet) -> None:
    """Dark hills under moon and stars."""
    top: RGB = (30, 37, 74)
    sky(sheet, top, (44, 54, 98), (66, 76, 122))
    stars(sheet, 45, 0.6)
    x, y = sheet.wide * sheet.rng.choice((0.15, 0.35, 0.65, 0.85)), sheet.y(0.13, 0.17)
    sheet.pen.circle(x, y, 0.115, (52, 60, 100))
    sheet.pen.circle(x, y, 0.085, (240, 234, 204))
    for across, up, radius in ((-0.3, 0.2, 0.2), (0.3, -0.3, 0.15), (0.25, 0.4, 0.12)):
        sheet.pen.dot(x + across * 0.085, y + up * 0.085, radius * 0.085, (220, 212, 180))
    hills(sheet, 0.66, 0.05, (44, 56, 84))
    hills(sheet, 0.76, 0.03, (36, 48, 62))


def beach(sheet: Sheet) -> None:
    """Sand before the sea."""
    sky(sheet, (190, 224, 240), (226, 240, 242), (226, 240, 242))
    cloud(sheet, sheet.x(), sheet.y(0.1, 0.22), 0.06, (248, 250, 250))
    ground(sheet, 0.4, (130, 190, 208))
    sheet.pen.rectangle(0, 0.4 * sheet.high, sheet.wide, 0.43 * sheet.high, (112, 174, 198))
    for _ in range(16):
        x, y = sheet.x(), sheet.y(0.44, 0.6)
        for dx in (0, 0.05):
            sheet.pen.arc(x + dx, y, x + dx + 0.05, y + 0.03, 180, 360, (214, 236, 240), 0.007)
    hills(sheet, 0.635, 0.014, (240, 248, 246), 3)
    hills(sheet, 0.66, 0.014, (240, 226, 188), 2)
    for _ in range(60):
        sheet.pen.dot(sheet.x(), sheet.y(0.7, 1), 0.004, (220, 202, 160))


def snow(sheet: Sheet) -> None:
    """Snowy peaks and white hills in falling snow."""
    sky(sheet, (176, 190, 208), (196, 208, 222), (210, 220, 230))
    for _ in range(3):
        x, y, size = sheet.x(), sheet.high * 0.66, sheet.rng.uniform(0.25, 0.4)
        sheet.pen.polygon([(x - size, y), (x, y - size), (x + size, y)], (160, 176, 198))
        tip = [(x - size / 3, y - size * 2 / 3), (x, y - size), (x + size / 3, y - size * 2 / 3)]
        sheet.pen.polygon(tip, (228, 234, 242))
    hills(sheet, 0.63, 0.03, (226, 233, 241))
    hills(sheet, 0.75, 0.03, (240, 244, 248))
    for _ in range(70):
        colour: RGB = (252, 253, 255) if sheet.rng.random() < 0.8 else (206, 217, 230)
        sheet.pen.dot(sheet.x(), sheet.y(0, 1), sheet.rng.uniform(0.006, 0.012), colour)


def forest(sheet: Sheet) -> None:
    """Rows of firs, the farther the paler."""
    sky(sheet, (196, 214, 192), (176, 200, 170), (158, 184, 150))
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
    hills(sheet, 0.71, 0.012, (136, 142, 98))
    for _ in range(26):
        x, y = sheet.x(), sheet.y(0.76, 0.98)
        sheet.pen.line([(x, y), (x + 0.02, y - 0.02)], (110, 118, 78), 0.008)


def _fir(sheet: Sheet, x: float, y: float, size: float, colour: RGB) -> None:
    half = size * 0.24
    sheet.pen.rectangle(x - size * 0.04, y - size * 0.2, x + size * 0.04, y + 0.03, (112, 92, 74))
    for low, high, width in ((0.14, 0.55, 1.0), (0.38, 0.78, 0.78), (0.62, 1.0, 0.55)):
        base = y - low * size
        tip = (x, y - high * size)
        sheet.pen.polygon([(x - half * width, base), tip, (x + half * width, base)], colour)


def desert(sheet: Sheet) -> None:
    """Dunes and table mountains under a pale sun."""
    sky(sheet, (246, 214, 158), (250, 228, 184), (252, 238, 208))
    sun(sheet, (255, 246, 214), 0)
    for _ in range(2):
        x, size = sheet.x(), sheet.rng.uniform(0.1, 0.16)
        base, top = 0.6 * sheet.high, 0.6 * sheet.high - size * 1.1
        mesa = [(x - size, base), (x - size * 0.7, top), (x + size * 0.7, top), (x + size, base)]
        sheet.pen.polygon(mesa, (212, 164, 126))
    hills(sheet, 0.56, 0.03, (234, 198, 142))
    hills(sheet, 0.68, 0.05, (226, 184, 124), 0.8)
    hills(sheet, 0.82, 0.04, (216, 172, 112), 0.9)
    for _ in range(14):
        x, y = sheet.x(), sheet.y(0.68, 0.97)
        sheet.pen.arc(x, y, x + 0.12, y + 0.03, 190, 350, (198, 154, 98), 0.006)


def rain(sheet: Sheet) -> None:
    """Puddles and streaks of rain under grey clouds."""
    sky(sheet, (142, 152, 166), (164, 174, 186), (182, 190, 198))
    x = 0.0
    while x < sheet.wide + 0.1:
        grey = sheet.rng.choice(((112, 120, 134), (124, 132, 146)))
        cloud(sheet, x, sheet.rng.uniform(0.02, 0.12), 0.13, grey)
        x += 0.2
    ground(sheet, 0.74, (132, 138, 138))
    for _ in range(5):
        x, y = sheet.x(), sheet.y(0.8, 0.96)
        sheet.pen.ellipse(x - 0.13, y - 0.03, x + 0.13, y + 0.03, (168, 182, 198))
        sheet.pen.arc(x - 0.06, y - 0.014, x + 0.06, y + 0.014, 0, 360, (206, 216, 226), 0.005)
    for _ in range(80):
        x, y = sheet.x(), sheet.y(0.05, 0.95)
        sheet.pen.line([(x, y), (x - 0.018, y + 0.055)], (212, 224, 236), 0.006)


def sunset(sheet: Sheet) -> None:
    """Dark hills before a low sun in a red sky."""
    sky(sheet, (118, 94, 150), (190, 122, 158), (238, 156, 140), (250, 190, 120), (250, 206, 130))
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
    hills(sheet, 0.7, 0.016, (130, 88, 124))
    hills(sheet, 0.82, 0.03, (98, 68, 106))
