"""The tool that finds copies of pictures."""

from typing import Annotated

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from pydantic import Field

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.tools._calls import long_call
from mcp_vlsearch.tools._parameters import NO_FILTERS, READS, FiltersParameter
from mcp_vlsearch.types.copies import DuplicateReport

__all__ = ["register"]

DESCRIPTION = """\
Find copies among the user's pictures: files with the same bytes, and pictures that were \
recompressed, resized or slightly cut. Pixels decide, so two photos of one scene are no copies.
Each group lists the file to keep first (most pixels, then most bytes, then oldest), then its \
copies; groups that free most come first. Nothing is ever deleted: show the user the paths and \
`bytes_freed`, and let them delete. A first run over a large library takes minutes and reports \
progress; later ones are fast."""


def register(server: MCPServer, library: Library) -> None:
    """Give the server the tool ``find_duplicates``."""

    @server.tool(title="Find duplicates", description=DESCRIPTION, annotations=READS)
    async def find_duplicates(
        ctx: Context,
        threshold: Annotated[
            float,
            Field(ge=0.5, le=1, description="Least cosine at which two pictures are compared."),
        ] = 0.95,
        filters: FiltersParameter = NO_FILTERS,
        top_k: Annotated[
            int, Field(ge=1, le=100, description="How many groups to list at most.")
        ] = 50,
    ) -> DuplicateReport:
        return await long_call(
            ctx,
            library,
            library.duplicates,
            threshold=threshold,
            filters=filters,
            top_k=top_k,
        )
