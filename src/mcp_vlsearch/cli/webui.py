"""``webui``: the web page."""

import os
import sys
from typing import Annotated, Any

import typer

from mcp_vlsearch.cli.options import OF_CALLS, SETTINGS, ServedRoots, WithNoResult, takes
from mcp_vlsearch.cli.serve import served
from mcp_vlsearch.logs import tell_more

__all__ = ["webui"]


@takes(flags={name: option for name, option in SETTINGS.items() if name not in OF_CALLS})
def webui(
    *,
    root: ServedRoots = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 7860,
    open_: Annotated[
        bool | None,
        typer.Option(
            "--open/--no-open",
            help="Open a browser there; by default if started in a terminal, on loopback.",
            show_default=False,
        ),
    ] = None,
    json: WithNoResult = False,
    flags: dict[str, Any],
) -> int:
    """Serve a web page to search, index and look at the library with."""
    del json
    tell_more()
    settings = served(flags, root)
    from mcp_vlsearch.webui import serve_webui

    serve_webui(settings, host, port, is_opened=_usually(host) if open_ is None else open_)
    return 0


def _usually(host: str) -> bool:
    """Say whether whoever started this sits before it, and has a screen for a browser."""
    from mcp_vlsearch.server.listening import is_loopback

    has_screen = sys.platform != "linux" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
    return has_screen and sys.stderr.isatty() and is_loopback(host)
