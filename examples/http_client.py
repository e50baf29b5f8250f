"""Search a running `mcp-vlsearch serve --transport http`: python http_client.py "a red bicycle".

MCP_VLSEARCH_URL and MCP_VLSEARCH_TOKEN say where it is and how to get in.
"""

import asyncio
import os
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, TextContent

URL = os.environ.get("MCP_VLSEARCH_URL", "http://127.0.0.1:8765/mcp")
TOKEN = os.environ.get("MCP_VLSEARCH_TOKEN")


async def search(text: str) -> CallToolResult:
    headers = {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}
    patient = httpx2.Timeout(30, read=300)
    async with httpx2.AsyncClient(headers=headers, timeout=patient) as http:
        try:
            answer = await http.head(URL)
        except httpx2.HTTPError as error:
            sys.exit(f"can't reach {URL} ({error}): is the server running?")
        if answer.status_code == 401:
            sys.exit(f"{URL} refuses the token: set MCP_VLSEARCH_TOKEN to the server's")
        async with Client(streamable_http_client(URL, http_client=http)) as client:
            return await client.call_tool("search_by_text", {"query": text, "top_k": 5})


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python http_client.py TEXT")
    result = asyncio.run(search(sys.argv[1]))
    if result.is_error or result.structured_content is None:
        sys.exit(" ".join(part.text for part in result.content if isinstance(part, TextContent)))
    for hit in result.structured_content["hits"]:
        print(f"{hit['rank']:2} {hit['relevance']:6} {hit['score']:.3f} {hit['path']}")
