"""The tool that forgets pictures."""

from typing import Annotated

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.types import ToolAnnotations
from pydantic import Field

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.tools._calls import change
from mcp_vlsearch.tools._parameters import Paths
from mcp_vlsearch.types import RemoveReport

__all__ = ["register"]

DESCRIPTION = """\
Forget files, or everything below folders, so that searches no longer find them. No file is \
deleted from disk. A root that is named is no root any more; files below one that stays come back \
with the next index_images. Nothing was known of the paths in `unknown`: check their spelling. \
Call it only when the user asks for it."""


def register(server: MCPServer, library: Library) -> None:
    """Give the server the tool ``remove_images``, unless the library is read-only."""
    if library.settings.read_only:
        return

    @server.tool(
        title="Forget pictures",
        description=DESCRIPTION,
        annotations=ToolAnnotations(
            read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False
        ),
    )
    async def remove_images(
        ctx: Context,
        paths: Annotated[
            Paths,
            Field(
                min_length=1,
                max_length=1000,
                description="Files or folders to forget; they need not exist any more.",
            ),
        ],
    ) -> RemoveReport:
        return await change(ctx, library, library.remove, paths)
