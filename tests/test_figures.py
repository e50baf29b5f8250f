"""Tables of figures in the documentation show what was measured and kept."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.figures import CALCULATED, MEASURED, PRINTED, Column, Measured, Place

REPOSITORY = Path(__file__).parents[1]
PAGES = [
    *REPOSITORY.glob("*.md"),
    *(REPOSITORY / "docs").glob("*.md"),
    REPOSITORY / "training" / "README.md",
]
# A table shows figures where most of its cells but the first of a row are numbers.
_FIGURE = re.compile(r"[-+]?[\d,.]+ ?(%|[kMGT]?B|h|min|days|years)?(, [\d.]+|)")

Cells = list[list[str]]


@cache
def tables(page: str) -> list[tuple[str, Cells]]:
    """Return each table of a page with the heading that it stands under."""
    found: list[tuple[str, Cells]] = []
    heading, before = "", ""
    for line in (REPOSITORY / page).read_text("utf-8").splitlines():
        if line.startswith("#"):
            heading = line.lstrip("#").strip()
        if line.startswith("|"):
            if not before.startswith("|"):
                found.append((heading, []))
            found[-1][1].append([cell.strip().strip("*") for cell in line.split("|")[1:-1]])
        before = line
    return found


@cache
def kept(result: str) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a result's tables by title; those of one without titles by none."""
    data = json.loads((REPOSITORY / f"{result}.json").read_text("utf-8"))
    if "tables" in data:
        return {table["title"]: table["rows"] for table in data["tables"]}
    return {"": [{"": name, **figures} for name, figures in data.items()]}


def row_at(place: Place, only: dict[str, str]) -> dict[str, Any]:
    """Return the row at a place; one without cells where the result has no such row."""
    name = place.get(place["row"], place["row"])
    rows = kept(place["result"])[place.get("table", "")]
    (found, *more) = [
        row
        for row in rows
        if str(next(iter(row.values()))) == name
        and all(row[column] == value for column, value in only.items())
    ] or [{}]
    assert not more, (place, "several rows")
    return found


def rounded(value: float | str | None, shown: str) -> str | None:
    """Return a kept value with the decimals, sign and commas of a figure that is shown."""
    if value is None or isinstance(value, str):
        return value
    decimals = len(shown.rstrip("%").partition(".")[2])
    sign, comma = "+" if shown[0] in "+-" else "", "," if "," in shown else ""
    return f"{value:{sign}{comma}.{decimals}{'%' if shown.endswith('%') else 'f'}}"


def agrees(cell: str, column: Column, row: dict[str, Any]) -> bool:
    """Tell whether a cell shows what a row has."""
    if cell in ("", "-"):
        return True
    shows = column.shows
    names = re.findall(r"\{(.+?)\}", shows)
    if column.otherwise and any(row.get(name) is None for name in names):
        shows = column.otherwise
        names = re.findall(r"\{(.+?)\}", shows)
    pattern = re.sub(r"\\\{.+?\\\}", "(.+?)", re.escape(shows))
    shown = re.fullmatch(pattern, cell)
    return shown is not None and all(
        figure == rounded(row.get(name), figure)
        for name, figure in zip(names, shown.groups(), strict=True)
    )


@pytest.mark.parametrize("table", MEASURED, ids=lambda table: f"{table.page}: {table.heading}")
def test_a_table_of_figures_shows_what_was_measured(table: Measured) -> None:
    ((_, _, *rows),) = [
        cells
        for heading, cells in tables(table.page)
        if (heading, cells[0][0]) == (table.heading, table.head)
    ]
    named = {first.replace("`", "").replace("*", ""): cells for first, *cells in rows}
    assert set(named) == set(table.rows)
    for name, cells in named.items():
        assert any(cells), name
        for cell, column in zip(cells, table.columns, strict=True):
            place = {**table.place, **table.rows[name], **column.place}
            measured = row_at(place, dict(table.only))
            assert agrees(cell, column, measured), (name, column.shows, cell, measured)


@pytest.mark.parametrize("page", PRINTED)
def test_a_table_of_figures_is_as_a_benchmark_printed_it(page: str) -> None:
    start, least = PRINTED[page]
    results = (REPOSITORY / "benchmarks" / "results").glob("*.md")
    printed = {line for file in results for line in file.read_text("utf-8").splitlines()}
    text = (REPOSITORY / page).read_text("utf-8")
    rows = [line for line in text[text.index(start) :].splitlines() if line.startswith("|")]
    assert len(rows) > least
    assert set(rows) <= printed


def test_every_table_of_figures_is_held_to_its_results() -> None:
    held = {(table.page, table.heading, table.head) for table in MEASURED}
    for file in PAGES:
        page = str(file.relative_to(REPOSITORY))
        for heading, (head, _, *rows) in tables(page):
            cells = [cell for _, *rest in rows for cell in rest if cell]
            figures = [cell for cell in cells if _FIGURE.fullmatch(cell)]
            if len(figures) * 2 <= len(cells) or page in PRINTED:
                continue
            assert (page, heading, head[0]) in held or (page, heading) in CALCULATED


def test_a_figure_that_differs_in_its_last_decimal_is_not_what_was_measured() -> None:
    shares = Column("{first} of {all}", otherwise="{why}")
    row = {"first": 0.0314, "all": 5000, "why": "no build"}
    assert agrees("3.1% of 5,000", shares, row)
    assert not agrees("3.2% of 5,000", shares, row)
    assert not agrees("3.1%", shares, row)
    assert agrees("no build", shares, {**row, "first": None})
    assert not agrees("3.1% of 5,000", shares, {**row, "first": None})
