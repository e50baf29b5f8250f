"""``index``: bring the library up to what is on disk."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcp_vlsearch.cli.frame import note, opened, print_json
from mcp_vlsearch.cli.options import ENCODING, WithJson, only, takes
from mcp_vlsearch.cli.progress import RESUMABLE, working

if TYPE_CHECKING:
    from mcp_vlsearch.types import IndexReport

__all__ = ["index"]


@takes(flags=only(*ENCODING))
def index(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH]...", help="Files and folders, which become roots; none: every root."
        ),
    ] = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Encode again what is known.")] = False,
    recursive: Annotated[bool, typer.Option(help="Go into subfolders.")] = True,
    json: WithJson = False,
    flags: dict[str, Any],
) -> int:
    """Index pictures; what is known already is neither read nor encoded again."""
    with opened(flags) as library, working(RESUMABLE) as report:
        if paths:
            library.allow(paths)
        result = library.index(paths or (), recursive=recursive, force=force, report=report)
        encoder = library.status().encoder
    if json:
        print_json(result)
    else:
        _show(result)
        typer.echo(f"encoder: {encoder.model} in {encoder.precision} on {encoder.device}")
    usable = result.added + result.updated + result.moved + result.unchanged
    return 1 if result.failed and not usable else 0


def _show(result: "IndexReport") -> None:
    for failure in result.failures:
        note(f"failed: {failure.path}: {failure.error}")
    if (unlisted := result.failed - len(result.failures)) > 0:
        note(f"failed: {unlisted} more")
    counts = {
        name: getattr(result, name)
        for name in ("added", "updated", "moved", "unchanged", "removed", "failed")
    }
    files = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    typer.echo(f"{result.scanned} files scanned{': ' if files else ''}{files}")
    typer.echo(
        f"{result.total_images} images in the library; {result.encoded} encoded, "
        f"{result.from_cache} from the cache, in {result.seconds:.1f} s"
    )
