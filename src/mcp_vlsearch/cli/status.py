"""``status``: what the library holds and what it runs on."""

from typing import TYPE_CHECKING, Any

import typer

from mcp_vlsearch.cli.frame import counted, opened, print_json
from mcp_vlsearch.cli.options import ENCODING, WithJson, only, takes
from mcp_vlsearch.wording import on_a_line

if TYPE_CHECKING:
    from mcp_vlsearch.types import LibraryStatus

__all__ = ["status"]


@takes(flags=only(*ENCODING))
def status(*, json: WithJson = False, flags: dict[str, Any]) -> int:
    """Say what the library holds and what it runs on."""
    with opened(flags) as library:
        result = library.status()
    if json:
        print_json(result)
    else:
        _show(result)
    return 0


def _show(result: "LibraryStatus") -> None:
    encoder, index = result.encoder, result.index
    dim = f", {encoder.dim} dimensions" if encoder.dim else ""
    rows = {
        "library": result.library,
        "holds": f"{counted(result.images, 'image')} in {counted(result.files, 'file')}, "
        f"{result.failed} failed",
        "database": f"{result.database_bytes / 2**20:.1f} MiB",
        "encoder": f"{encoder.name}, {encoder.model}{dim}",
        "runs as": f"{encoder.precision} on {encoder.device}, {encoder.state}",
        "index": f"{index.name}, {index.kind}",
        "version": result.version,
    }
    for name, value in rows.items():
        typer.echo(f"{name:<9} {value}")
    for kind in result.not_read:
        typer.echo(f"{'not read':<9} {kind}")
    for space in result.spaces:
        lacks = f", {space.missing} missing" if space.missing else ""
        mended = "" if space.prepare == "off" else f", prepare {space.prepare}"
        made = f"{space.model} in {space.precision}, {space.dim} dimensions{mended}"
        found = f"{space.state}, {space.vectors} vectors{lacks}"
        typer.echo(f"{'space':<9} {space.fingerprint[:16]}: {made}; {found}")
    for root in result.roots:
        offline = "" if root.online else ", offline"
        typer.echo(f"{'root':<9} {on_a_line(root.path)} ({counted(root.files, 'file')}{offline})")
    if not result.roots:
        typer.echo(f"{'root':<9} none yet: mcp-vlsearch index FOLDER")
