"""``serve``: the MCP server."""

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcp_vlsearch.cli.frame import note, settings_from
from mcp_vlsearch.cli.options import SETTINGS, ServedRoots, WithNoResult, takes
from mcp_vlsearch.errors import SettingsError
from mcp_vlsearch.logs import tell_more

if TYPE_CHECKING:
    from mcp_vlsearch.settings import Settings

__all__ = ["Transport", "serve", "served"]


class Transport(StrEnum):
    """How clients reach the server."""

    STDIO = "stdio"
    HTTP = "http"


@takes(flags=SETTINGS)
def serve(
    *,
    root: ServedRoots = None,
    transport: Annotated[Transport, typer.Option(help="How clients connect.")] = Transport.STDIO,
    host: Annotated[str, typer.Option(help="Address for HTTP.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port for HTTP.", min=0, max=65535)] = 8765,
    json: WithNoResult = False,
    flags: dict[str, Any],
) -> int:
    """Run the MCP server; HTTP is at /mcp."""
    del json
    tell_more()
    settings = served(flags, root)
    from mcp_vlsearch.server import serve_http, serve_stdio

    if transport is Transport.HTTP:
        serve_http(settings, host, port)
    else:
        serve_stdio(settings)
    return 0


def served(flags: dict[str, Any], roots: list[Path] | None) -> "Settings":
    """Return settings with further roots, of what can be served; raises as its checks do."""
    settings = settings_from(flags)
    if roots:
        from mcp_vlsearch.settings import absolute

        every = (*settings.roots, *map(absolute, roots))
        settings = settings.model_copy(update={"roots": every})
    _check(settings)
    return settings


def _check(settings: "Settings") -> None:
    """Refuse a root that is a file of another kind than pictures, and one that is not there.

    The library may know that from when its drive was. Who watches must be able to write.
    """
    from mcp_vlsearch.core.roots import real, refuse_other_files

    if settings.watch and settings.read_only:
        raise SettingsError("watching writes into the library: leave out --watch or --read-only")

    for root in settings.roots:
        refuse_other_files(real(root))
    missing = [root for root in settings.roots if not os.access(root, os.F_OK)]
    if not missing:
        return
    from mcp_vlsearch.core.library import Library

    with Library(settings) as library:
        for root in missing:
            if not Library.is_at(settings.library) or not library.knows(root):
                raise SettingsError(
                    f"the root {root} does not exist: give a folder that does, or connect its drive"
                )
            note(f"the root {root} is offline: what was indexed below it is kept")
