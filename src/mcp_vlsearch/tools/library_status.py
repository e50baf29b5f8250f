"""The tool that says what the library holds."""

from mcp.server import MCPServer
from mcp.server.mcpserver import Context

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.tools._calls import waited
from mcp_vlsearch.tools._parameters import READS
from mcp_vlsearch.tools.threads import STATUS
from mcp_vlsearch.types import LibraryStatus

__all__ = ["register"]

DESCRIPTION = """\
Say which folders (roots) may be searched, how many pictures are indexed, and whether the model is \
loaded. Fast; never waits for the model. Call it first, and when a search finds nothing: with no \
images there is nothing to find yet, and a root that is not online is a drive that is not there. \
`not_read` are kinds of files that are passed by until the user installs what it says."""


def register(server: MCPServer, library: Library) -> None:
    """Give the server the tool ``library_status``."""

    @server.tool(title="Library status", description=DESCRIPTION, annotations=READS)
    async def library_status(ctx: Context) -> LibraryStatus:
        return await waited(ctx, lambda _: library.status(), STATUS)
