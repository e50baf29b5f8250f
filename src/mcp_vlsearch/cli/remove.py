"""``remove``: forget pictures."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mcp_vlsearch.cli.frame import opened, print_json
from mcp_vlsearch.cli.options import WithJson, only, takes
from mcp_vlsearch.cli.progress import working

__all__ = ["remove"]


@takes(flags=only("library"))
def remove(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Files or folders to forget.")
    ],
    *,
    json: WithJson = False,
    flags: dict[str, Any],
) -> int:
    """Forget files, or all files below folders; no file is deleted."""
    with opened(flags) as library, working() as report:
        result = library.remove(paths, report)
    if json:
        print_json(result)
    else:
        typer.echo(
            f"{result.removed} files forgotten, {result.total_images} images left; "
            "no file was deleted"
        )
    return 0
