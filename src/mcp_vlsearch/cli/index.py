"""``index``: bring the library up to what is on disk."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcp_vlsearch.cli.frame import (
    UsageError,
    counted,
    note,
    opened,
    print_json,
    print_table,
    settings_from,
)
from mcp_vlsearch.cli.options import ENCODING, PARTS, WithJson, given_path, only, takes
from mcp_vlsearch.cli.progress import RESUMABLE, working
from mcp_vlsearch.cli.watching import watch
from mcp_vlsearch.errors import CancelledError
from mcp_vlsearch.wording import on_a_line

if TYPE_CHECKING:
    from mcp_vlsearch.types import EncoderStatus, IndexReport, Profile

__all__ = ["index"]


@takes(flags=only(*ENCODING, *PARTS, "watch", "rescan_seconds"))
def index(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH]...",
            help="Files and folders, which become roots; none: every root.",
            parser=given_path,
        ),
    ] = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Encode again what is known.")] = False,
    recursive: Annotated[bool, typer.Option(help="Go into subfolders.")] = True,
    profile: Annotated[
        bool, typer.Option("--profile", help="Say how long each stage took, and which limits.")
    ] = False,
    json: WithJson = False,
    flags: dict[str, Any],
) -> int:
    """Index pictures; what is known already is neither read nor encoded again."""
    from mcp_vlsearch.core.roots import new_root
    from mcp_vlsearch.core.stages import Stages

    is_watching = bool(flags["watch"])
    if is_watching and not recursive:
        raise UsageError("--watch goes into subfolders, too: leave out --no-recursive")
    stages = Stages()
    try:
        roots = [new_root(path) for path in paths or ()]  # before a library is made for nothing
        may_make = bool(roots or settings_from(flags).roots)
        with opened(flags, may_make=may_make) as library:
            with working(RESUMABLE) as report:
                library.allow(roots)
                result = library.index(
                    paths or (), recursive=recursive, force=force, report=report, stages=stages
                )
                status = library.status()
            if flags["index_kind"] is not None:
                note(f"index: {status.index.name}, {status.index.kind}")
            done = result, status.encoder
            if is_watching:
                _show(done, stages.profile() if profile else None, json, on_a_line=json)
                return watch(library, json)
    except CancelledError:
        if profile:  # a few minutes of a long run tell enough
            _show(None, stages.profile(), json)
        raise
    _show(done, stages.profile() if profile else None, json)
    usable = result.added + result.updated + result.moved + result.unchanged
    return 1 if result.failed and not usable else 0


def _show(
    done: "tuple[IndexReport, EncoderStatus] | None",
    profile: "Profile | None",
    json: bool,
    *,
    on_a_line: bool = False,
) -> None:
    if json:
        report = done[0].model_dump() if done else {}
        print_json(report | ({"profile": profile} if profile else {}), on_a_line=on_a_line)
        return
    if done:
        _show_report(*done)
    if profile:
        _show_profile(profile)


def _show_report(result: "IndexReport", encoder: "EncoderStatus") -> None:
    from mcp_vlsearch.core.changes import counts_of

    for failure in result.failures:
        note(on_a_line(f"failed: {failure.path}: {failure.error}"))
    if (unlisted := result.failed - len(result.failures)) > 0:
        note(f"failed: {unlisted} more")
    if result.next_step:
        note(result.next_step)
    files = counts_of(result)
    typer.echo(f"{counted(result.scanned, 'file')} scanned{': ' if files else ''}{files}")
    typer.echo(
        f"{counted(result.total_images, 'image')} in the library; {result.encoded} encoded, "
        f"{result.from_cache} from the cache, in {result.seconds:.1f} s"
    )
    typer.echo(f"encoder: {encoder.model} in {encoder.precision} on {encoder.device}")


def _show_profile(profile: "Profile") -> None:
    print_table(
        ("stage", "seconds", "threads", "share %"),
        [(s.name, s.seconds, s.threads, round(100 * s.share)) for s in profile.stages],
    )
    typer.echo(f"{profile.seconds:.1f} s in all; {profile.limit}")
