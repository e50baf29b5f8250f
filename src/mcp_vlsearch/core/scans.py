"""Pages of text, scanned or on a screen, as they are best read: clean, straight and clear.

Only what looks like a page of text is changed: many small marks on an even ground, in straight
lines. Others, such as photos, come back as they are.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["MAX_SKEW", "MENDED", "Page", "look_at", "mend"]

MENDED: Final = "scans 2"
"""Names how pages are mended; to be changed whenever the result would be another."""
MAX_SKEW: Final = 15.0
"""Degrees by which a page may lie askew and be set straight."""

_LEAST_SKEW: Final = 0.2
_COARSE, _FINE = 0.5, 0.05
"""Degrees between two angles that are tried."""
_POINTS: Final = 100_000
"""Dots of ink that an angle is judged by, about."""
_DISTINCT: Final = 5.0
"""How much better lines must show at the best angle than at the middle one of all."""
_MARKS: Final = 40
"""Letters, or words whose letters touch, that a page has at least."""
_IN_MARKS: Final = 0.75
"""Share of the ink that is in them; lines and pictures are the rest."""
_ALIKE: Final = 0.7
"""Share of lines that are about as high as the usual one."""
_INK: Final = (0.005, 0.35)
"""Least and largest share of a page that is ink."""
_EVEN: Final = 0.75
"""Share of what is not ink that must be as light as its surroundings."""
_PLAIN: Final = 2.0
"""How much better lines must show one way than across to tell which way they run: letters of one
width, as on a terminal, stand in columns, too."""
_UPRIGHT: Final = 1.4
"""How much more must stick out of lines on one side than on the other to tell top from bottom."""
_STICKS_OUT: Final = 0.02
"""Share of the ink that must stick out of lines at all."""
_BODY: Final = 0.4
"""Share of a line's fullest row from which a row is part of its body."""
_LINES: Final = 4
_SPECKS: Final = 0.004
"""Share of dots that are unlike their surroundings from which they count as specks."""
_NOISE: Final = 4.0
"""Spread of greys on even ground, of 255, from which it is taken off."""
_CONTRAST: Final = 110
"""Difference of paper and ink, of 255, below which it is raised."""

_LAPLACIANS: Final = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)

Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]

cv2.setNumThreads(1)  # several pictures are mended at once, each in a thread


@dataclass(frozen=True)
class Page:
    """Where a page's ink is, and how it must be turned, in degrees clockwise, to be read."""

    ink: Mask
    skew: float
    turn: int


class _Lines(NamedTuple):
    """The angle in degrees at which lines show best, how well, and how distinctly."""

    angle: float
    sharpness: float
    distinct: float


def mend(image: Image.Image) -> Image.Image:
    """Return a page of text clean, straight and clear; any other RGB picture as it is.

    A page is set straight by up to 15 degrees, and turned if it lies on its side or on its head
    and its letters tell that. Noise is taken off by non-local means (Buades et al. 2005), specks by
    a median, and low contrast is raised by CLAHE (Zuiderveld 1994) of the lightness.
    """
    pixels = np.array(image.convert("RGB"))
    page = look_at(pixels)
    if page is None:
        return image
    pixels = _clear(_clean(pixels, page.ink), page.ink)
    return _straight(Image.fromarray(pixels), page, _ground(pixels, page.ink))


def look_at(pixels: NDArray[np.uint8]) -> Page | None:
    """Return what there is to know of a page of text, shape (height, width, 3); None if it is none.

    Lines show in the profile of the ink (Postl 1986): along them its rows are full or empty. The
    angle is the one at which neighbouring rows differ most. Where columns show more than rows, the
    page lies on its side. Latin letters reach above their lines more than below: by that, top and
    bottom are told (as Leptonica does). Where they can't, as of capitals or of Chinese, a page is
    not turned; vertical writing, whose columns are its lines, so stays as it is, too.
    """
    grey = cv2.medianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), 3)
    if np.median(grey) < 110:  # light letters on a dark screen
        grey = cv2.bitwise_not(grey)
    ink = _ink(grey)
    if ink is None:
        return None
    y, x = np.nonzero(_fewer(ink))
    rows, columns = _lines(x, y), _lines(y, -x)
    is_on_its_side = columns.sharpness > rows.sharpness
    across, lines = (rows, columns) if is_on_its_side else (columns, rows)
    if lines.distinct < _DISTINCT or abs(lines.angle) >= MAX_SKEW:
        return None
    straight = _rotated(ink, lines.angle)
    straight = np.rot90(straight, -1) if is_on_its_side else straight
    if not (_is_in_marks(ink) and _is_in_lines(straight)):
        return None
    skew = lines.angle if abs(lines.angle) >= _LEAST_SKEW else 0.0
    is_plain = lines.sharpness >= _PLAIN * across.sharpness
    return Page(ink, skew, _turn(straight, is_on_its_side) if is_plain else 0)


def _ink(grey: Grey) -> Mask | None:
    """Return where a page is darker than its surroundings; None if that does not look like text."""
    height, width = grey.shape
    around = max(15, min(height, width) // 16) | 1
    ground = cv2.medianBlur(cv2.resize(grey, (max(1, width // 4), max(1, height // 4))), 31)
    ground = cv2.resize(ground, (width, height)).astype(np.int16)
    dark = cv2.adaptiveThreshold(
        grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, around, 12
    )
    mask: Mask = np.asarray(dark, bool)
    share = mask.mean()
    if not _INK[0] <= share <= _INK[1]:
        return None
    if (np.abs(ground - grey)[~mask] < 16).mean() < _EVEN:
        return None
    return mask


def _fewer(ink: Mask) -> Mask:
    """Return ink in a smaller size if there is much of it; angles stay as they are."""
    scale = np.sqrt(_POINTS / np.count_nonzero(ink))
    if scale >= 1:
        return ink
    fewer = cv2.resize(ink.astype(np.uint8), None, fx=scale, fy=scale, interpolation=0)
    return np.asarray(fewer, bool)


def _lines(along: NDArray[np.int64], across: NDArray[np.int64]) -> _Lines:
    """Find the angle at which lines show best, from the places of ink along and across them."""
    coarse = np.arange(-MAX_SKEW, MAX_SKEW + _COARSE, _COARSE)
    scores = np.array([_sharpness(along, across, angle) for angle in coarse])
    fine = coarse[scores.argmax()] + np.arange(-_COARSE, _COARSE + _FINE, _FINE)
    finer = np.array([_sharpness(along, across, angle) for angle in fine])
    distinct = scores.max() / max(float(np.median(scores)), 1e-9)
    return _Lines(float(fine[finer.argmax()]), float(finer.max()), float(distinct))


def _sharpness(along: NDArray[np.int64], across: NDArray[np.int64], angle: float) -> float:
    """Return how much the neighbouring rows of a profile differ that is taken at an angle."""
    radians = np.deg2rad(angle)
    row = np.rint(across * np.cos(radians) - along * np.sin(radians)).astype(np.int64)
    profile = np.bincount(row - row.min()).astype(np.float64)
    return float(np.square(np.diff(profile)).sum() / len(row))


def _is_in_marks(ink: Mask) -> bool:
    """Say whether nearly all ink is in small marks, and these are many."""
    _, _, marks, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    edges = marks[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1)
    is_mark = (edges >= 4) & (edges <= max(ink.shape) / 8)
    areas = marks[1:, cv2.CC_STAT_AREA]
    is_most = areas[is_mark].sum() >= _IN_MARKS * areas.sum()
    return bool(is_most and np.count_nonzero(is_mark) >= _MARKS)


def _is_in_lines(straight: Mask) -> bool:
    """Say whether ink is in lines of one height, as a rule."""
    heights = np.array([end - start for start, end in _bands(_profile(straight), 0.15)])
    heights = heights[heights >= 3]
    if len(heights) < _LINES:
        return False
    usual = float(np.median(heights))
    return bool(((heights >= usual / 2) & (heights <= usual * 2)).mean() >= _ALIKE)


def _profile(ink: Mask) -> NDArray[np.float64]:
    return np.asarray(ink.sum(axis=1), np.float64)


def _bands(profile: NDArray[np.float64], share: float) -> list[tuple[int, int]]:
    """Return where lines begin and end: where rows have a share of the ink of the fullest ones."""
    is_line = profile > share * np.quantile(profile, 0.95)
    edges = np.flatnonzero(np.diff(np.r_[False, is_line, False].astype(np.int8)))
    return [(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def _turn(straight: Mask, is_on_its_side: bool) -> int:
    """Return by how many degrees clockwise a page must be turned; 0 if its letters don't tell.

    One that lies on its side was turned by 90 degrees clockwise to look at its lines.
    """
    above, below = _sticking_out(straight)
    if above > _UPRIGHT * below:
        return 90 if is_on_its_side else 0
    if below > _UPRIGHT * above:
        return 270 if is_on_its_side else 180
    return 0


def _rotated(ink: Mask, skew: float) -> Mask:
    height, width = ink.shape
    how = cv2.getRotationMatrix2D((width / 2, height / 2), skew, 1.0)
    return np.asarray(cv2.warpAffine(ink.astype(np.uint8), how, (width, height)), bool)


def _sticking_out(ink: Mask) -> tuple[float, float]:
    """Return how much ink lies above and below the bodies of the lines; zeros if that is little."""
    profile = _profile(ink)
    above = below = 0.0
    count = 0
    for start, end in _bands(profile, 0.05):
        line = profile[start:end]
        body = np.flatnonzero(line >= _BODY * line.max())
        if len(line) >= 5 and len(body) >= 3:
            count += 1
            above += line[: body[0]].sum()
            below += line[body[-1] + 1 :].sum()
    if count < _LINES or above + below < _STICKS_OUT * profile.sum():
        return 0.0, 0.0
    return above, below


def _clean(pixels: NDArray[np.uint8], ink: Mask) -> NDArray[np.uint8]:
    """Take off specks and noise, as far as the ground between the letters has any."""
    ground = cv2.erode((~ink).astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    if not ground.any():
        return pixels
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    smooth = cv2.medianBlur(grey, 3)
    if (cv2.absdiff(grey, smooth)[ground] > 60).mean() >= _SPECKS:
        pixels = cv2.medianBlur(pixels, 3)
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    # The estimate of Immerkaer (1996), of the ground alone: edges of letters are no noise.
    curves = np.abs(cv2.filter2D(grey.astype(np.float32), -1, _LAPLACIANS))[ground]
    noise = float(curves.mean() * np.sqrt(np.pi / 2) / 6)
    if noise < _NOISE:
        return pixels
    light, *colours = cv2.split(cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB))
    light = cv2.fastNlMeansDenoising(light, None, 1.3 * noise, 5, 13)
    colours = [cv2.medianBlur(colour, 5) for colour in colours]
    return np.asarray(cv2.cvtColor(cv2.merge([light, *colours]), cv2.COLOR_LAB2RGB), np.uint8)


def _clear(pixels: NDArray[np.uint8], ink: Mask) -> NDArray[np.uint8]:
    """Raise the contrast of a page that is faint."""
    light, *colours = cv2.split(cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB))
    if abs(float(np.median(light[~ink])) - float(np.median(light[ink]))) >= _CONTRAST:
        return pixels
    light = cv2.createCLAHE(clipLimit=3.0, tileGridSize=(8, 8)).apply(light)
    return np.asarray(cv2.cvtColor(cv2.merge([light, *colours]), cv2.COLOR_LAB2RGB), np.uint8)


def _ground(pixels: NDArray[np.uint8], ink: Mask) -> tuple[int, int, int]:
    red, green, blue = np.median(pixels[~ink], axis=0).astype(int)
    return int(red), int(green), int(blue)


def _straight(image: Image.Image, page: Page, ground: tuple[int, int, int]) -> Image.Image:
    if page.skew:
        image = image.rotate(page.skew, Image.Resampling.BICUBIC, expand=True, fillcolor=ground)
    return image.rotate(-page.turn, expand=True) if page.turn else image
