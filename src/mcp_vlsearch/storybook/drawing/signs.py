"""Boards with a word on them, to be read even when the whole picture is small."""

from functools import lru_cache
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from mcp_vlsearch.storybook.drawing.pen import INK, RGB, Pen, shade, tint

__all__ = ["sign"]

_POST: Final[RGB] = (122, 98, 78)
_BOARD: Final = 0.74
"""The board's share of the sign's height; its posts have the rest."""
_TALLEST: Final = 1.9
"""How much higher than wide letters may be stretched, to fill the board with long words."""
_WIDEST: Final = 1.25


def sign(
    image: Image.Image,
    box: tuple[float, float, float, float],
    colour: RGB,
    word: str,
    outline: float,
    ink: RGB = INK,
) -> None:
    """Draw a sign into the box: two posts and a bordered board filled by the word."""
    left, top, width, height = box
    board = (left, top, width, height * _BOARD)
    posts = Pen(image, box, outline, ink)
    posts.rectangle(0.2, 0.6, 0.25, 1, _POST)
    posts.rectangle(0.75, 0.6, 0.8, 1, _POST)
    light = sum(colour) > 450
    letters = INK if light else (255, 255, 255)
    pen = Pen(image, board, outline, ink)
    pen.rectangle(0, 0, 1, 1, shade(colour, 0.35) if light else tint(colour, 0.75), 0.1)
    Pen(image, board).rectangle(0.022, 0.052, 0.978, 0.948, colour, 0.08)
    _write(image, board, word, letters)


def _write(
    image: Image.Image, board: tuple[float, float, float, float], word: str, colour: RGB
) -> None:
    left, top, width, height = board
    letters = _letters(word)
    across = 0.9 * width / letters.width
    down = 0.74 * height / letters.height
    across, down = min(across, down * _WIDEST), min(down, across * _TALLEST)
    size = max(1, round(letters.width * across)), max(1, round(letters.height * down))
    at = round(left + (width - size[0]) / 2), round(top + (height - size[1]) / 2)
    image.paste(colour, (*at, at[0] + size[0], at[1] + size[1]), letters.resize(size))


@lru_cache(maxsize=256)
def _letters(word: str) -> Image.Image:
    """The bold word as a mask, cropped to its letters."""
    font = ImageFont.load_default(96)
    mask = Image.new("L", (round(font.getlength(word)) + 12 * len(word) + 16, 140))
    pen = ImageDraw.Draw(mask)
    x = 8.0
    for letter in word:  # one by one, as the wide strokes would make neighbours touch
        pen.text((x, 10), letter, 255, font, stroke_width=4)
        x += font.getlength(letter) + 9
    return mask.crop(mask.getbbox())
