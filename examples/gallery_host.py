"""The gallery without a host of MCP Apps: python gallery_host.py FOLDER "a red bicycle".

A small web page plays the host: it shows a search's hits in the server's own page, in a frame
without network, and passes its tool calls on. To be opened in any browser on this machine.
"""

import asyncio
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from mcp import Client, StdioServerParameters
from mcp.types import TextResourceContents
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

PAGE = Path(__file__).with_suffix(".html")
NO_NETWORK = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; media-src 'self' data:; connect-src 'none'"
)
"""What a host allows a page that asks for nothing."""


@dataclass
class Host:
    """A client of the server, and the search whose hits are shown."""

    client: Client
    tool: str
    arguments: dict[str, Any]
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def app(self) -> Starlette:
        """Return the web application: the host's page, the server's, and the way to its tools."""
        return Starlette(
            routes=[
                Route("/", lambda _: HTMLResponse(PAGE.read_text("utf-8"))),
                Route("/app", self.gallery),
                Route("/search", self.search),
                Route("/call", self.call, methods=["POST"]),
            ]
        )

    async def gallery(self, _: Request) -> Response:
        """Give the page that the tool names, under the rules that hosts set."""
        tools = (await self.client.list_tools()).tools
        tool = next(tool for tool in tools if tool.name == self.tool)
        uri = (tool.meta or {})["ui"]["resourceUri"]
        [content] = (await self.client.read_resource(uri)).contents
        assert isinstance(content, TextResourceContents)
        return HTMLResponse(content.text, headers={"content-security-policy": NO_NETWORK})

    async def search(self, _: Request) -> Response:
        """Make the search, and give its tool, arguments and result."""
        result = await self._called(self.tool, self.arguments)
        return JSONResponse({"tool": self.tool, "arguments": self.arguments, "result": result})

    async def call(self, request: Request) -> Response:
        """Call a tool for the page."""
        given = await request.json()
        return JSONResponse(await self._called(given["name"], given["arguments"]))

    async def _called(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((tool, arguments))
        result = await self.client.call_tool(tool, arguments)
        return result.model_dump(mode="json", by_alias=True, exclude_none=True)


async def show(folder: str, text: str) -> None:
    server = StdioServerParameters(
        command="mcp-vlsearch", args=["serve", "--root", folder], env=dict(os.environ)
    )
    async with Client(server) as client:
        await client.call_tool("index_images")
        host = Host(client, "search_by_text", {"query": text, "top_k": 24})
        print("open http://127.0.0.1:8766 in a browser; Ctrl-C ends it")
        config = uvicorn.Config(host.app(), port=8766, log_level="warning")
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python gallery_host.py FOLDER TEXT")
    asyncio.run(show(*sys.argv[1:]))
