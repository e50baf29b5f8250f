"""The tool that brings the library up to date."""

from typing import Annotated

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.types import ToolAnnotations
from pydantic import Field

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.tools._calls import TimeLeft, waited
from mcp_vlsearch.tools._parameters import Paths
from mcp_vlsearch.tools.threads import LONG
from mcp_vlsearch.types import IndexReport

__all__ = ["register"]

DESCRIPTION = """\
Make new and changed pictures searchable, and forget those that are gone.
Call it with no arguments when library_status shows no images, or after the user added pictures. \
Only what is new is encoded, so a repeated call is cheap; a first one over thousands of pictures \
takes minutes to hours. A long run goes on by itself after the call has answered: while `complete` \
is false, call again with the same arguments to wait for the rest, or search what is there. Tell \
the user about `failures`: files that could not be read, with the reason."""


def register(server: MCPServer, library: Library) -> None:
    """Give the server the tool ``index_images``, unless the library is read-only."""
    if library.settings.read_only:
        return

    @server.tool(
        title="Index pictures",
        description=DESCRIPTION,
        annotations=ToolAnnotations(
            read_only_hint=False,
            destructive_hint=False,
            idempotent_hint=True,
            open_world_hint=False,
        ),
    )
    async def index_images(
        ctx: Context,
        paths: Annotated[
            Paths,
            Field(
                max_length=1000,
                description="Files or folders below the roots; empty means every root.",
            ),
        ] = [],  # noqa: B006 - never mutated, and the schema shows it
        recursive: Annotated[bool, Field(description="Look into folders of folders.")] = True,
        force: Annotated[
            bool, Field(description="Encode everything again; only needed after a fault.")
        ] = False,
    ) -> IndexReport:
        left = TimeLeft(library)
        return await waited(
            ctx,
            lambda report: library.runs.index(
                paths,
                recursive=recursive,
                force=force,
                report=report,
                seconds=left(),
            ),
            LONG,
        )
