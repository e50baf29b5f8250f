"""Search a running `mcp-vlsearch serve --transport http`: python http_client.py "a red bicycle".

MCP_VLSEARCH_URL and MCP_VLSEARCH_TOKEN say where it is and how to get in.
"""

import asyncio
import os
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def main(text: str) -> None:
    url = os.environ.get("MCP_VLSEARCH_URL", "http://127.0.0.1:8765/mcp")
    token = os.environ.get("MCP_VLSEARCH_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    patient = httpx2.Timeout(30, read=300)
    async with (
        httpx2.AsyncClient(headers=headers, timeout=patient) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        result = await client.call_tool("search_by_text", {"query": text, "top_k": 5})
        if result.is_error or result.structured_content is None:
            sys.exit(f"search_by_text: {result.content[0]}")
        for hit in result.structured_content["hits"]:
            print(f"{hit['rank']:2} {hit['relevance']:6} {hit['score']:.3f} {hit['path']}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
