"""``serve``: the MCP server."""

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcp_vlsearch.cli.frame import note, settings_from
from mcp_vlsearch.cli.options import SETTINGS, given_path, takes
from mcp_vlsearch.errors import SettingsError
from mcp_vlsearch.logs import tell_more

if TYPE_CHECKING:
    from mcp_vlsearch.settings import Settings

__all__ = ["Transport", "check_settings", "serve"]


class Transport(StrEnum):
    """How clients reach the server."""

    STDIO = "stdio"
    HTTP = "http"


@takes(flags=SETTINGS)
def serve(
    *,
    root: Annotated[
        list[Path] | None,
        typer.Option(
            help="Allow a folder, besides the library's own; once per folder.",
            metavar="DIR",
            parser=given_path,
        ),
    ] = None,
    transport: Annotated[Transport, typer.Option(help="How clients connect.")] = Transport.STDIO,
    host: Annotated[str, typer.Option(help="Address for HTTP.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port for HTTP.", min=0, max=65535)] = 8765,
    json: Annotated[
        bool, typer.Option("--json", help="Accepted by every command; a server prints no result.")
    ] = False,
    flags: dict[str, Any],
) -> int:
    """Run the MCP server; HTTP is at /mcp."""
    del json
    tell_more()
    settings = settings_from(flags)
    if root:
        roots = (*settings.roots, *(folder.expanduser().absolute() for folder in root))
        settings = settings.model_copy(update={"roots": roots})
    check_settings(settings)
    from mcp_vlsearch.server import serve_http, serve_stdio

    if transport is Transport.HTTP:
        serve_http(settings, host, port)
    else:
        serve_stdio(settings)
    return 0


def check_settings(settings: "Settings") -> None:
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
