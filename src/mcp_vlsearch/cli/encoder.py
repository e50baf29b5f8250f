"""``encoder serve``: the encoder as a server for many."""

from typing import Annotated, Any

import typer

from mcp_vlsearch.cli.defaults import GroupWithNames
from mcp_vlsearch.cli.frame import settings_from
from mcp_vlsearch.cli.options import ENCODING, INDEXING, WithNoResult, only, takes
from mcp_vlsearch.logs import tell_more

__all__ = ["commands"]

_NOT_HERE = (*INDEXING, "prepare")  # pictures are prepared where their files are read

commands = typer.Typer(cls=GroupWithNames, help="Run an encoder for others.", no_args_is_help=True)


@commands.command("serve")
@takes(flags=only(*(name for name in ENCODING if name not in _NOT_HERE), "token"))
def serve(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8766,
    json: WithNoResult = False,
    flags: dict[str, Any],
) -> int:
    """Hold the model once and serve it at /v1/embeddings."""
    del json
    tell_more()
    settings = settings_from(flags)
    from mcp_vlsearch.server.encoder import serve_encoder

    serve_encoder(settings, host, port)
    return 0
