"""``cache``: vectors as a thing of their own: moved to other machines, and cleared out."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcp_vlsearch.cli.defaults import GroupWithNames
from mcp_vlsearch.cli.frame import UsageError, counted, note, opened, print_json
from mcp_vlsearch.cli.options import WithJson, given_path, only, takes
from mcp_vlsearch.cli.progress import RESUMABLE, working

if TYPE_CHECKING:
    from mcp_vlsearch.types import PruneReport

__all__ = ["commands"]

commands = typer.Typer(
    cls=GroupWithNames,
    help="Move vectors between machines, or clear them out.",
    no_args_is_help=True,
)

Fingerprint = Annotated[
    str | None,
    typer.Option(metavar="ID", help="Which vectors; the beginning is enough. `status` lists them."),
]


@commands.command("export")
@takes(flags=only("library"))
def export(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Parquet file to write.", parser=given_path)
    ],
    *,
    fingerprint: Fingerprint = None,
    json: WithJson = False,
    flags: dict[str, Any],
) -> int:
    """Write vectors into a file, for the library of another machine."""
    with opened(flags) as library, working() as report:
        result = library.cache.export(file, fingerprint, report)
    if json:
        print_json(result)
    else:
        typer.echo(
            f"{result.vectors} vectors of {result.fingerprint} in {result.file}, "
            f"{result.bytes / 2**20:.1f} MiB"
        )
    return 0


@commands.command("import")
@takes(flags=only("library"))
def import_file(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="File of `cache export`.", parser=given_path),
    ],
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the file's vector where there is one already.")
    ] = False,
    json: WithJson = False,
    flags: dict[str, Any],
) -> int:
    """Take vectors in from a file; `index` then encodes none of these pictures."""
    with opened(flags, may_make=True) as library, working(RESUMABLE) as report:
        result = library.cache.import_file(file, replace=replace, report=report)
    if json:
        print_json(result)
    else:
        typer.echo(
            f"{result.vectors} vectors of {result.model}: {result.added} added, "
            f"{result.replaced} replaced, {result.kept} were here"
        )
    if result.advice:
        note(result.advice)
    return 0


@commands.command("prune")
@takes(flags=only("library", "index", "milvus_uri", "milvus_token"))
def prune(
    *,
    unused: Annotated[
        bool, typer.Option("--unused", help="Vectors of images that no file holds any more.")
    ] = False,
    old: Annotated[
        bool, typer.Option("--old", help="All vectors of encoders that were searched before.")
    ] = False,
    fingerprint: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID", help="All vectors of a fingerprint that `status` lists; may be repeated."
        ),
    ] = None,
    thumbnails: Annotated[
        bool,
        typer.Option("--thumbnails", help="Small copies of pictures; they are made when needed."),
    ] = False,
    phrasings: Annotated[
        bool, typer.Option("--phrasings", help="What rewriters wrote for queries.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    json: WithJson = False,
    flags: dict[str, Any],
) -> int:
    """Delete vectors that are not needed any more; what is searched stays."""
    wanted: dict[str, Any] = {
        "unused": unused,
        "old": old,
        "fingerprints": fingerprint or (),
        "thumbnails": thumbnails,
        "phrasings": phrasings,
    }
    if not any(wanted.values()):
        note("no vectors are chosen: add --unused, --old or --fingerprint ID")
    with opened(flags) as library:
        with working() as report:
            result = library.cache.prune(**wanted, dry_run=True, report=report)
        if not dry_run:
            if not (yes or _is_wanted(result)):
                note("nothing was deleted")
                return 1
            with working(RESUMABLE) as report:
                result = library.cache.prune(**wanted, report=report)
    if json:
        print_json(result)
    else:
        typer.echo(_said(result))
    return 0


@commands.command("use")
@takes(flags=only("library"))
def use(
    fingerprint: Annotated[
        str,
        typer.Argument(metavar="ID", help="A fingerprint that `status` lists, or its beginning."),
    ],
    *,
    json: WithJson = False,
    flags: dict[str, Any],
) -> int:
    """Let the library search other vectors that it has, such as those of the model before."""
    with opened(flags) as library, working() as report:
        result = library.cache.use(fingerprint, report)
    if json:
        print_json(result)
    else:
        typer.echo(f"searched from now on: {result.model} in {result.precision}")
    if result.missing:
        note(f"{result.missing} images are not in it: run `mcp-vlsearch index` to encode them")
    return 0


def _is_wanted(planned: "PruneReport") -> bool:
    """Ask the user."""
    if not sys.stdin.isatty():
        raise UsageError("give --yes to delete without being asked, or --dry-run")
    note(_said(planned))
    return typer.confirm("Delete that?", err=True)


def _said(result: "PruneReport") -> str:
    about = "would go: " if result.dry_run else "deleted: "
    freed = "about " if result.dry_run else ""
    written = f"phrasings of {result.phrasings} queries, " if result.phrasings else ""
    return (
        f"{about}{counted(result.vectors, 'vector')} with "
        f"{counted(len(result.fingerprints), 'fingerprint')}, "
        f"{result.unused} of images without files, {written}{result.removals} old notes for "
        f"indexes, thumbnails of {counted(result.thumbnails, 'image')}; {freed}"
        f"{result.freed / 2**20:.1f} MiB freed, the database has "
        f"{result.database_bytes / 2**20:.1f} MiB"
    )
