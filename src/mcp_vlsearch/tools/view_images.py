"""The tool that shows pictures."""

import base64
from typing import Annotated, Literal

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult, ImageContent, TextContent
from pydantic import Field

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.tools._calls import call
from mcp_vlsearch.tools._parameters import READS

__all__ = ["register"]

DESCRIPTION = """\
Look at the user's pictures: hits of a search, or files below a root.
A "sheet" shows all of them at once, each with its number in your list and its file name: give the \
`image_id`s of the hits in their order, and the numbers are their ranks. Look before you tell what \
a picture shows, and to choose among hits that score alike. "single" gives the pictures \
one by one, larger the fewer they are: for details, ask for one. A picture that can't be shown is \
an empty cell, or a line that says why."""


def register(server: MCPServer, library: Library) -> None:
    """Give the server the tool ``view_images``."""

    @server.tool(title="View pictures", description=DESCRIPTION, annotations=READS)
    async def view_images(
        ctx: Context,
        images: Annotated[
            list[Annotated[str, Field(min_length=1, max_length=4096)]],
            Field(
                min_length=1,
                max_length=50,
                description="`image_id`s of hits, or paths below a root, in the order to number.",
            ),
        ],
        layout: Annotated[
            Literal["sheet", "single"],
            Field(description="One numbered contact sheet, or single pictures."),
        ] = "sheet",
    ) -> CallToolResult:
        view = await call(ctx, library, library.view, images, layout=layout)
        if view.sheet:
            return CallToolResult(content=[_picture(view.sheet)])
        return CallToolResult(
            content=[
                _picture(image.jpeg)
                if image.jpeg
                else TextContent(type="text", text=f"{image.position}. {image.name}: {image.error}")
                for image in view.images
            ]
        )


def _picture(jpeg: bytes) -> ImageContent:
    return ImageContent(type="image", data=base64.b64encode(jpeg).decode(), mime_type="image/jpeg")
