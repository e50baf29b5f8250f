"""Contact sheets: pictures in numbered cells, with captions that people and models can read."""

import io
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import ceil
from statistics import median
from typing import Final, NamedTuple

from PIL import Image, ImageDraw, ImageFont

from mcp_vlsearch.wording import shown as brief

__all__ = [
    "FAINT",
    "INK",
    "LINE",
    "MAX_BYTES",
    "MAX_EDGE",
    "PAPER",
    "RIGHT",
    "WRONG",
    "Box",
    "Cell",
    "Font",
    "caption_height",
    "draw_cell",
    "draw_grid",
    "fitting_jpeg",
    "font",
    "new_page",
    "shortened",
]

MAX_EDGE: Final = 1568
"""Pixels: larger pictures are made smaller before models look at them."""
MAX_BYTES: Final = 700_000
"""Bytes of JPEG in a result: in base64 they stay below the megabyte at which clients cut."""

PAPER: Final = (250, 248, 243)
LINE: Final = (224, 219, 208)
INK: Final = (38, 36, 33)
FAINT: Final = (118, 112, 102)
RIGHT: Final = (44, 140, 84)
WRONG: Final = (190, 62, 48)
_CARD: Final = (255, 255, 255)
_EMPTY: Final = (240, 237, 230)

_LONGEST: Final = 300
"""Characters of a line of text that are looked at: no more ever fit."""
_MARGIN: Final = 14
_GAP: Final = 14
_PAD: Final = 7
_MIN_CELL: Final = 150
"""Width that a cell has at least: a caption needs it, however small its picture is."""
_ASPECTS: Final = (0.75, 1.5)
"""Width by height of a picture's place."""

_OTHER_FONTS: Final = (
    "NotoSansCJK-Regular.ttc",
    "msyh.ttc",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "wqy-microhei.ttc",
    "Arial Unicode.ttf",
    "DejaVuSans.ttf",
)
"""Asked by name where Pillow's own font lacks a letter, such as all Chinese ones."""

_QUALITIES: Final = (88, 80, 70, 60)
_SMALLER: Final = 0.8

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


class Box(NamedTuple):
    """A place on a page, in pixels."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Cell:
    """A picture with its number and caption; without a picture, ``error`` says why.

    ``remark`` is a fainter line below the caption. A marked cell has a frame.
    """

    number: int
    caption: str
    picture: Image.Image | None = None
    error: str = ""
    remark: str = ""
    is_marked: bool = False


def draw_grid(cells: Sequence[Cell]) -> Image.Image:
    """Return a sheet of at most :data:`MAX_EDGE` pixels an edge, with cells row by row.

    Cells are as large as so many can be, but no larger than their pictures.
    """
    columns, place = _arranged(cells)
    below = caption_height(place.width, has_remark=any(cell.remark for cell in cells))
    width, height = place.width + 2 * _PAD, place.height + 2 * _PAD + below
    rows = ceil(len(cells) / columns)
    page, draw = new_page(
        2 * _MARGIN + columns * (width + _GAP) - _GAP, 2 * _MARGIN + rows * (height + _GAP) - _GAP
    )
    for cell, (row, column) in zip(cells, product(range(rows), range(columns)), strict=False):
        left, top = _MARGIN + column * (width + _GAP), _MARGIN + row * (height + _GAP)
        draw_cell(page, draw, cell, Box(left + _PAD, top + _PAD, place.width, place.height))
    return page


def draw_cell(
    page: Image.Image, draw: ImageDraw.ImageDraw, cell: Cell, place: Box, lines: int = 1
) -> None:
    """Draw a card around a picture's place, and below it a caption of up to so many lines."""
    below = caption_height(place.width, lines, has_remark=bool(cell.remark))
    frame = (
        place.left - _PAD,
        place.top - _PAD,
        place.left + place.width + _PAD - 1,
        place.top + place.height + below + _PAD - 1,
    )
    outline, thick = (RIGHT, 4) if cell.is_marked else (LINE, 1)
    draw.rounded_rectangle(frame, 9, fill=_CARD, outline=outline, width=thick)
    if cell.picture is None:
        _draw_error(draw, cell, place)
    else:
        small = _contained(cell.picture, place)
        left = place.left + (place.width - small.width) // 2
        page.paste(small, (left, place.top + (place.height - small.height) // 2))
    _draw_caption(draw, cell, place, lines)


def caption_height(width: int, lines: int = 1, *, has_remark: bool = False) -> int:
    """Return the height of what stands below a picture's place of a width, in pixels."""
    size = _letters(width)
    return round(size * 1.9) + (lines - 1 + has_remark) * _line_height(size)


def new_page(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """Return an empty page, and the pen for it."""
    page = Image.new("RGB", (width, height), PAPER)
    return page, ImageDraw.Draw(page)


def font(size: int, text: str = "") -> Font:
    """Return a font that has all letters of a text, if there is one on this machine."""
    plain = ImageFont.load_default(size)
    if all(_has(None, letter) for letter in set(text)):
        return plain
    for name in _OTHER_FONTS:
        if all(_has(name, letter) for letter in set(text)):
            return ImageFont.truetype(name, size)
    return plain


def shortened(text: str, size: int, width: float) -> str:
    """Return a text that fits into a width, without its middle: names differ at their ends."""
    text = brief(text, _LONGEST)
    letters = font(size, text)
    if letters.getlength(text) <= width:
        return text

    def without(left_out: int) -> str:
        kept = len(text) - left_out
        return f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"

    lengths = range(2, len(text))
    least = bisect_left(lengths, True, key=lambda n: letters.getlength(without(n)) <= width)
    return without(min(least + 2, len(text)))


def fitting_jpeg(image: Image.Image, max_bytes: int, max_edge: int = MAX_EDGE) -> bytes:
    """Return a picture as JPEG of at most so many bytes and pixels an edge, as good as fits."""
    edge = min(max_edge, max(image.size))
    while True:
        if edge < max(image.size):
            image = _shrunk(image, edge / max(image.size))
        for quality in _QUALITIES:
            file = io.BytesIO()
            image.save(file, "JPEG", quality=quality, optimize=True)
            if file.tell() <= max_bytes or edge < 32:
                return file.getvalue()
        edge = int(edge * _SMALLER)


def _arranged(cells: Sequence[Cell]) -> tuple[int, Box]:
    """Return the number of columns at which pictures are largest, and the size of their place."""
    sizes = [cell.picture.size for cell in cells if cell.picture] or [(4, 3)]
    least, most = _ASPECTS
    aspect = min(max(median(width / height for width, height in sizes), least), most)
    has_remark = any(cell.remark for cell in cells)
    largest = max(_MIN_CELL, max(width for width, _ in sizes), *(int(h * aspect) for _, h in sizes))

    def width_at(columns: int) -> int:
        rows = ceil(len(cells) / columns)
        across = (MAX_EDGE - 2 * _MARGIN + _GAP) // columns - _GAP - 2 * _PAD
        down = (MAX_EDGE - 2 * _MARGIN + _GAP) // rows - _GAP - 2 * _PAD
        return min(across, int((down - caption_height(across, has_remark=has_remark)) * aspect))

    columns = max(range(1, len(cells) + 1), key=width_at)
    width = min(width_at(columns), largest)
    return columns, Box(0, 0, width, int(width / aspect))


def _contained(picture: Image.Image, place: Box) -> Image.Image:
    """Return a picture made small enough for its place."""
    if picture.width <= place.width and picture.height <= place.height:
        return picture
    return _shrunk(picture, min(place.width / picture.width, place.height / picture.height))


def _shrunk(picture: Image.Image, scale: float) -> Image.Image:
    """Return a smaller picture, at least a pixel wide and high however thin it is."""
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _draw_error(draw: ImageDraw.ImageDraw, cell: Cell, place: Box) -> None:
    right, bottom = place.left + place.width - 1, place.top + place.height - 1
    draw.rectangle((place.left, place.top, right, bottom), _EMPTY)
    size = _letters(place.width)
    lines = _wrapped(cell.error, size, place.width - 24, place.height // _line_height(size) - 1)
    middle = (place.left + place.width // 2, place.top + place.height // 2)
    text = "\n".join(lines)
    draw.multiline_text(middle, text, WRONG, font(size, text), "mm", align="center")


def _draw_caption(draw: ImageDraw.ImageDraw, cell: Cell, place: Box, lines: int) -> None:
    size = _letters(place.width)
    top = place.top + place.height + round(size * 0.45)
    number, height = str(cell.number), round(size * 1.45)
    chip = max(height, round(font(size).getlength(number)) + round(size * 0.8))
    draw.rounded_rectangle((place.left, top, place.left + chip, top + height), height // 3, INK)
    draw.text((place.left + chip / 2, top + height / 2), number, _CARD, font(size), "mm")
    left = place.left + chip + round(size * 0.5)
    room, middle = place.left + place.width - left, top + height // 2
    if lines == 1:
        shown = [shortened(cell.caption, size, room)]
    else:
        shown = _wrapped(cell.caption, size, room, lines)
    for line in shown:
        draw.text((left, middle), line, INK, font(size, line), "lm")
        middle += _line_height(size)
    if cell.remark:
        remark = shortened(cell.remark, size - 1, room)
        draw.text((left, middle), remark, FAINT, font(size - 1, remark), "lm")


def _wrapped(text: str, size: int, width: int, most: int) -> list[str]:
    """Return lines of a text that fit into a width; the last of so many ends in an ellipsis."""
    text = brief(text, most * _LONGEST)
    letters = font(size, text)
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if letters.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    shown = lines[: max(most, 1)]
    if len(lines) > len(shown):
        words = shown[-1].split()
        while len(words) > 1 and letters.getlength(" ".join([*words, "…"])) > width:
            words.pop()
        shown[-1] = " ".join([*words, "…"])
    return [shortened(line, size, width) for line in shown]


def _letters(width: int) -> int:
    """Return the size of letters below a picture's place of a width."""
    return min(max(width // 15, 15), 24)


def _line_height(size: int) -> int:
    return round(size * 1.3)


@lru_cache(maxsize=4096)
def _has(name: str | None, letter: str) -> bool:
    """Say whether a font, by default Pillow's own, has a letter."""
    letters = _for_looking(name)
    if letters is None:
        return False
    missing = letters.getmask("\U0010ffff")
    mask = letters.getmask(letter)
    return letter.isspace() or (mask.size, bytes(mask)) != (missing.size, bytes(missing))


@lru_cache(maxsize=len(_OTHER_FONTS) + 1)
def _for_looking(name: str | None) -> Font | None:
    if name is None:
        return ImageFont.load_default(16)
    try:
        return ImageFont.truetype(name, 16)
    except OSError:
        return None
