"""The demo's contact sheet: a row per query, with its hits, their captions and their scores."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont, ImageOps

from mcp_vlsearch.cli.interview import Answer
from mcp_vlsearch.types import Hit

__all__ = ["draw_sheet"]

_MARGIN: Final = 28
_QUERY: Final = 300
"""Width of the column of queries."""
_CELL: Final = 212
_PICTURE: Final = 188
_ROW: Final = 292
_HEAD: Final = 84

_PAPER: Final = (250, 248, 243)
_CARD: Final = (255, 255, 255)
_LINE: Final = (224, 219, 208)
_INK: Final = (38, 36, 33)
_FAINT: Final = (128, 122, 112)
_RIGHT: Final = (44, 140, 84)
_WRONG: Final = (190, 62, 48)


def draw_sheet(answers: Sequence[Answer], captions: Mapping[str, str], path: Path) -> None:
    """Write the sheet as PNG; ``captions`` has the English caption of each picture by file name.

    The one font that Pillow brings has no Chinese, so Chinese queries are shown in English.
    """
    hits = max(len(answer.hits) for answer in answers)
    width = 2 * _MARGIN + _QUERY + hits * _CELL
    sheet = Image.new("RGB", (width, _HEAD + len(answers) * _ROW + _MARGIN), _PAPER)
    draw = ImageDraw.Draw(sheet)
    right = sum(answer.right for answer in answers)
    draw.text((_MARGIN, 22), "mcp-vlsearch demo", _INK, _font(30))
    summary = f"{right} of {len(answers)} queries found their picture first"
    draw.text(
        (width - _MARGIN, 34),
        summary,
        _RIGHT if right == len(answers) else _WRONG,
        _font(18),
        anchor="ra",
    )
    for number, answer in enumerate(answers):
        top = _HEAD + number * _ROW
        draw.line((_MARGIN, top, width - _MARGIN, top), _LINE)
        _draw_query(sheet, draw, answer, captions, top + 16)
        for column, hit in enumerate(answer.hits):
            left = _MARGIN + _QUERY + column * _CELL
            _draw_hit(sheet, draw, hit, captions, answer, (left, top + 16))
    sheet.save(path)


def _draw_query(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    answer: Answer,
    captions: Mapping[str, str],
    top: int,
) -> None:
    question = answer.question
    label = {
        "English": "Asked in English",
        "Chinese": "Asked in Chinese (shown in English)",
        "picture": "Asked with a small copy of",
    }[question.kind]
    draw.text((_MARGIN, top), label, _FAINT, _font(14))
    if question.kind == "picture":
        _paste(sheet, question.right, (_MARGIN, top + 26), 150)
    else:
        text = textwrap.fill(captions[question.right.name], 32, max_lines=8, placeholder=" …")
        draw.multiline_text((_MARGIN, top + 26), text, _INK, _font(17), spacing=7)
    verdict, colour = (
        ("right picture first", _RIGHT) if answer.right else ("another picture first", _WRONG)
    )
    draw.text((_MARGIN, top + _ROW - 44), verdict, colour, _font(16))


def _draw_hit(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    hit: Hit,
    captions: Mapping[str, str],
    answer: Answer,
    corner: tuple[int, int],
) -> None:
    left, top = corner
    wanted = hit.name == answer.question.right.name
    frame = (left - 5, top - 5, left + _PICTURE + 4, top + _PICTURE + 4)
    outline = _RIGHT if wanted else _LINE
    draw.rounded_rectangle(frame, 8, fill=_CARD, outline=outline, width=4 if wanted else 1)
    _paste(sheet, Path(hit.path), corner, _PICTURE)
    below = top + _PICTURE + 10
    draw.text((left, below), f"{hit.rank}.  {hit.score:.3f}", _INK, _font(15))
    draw.text(
        (left + _PICTURE, below), hit.relevance, _RIGHT if wanted else _FAINT, _font(13), "ra"
    )
    caption = textwrap.fill(captions.get(hit.name, hit.name), 31, max_lines=3, placeholder=" …")
    draw.multiline_text((left, below + 21), caption, _FAINT, _font(12), spacing=3)


def _paste(sheet: Image.Image, path: Path, corner: tuple[int, int], size: int) -> None:
    with Image.open(path) as image:
        small = ImageOps.contain(image.convert("RGB"), (size, size), Image.Resampling.LANCZOS)
    left, top = corner
    sheet.paste(small, (left + (size - small.width) // 2, top + (size - small.height) // 2))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
