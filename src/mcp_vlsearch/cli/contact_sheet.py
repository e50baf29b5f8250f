"""The demo's contact sheet: a row per query, with its hits, their captions and their scores."""

import io
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageOps
from PIL.PngImagePlugin import PngInfo

from mcp_vlsearch.cli.interview import Answer
from mcp_vlsearch.core.sheet import (
    FAINT,
    INK,
    LINE,
    RIGHT,
    WRONG,
    Box,
    Cell,
    draw_cell,
    font,
    new_page,
)
from mcp_vlsearch.files import write_whole
from mcp_vlsearch.types import Hit

__all__ = ["draw_sheet", "is_sheet"]

_MADE_BY: Final = ("Software", "mcp-vlsearch demo")
"""A text in the file, by which a sheet is known that a later demo may replace."""

_MARGIN: Final = 28
_QUERY: Final = 300
"""Width of the column of queries."""
_CELL: Final = 216
_PICTURE: Final = 188
_LINES: Final = 3
_ROW: Final = 322
_HEAD: Final = 84


def draw_sheet(answers: Sequence[Answer], captions: Mapping[str, str], path: Path) -> None:
    """Write the sheet as PNG; ``captions`` has the English caption of each picture by file name.

    Chinese queries are shown in English: not every machine has a font for them.
    """
    hits = max(len(answer.hits) for answer in answers)
    width = 2 * _MARGIN + _QUERY + hits * _CELL
    sheet, draw = new_page(width, _HEAD + len(answers) * _ROW + _MARGIN)
    right = sum(answer.right for answer in answers)
    draw.text((_MARGIN, 22), "mcp-vlsearch demo", INK, font(30))
    summary = f"{right} of {len(answers)} queries found their picture first"
    colour = RIGHT if right == len(answers) else WRONG
    draw.text((width - _MARGIN, 34), summary, colour, font(18), anchor="ra")
    for number, answer in enumerate(answers):
        top = _HEAD + number * _ROW
        draw.line((_MARGIN, top, width - _MARGIN, top), LINE)
        _draw_query(sheet, draw, answer, captions, top + 16)
        for column, hit in enumerate(answer.hits):
            place = Box(_MARGIN + _QUERY + column * _CELL, top + 18, _PICTURE, _PICTURE)
            draw_cell(sheet, draw, _cell(hit, captions, answer), place, _LINES)
    made_by = PngInfo()
    made_by.add_text(*_MADE_BY)
    file = io.BytesIO()
    sheet.save(file, "PNG", pnginfo=made_by)
    write_whole(path, file.getvalue())


def is_sheet(path: Path) -> bool:
    """Say whether a file is a sheet that :func:`draw_sheet` has written."""
    name, value = _MADE_BY
    try:
        with Image.open(path, formats=("PNG",)) as image:
            return bool(image.info.get(name) == value)
    except (OSError, Image.DecompressionBombError):
        return False


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
    draw.text((_MARGIN, top), label, FAINT, font(14))
    if question.kind == "picture":
        sheet.paste(_small(question.right, 150), (_MARGIN, top + 26))
    else:
        text = textwrap.fill(captions[question.right.name], 32, max_lines=8, placeholder=" …")
        draw.multiline_text((_MARGIN, top + 26), text, INK, font(17), spacing=7)
    verdict, colour = (
        ("right picture first", RIGHT) if answer.right else ("another picture first", WRONG)
    )
    draw.text((_MARGIN, top + _ROW - 44), verdict, colour, font(16))


def _cell(hit: Hit, captions: Mapping[str, str], answer: Answer) -> Cell:
    return Cell(
        number=hit.rank,
        caption=captions.get(hit.name, hit.name),
        picture=_small(Path(hit.path), _PICTURE),
        remark=f"{hit.score:.3f} · {hit.relevance}",
        is_marked=hit.name == answer.question.right.name,
    )


def _small(path: Path, size: int) -> Image.Image:
    with Image.open(path) as image:
        return ImageOps.contain(image.convert("RGB"), (size, size), Image.Resampling.LANCZOS)
