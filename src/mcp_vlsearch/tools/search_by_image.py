"""The tool that finds pictures like a given one."""

from typing import Annotated

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from pydantic import Field

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.gallery import META
from mcp_vlsearch.tools._calls import call
from mcp_vlsearch.tools._parameters import (
    LONGEST_PICTURE,
    NO_FILTERS,
    READS,
    FiltersParameter,
    GroupParameter,
    MinRelevanceParameter,
    TopK,
)
from mcp_vlsearch.types import SearchResult

__all__ = ["register"]

DESCRIPTION = """\
Find the user's pictures that look like a given one.
Give an `image_id` or `path` of an earlier hit to see more of its kind, or a picture's bytes in \
base64. With `text` the picture is changed in thought ("the same place in snow", "but with two \
cats"), and is no hit itself; without, it comes first if the library holds it.
Hits come best first, with paths to give to the user; view_images shows them to you. Those of \
"weak" relevance are probably not alike; but with `text`, "likely" says little: look at the \
first ones. \
With `total_images` 0 nothing is indexed yet."""


def register(server: MCPServer, library: Library) -> None:
    """Give the server the tool ``search_by_image``."""

    @server.tool(
        title="Search pictures by image", description=DESCRIPTION, annotations=READS, meta=META
    )
    async def search_by_image(
        ctx: Context,
        image: Annotated[
            str,
            Field(
                min_length=1,
                max_length=LONGEST_PICTURE,
                description="Path below a root, `image_id`, `data:` URI, or bare base64.",
            ),
        ],
        text: Annotated[
            str,
            Field(max_length=8000, description="How the wanted picture differs from this one."),
        ] = "",
        top_k: TopK = 10,
        filters: FiltersParameter = NO_FILTERS,
        min_relevance: MinRelevanceParameter = "any",
        group_by_file: GroupParameter = False,
    ) -> SearchResult:
        return await call(
            ctx,
            library,
            library.search_by_image,
            image,
            text=text,
            top_k=top_k,
            filters=filters,
            min_relevance=min_relevance,
            group_by_file=group_by_file,
        )
