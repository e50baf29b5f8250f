"""``remove``: forget pictures."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mcp_vlsearch.cli.frame import counted, note, opened, print_json
from mcp_vlsearch.cli.options import WithJson, given_path, only, takes
from mcp_vlsearch.cli.progress import working
from mcp_vlsearch.wording import on_a_line

__all__ = ["remove"]


@takes(flags=only("library"))
def remove(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Files or folders to forget.", parser=given_path),
    ],
    *,
    json: WithJson = False,
    flags: dict[str, Any],
) -> int:
    """Forget files, or all files below folders; no file is deleted."""
    with opened(flags) as library, working() as report:
        result = library.remove(paths, report)
    for path in result.unknown:
        note(f"nothing was known at or below {on_a_line(path)}")
    if json:
        print_json(result)
    else:
        typer.echo(
            f"{counted(result.removed, 'file')} forgotten, "
            f"{counted(result.total_images, 'image')} left; "
            "no file was deleted"
        )
    return 1 if len(result.unknown) == len(paths) else 0
