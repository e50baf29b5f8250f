"""``search``: find pictures by text, by a picture, or by both together."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcp_vlsearch.cli.frame import UsageError, counted, note, opened, print_json, print_table
from mcp_vlsearch.cli.options import (
    ENCODING,
    FILTERS,
    REWRITING,
    WithJson,
    given_folder,
    given_path,
    only,
    takes,
)
from mcp_vlsearch.cli.progress import working
from mcp_vlsearch.cli.written import Written, write_heat_maps, write_sheet
from mcp_vlsearch.wording import on_a_line

if TYPE_CHECKING:
    from mcp_vlsearch.types import Filters, SearchResult

__all__ = ["LeastRelevance", "filters_of", "search"]


class LeastRelevance(StrEnum):
    """Which hits are worth showing."""

    ANY = "any"
    LIKELY = "likely"
    STRONG = "strong"


@takes(filters=FILTERS, flags=only(*ENCODING, *REWRITING))
def search(
    text: Annotated[
        str | None, typer.Argument(metavar="[TEXT]", help="What the picture shows.")
    ] = None,
    *,
    image: Annotated[
        str | None,
        typer.Option(
            help="A picture to start from: a path under a root or an image id; with TEXT, "
            "changed as the text says.",
            metavar="PATH",
        ),
    ] = None,
    top_k: Annotated[
        int, typer.Option("-k", "--top-k", help="How many hits at most.", min=1, max=100)
    ] = 10,
    alternative: Annotated[
        list[str] | None,
        typer.Option(help="The same wish in other words; may be repeated.", metavar="TEXT"),
    ] = None,
    exclude: Annotated[
        str, typer.Option(help="What the picture must not show.", metavar="TEXT")
    ] = "",
    min_relevance: Annotated[
        LeastRelevance, typer.Option(help="Leave out weaker hits.")
    ] = LeastRelevance.ANY,
    group: Annotated[
        bool, typer.Option("--group", help="Only the best page or moment of each file.")
    ] = False,
    explain: Annotated[
        Path | None,
        typer.Option(
            help="Write a picture for each hit into this folder: which part of it matches TEXT.",
            metavar="DIR",
            parser=given_folder,
        ),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            help="Write the first 50 hits as a contact sheet, numbered by rank (JPEG).",
            metavar="FILE",
            parser=given_path,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Let --sheet and --explain replace files.")
    ] = False,
    json: WithJson = False,
    filters: dict[str, Any],
    flags: dict[str, Any],
) -> int:
    """Search by TEXT, by a picture, or by both together."""
    if image is None and text is None:
        raise UsageError("give TEXT, --image PATH, or both")
    if image is not None and (alternative or exclude or flags["rewrite"]):
        raise UsageError(
            "--alternative, --exclude and --rewrite go with TEXT alone: leave them or --image out"
        )
    if explain is not None and (image is not None or text is None):
        raise UsageError("--explain goes with TEXT alone: leave it or --image out")
    if sheet is not None and sheet.suffix.lower() not in (".jpg", ".jpeg"):
        raise UsageError(f"--sheet: give a file that ends in .jpg (got {sheet.name!r})")
    common: dict[str, Any] = {
        "top_k": top_k,
        "filters": filters_of(filters),
        "min_relevance": min_relevance.value,
        "group_by_file": group,
    }
    with opened(flags) as library, working() as report:
        written = Written(library, force)
        if sheet is not None:
            written.check(sheet, "--sheet")  # before the model is waited for
        if image is not None:
            result = library.search_by_image(image, text=text or "", report=report, **common)
        else:
            result = library.search_by_text(
                text or "",
                alternatives=alternative or (),
                exclude=exclude,
                report=report,
                **common,
            )
        if explain is not None:
            write_heat_maps(written, text or "", result, explain, report)
        if sheet is not None:
            write_sheet(written, result, sheet)
    if json:
        print_json(result)
    else:
        _show(result)
    return 0


def filters_of(given: dict[str, Any]) -> "Filters":
    """Return the filters that options say. Raises :class:`UsageError` for what they can't be."""
    from pydantic import ValidationError

    from mcp_vlsearch.settings import absolute
    from mcp_vlsearch.types import Filters
    from mcp_vlsearch.wording import in_words

    values = {name: value for name, value in given.items() if value is not None}
    if "folder" in values:
        values["folder"] = str(absolute(values["folder"]))
    if "near" in values:
        values["near"] = _near(values["near"])
    try:
        return Filters.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        flag, *field = (str(part).replace("_", "-") for part in first["loc"])
        where = ": ".join([f"--{flag}", *field])
        raise UsageError(f"{where}: {in_words(first)} (got {first['input']!r})") from error


def _near(text: str) -> dict[str, str]:
    parts = text.split(",")
    if len(parts) != 3:
        raise UsageError(f"--near: give LAT,LON,KM, such as 48.86,2.35,5 (got {text!r})")
    return dict(zip(("latitude", "longitude", "km"), parts, strict=True))


def _show(result: "SearchResult") -> None:
    for query in result.queries[1:]:
        note(f"also searched: {query}")
    if not result.total_images:
        note("the library is empty: run `mcp-vlsearch index FOLDER` first")
        return
    if not result.searched_images:
        note(f"none of {counted(result.total_images, 'image')} passes the filters")
        return
    if not result.hits:
        note(f"no hit among {counted(result.searched_images, 'image')}")
        return
    print_table(
        ("rank", "score", "relevance", "path"),
        [(h.rank, f"{h.score:.3f}", h.relevance, _where(h.path, h.part)) for h in result.hits],
    )
    among = counted(result.total_images, "image")
    if result.searched_images < result.total_images:
        among = f"{result.searched_images} of {among}"
    note(f"{counted(len(result.hits), 'hit')} among {among}, in {result.seconds:.2f} s")


def _where(path: str, part: str | None) -> str:
    shown = on_a_line(path)
    return f"{shown} ({part})" if part else shown
