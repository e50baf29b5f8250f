"""Index a folder and search it over stdio: python stdio_client.py FOLDER "a red bicycle"."""

import asyncio
import os
import sys

from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult, TextContent


async def report(progress: float, total: float | None, message: str | None) -> None:
    print(progress, "of", total, message, file=sys.stderr)


async def search(folder: str, text: str) -> CallToolResult:
    server = StdioServerParameters(
        command="mcp-vlsearch", args=["serve", "--root", folder], env=dict(os.environ)
    )
    async with Client(server) as client:
        indexed = await client.call_tool("index_images", progress_callback=report)
        if indexed.is_error:
            return indexed
        return await client.call_tool("search_by_text", {"query": text}, progress_callback=report)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python stdio_client.py FOLDER TEXT")
    result = asyncio.run(search(*sys.argv[1:]))
    if result.is_error or result.structured_content is None:
        sys.exit(" ".join(part.text for part in result.content if isinstance(part, TextContent)))
    for hit in result.structured_content["hits"]:
        print(f"{hit['rank']:2} {hit['relevance']:6} {hit['score']:.3f} {hit['path']}")
