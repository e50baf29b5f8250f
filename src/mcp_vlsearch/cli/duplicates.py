"""``duplicates``: find copies of pictures; nothing is deleted."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcp_vlsearch.cli.frame import counted, note, opened, print_json
from mcp_vlsearch.cli.options import ENCODING, FILTERS, WithJson, only, takes
from mcp_vlsearch.cli.progress import working
from mcp_vlsearch.cli.search import filters_of
from mcp_vlsearch.wording import on_a_line

if TYPE_CHECKING:
    from mcp_vlsearch.types.copies import DuplicateGroup, DuplicateReport

__all__ = ["duplicates"]


@takes(filters=FILTERS, flags=only(*ENCODING))
def duplicates(
    *,
    threshold: Annotated[
        float,
        typer.Option(
            help="Least cosine at which two pictures are compared.",
            min=0.5,
            max=1,
            metavar="COSINE",
        ),
    ] = 0.95,
    top_k: Annotated[
        int, typer.Option("-k", "--top-k", help="How many groups at most.", min=1, max=100)
    ] = 50,
    json: WithJson = False,
    filters: dict[str, Any],
    flags: dict[str, Any],
) -> int:
    """Find copies of pictures, and say which to keep; nothing is deleted."""
    given = filters_of(filters)
    with opened(flags) as library, working() as report:
        result = library.duplicates(threshold=threshold, filters=given, top_k=top_k, report=report)
    if json:
        print_json(result)
    else:
        _show(result)
    return 0


def _show(result: "DuplicateReport") -> None:
    for group in result.groups:
        _show_group(group)
    if result.total_groups > len(result.groups):
        note(f"{len(result.groups)} of {result.total_groups} groups shown: give a larger --top-k")
    if result.unread:
        note(f"{counted(result.unread, 'picture')} could not be read any more and were left out")
    note(
        f"{_copies(result.copies)} among {counted(result.searched_images, 'image')}, "
        f"{_size(result.bytes_freed)} in all, in {result.seconds:.2f} s"
    )
    note(result.note)


def _show_group(group: "DuplicateGroup") -> None:
    for file in group.files:
        similarity = f" {file.similarity:.3f}" if file.kind == "near" else ""
        what = f"{file.kind}{similarity}"
        size = f"{file.width} × {file.height}, {_size(file.bytes)}"
        typer.echo(f"{what:<11} {size:<24} {on_a_line(file.path)}")
    missing = group.copies + 1 - len(group.files)
    if missing:
        typer.echo(f"{'':<11} and {_copies(missing)} more")
    typer.echo()


def _copies(count: int) -> str:
    return "1 copy" if count == 1 else f"{count} copies"


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count / 2**10:.1f} KiB"
