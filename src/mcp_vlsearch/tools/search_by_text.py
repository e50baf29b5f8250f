"""The tool that finds pictures by a description."""

from typing import Annotated, Literal

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from pydantic import Field

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.gallery import META
from mcp_vlsearch.tools._calls import call
from mcp_vlsearch.tools._parameters import (
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
Find the user's pictures by what they show, in any language.
Write the query like a caption: subject, colours, action, setting ("a brown dog asleep on a red \
sofa" finds more than "dog"). If a query is short or ambiguous, send other phrasings as \
`alternatives`; they are searched together with it. Put dates, places, folders and sizes into \
`filters`, not into the query.
Hits come best first, with paths to give to the user; view_images shows them to you. Trust \
`relevance` more than `score`: "likely" hits may only be alike, so look at them; when all are \
"weak", the library probably has no such picture: say so, or try another phrasing. `part` says \
which page of a PDF ("page=3") or second of a video ("t=12.5") a hit is. With `total_images` 0 \
nothing is indexed yet."""


def register(server: MCPServer, library: Library) -> None:
    """Give the server the tool ``search_by_text``."""

    @server.tool(
        title="Search pictures by text", description=DESCRIPTION, annotations=READS, meta=META
    )
    async def search_by_text(
        ctx: Context,
        query: Annotated[
            str, Field(min_length=1, max_length=8000, description="What the picture shows.")
        ],
        top_k: TopK = 10,
        alternatives: Annotated[
            list[Annotated[str, Field(max_length=8000)]],
            Field(max_length=15, description="Other phrasings of the same wish."),
        ] = [],  # noqa: B006 - never mutated, and the schema shows it
        exclude: Annotated[
            str, Field(max_length=8000, description="What the picture must not show.")
        ] = "",
        rewrite: Annotated[
            Literal["off", "template", "model"] | None,
            Field(description="Rewriter that adds phrasings; null follows the user's setting."),
        ] = None,
        filters: FiltersParameter = NO_FILTERS,
        min_relevance: MinRelevanceParameter = "any",
        group_by_file: GroupParameter = False,
    ) -> SearchResult:
        return await call(
            ctx,
            library,
            library.search_by_text,
            query,
            top_k=top_k,
            alternatives=alternatives,
            exclude=exclude,
            rewrite=rewrite,
            filters=filters,
            min_relevance=min_relevance,
            group_by_file=group_by_file,
        )
