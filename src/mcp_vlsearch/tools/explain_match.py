"""The tool that shows why a picture matches."""

from typing import Annotated

from mcp.server import MCPServer
from mcp.server.mcpserver import Context, Image
from pydantic import Field

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.tools._calls import call
from mcp_vlsearch.tools._parameters import LONGEST_PICTURE, READS

__all__ = ["register"]

DESCRIPTION = """\
Show which part of a picture matches a query: the picture with a heat map over it, from the rest \
(faded) to what matches most (light yellow, with a ring around the hottest point). Use it to check \
a doubtful hit, or to point the user to where something is. It returns an image, no data. A map \
that lights up elsewhere than expected says that the hit is a coincidence."""


def register(server: MCPServer, library: Library) -> None:
    """Give the server the tool ``explain_match``."""

    @server.tool(title="Explain a match", description=DESCRIPTION, annotations=READS)
    async def explain_match(
        ctx: Context,
        image: Annotated[
            str,
            Field(
                min_length=1,
                max_length=LONGEST_PICTURE,
                description="Path below a root, `image_id` of a hit, `data:` URI, or bare base64.",
            ),
        ],
        query: Annotated[
            str,
            Field(
                min_length=1,
                max_length=8000,
                description="What to look for, such as the query that found the picture.",
            ),
        ],
    ) -> Image:
        found = await call(ctx, library, library.explain_match, image, query)
        return Image(data=found.jpeg, format="jpeg")
