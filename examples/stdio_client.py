"""Index a folder and search it over stdio: python stdio_client.py FOLDER "a red bicycle"."""

import asyncio
import os
import sys

from mcp import Client, StdioServerParameters


async def report(progress: float, total: float | None, message: str | None) -> None:
    print(progress, "of", total, message, file=sys.stderr)


async def main(folder: str, text: str) -> None:
    server = StdioServerParameters(
        command="mcp-vlsearch", args=["serve", "--root", folder], env=dict(os.environ)
    )
    async with Client(server) as client:
        for tool, arguments in (("index_images", {}), ("search_by_text", {"query": text})):
            result = await client.call_tool(tool, arguments, progress_callback=report)
            if result.is_error or result.structured_content is None:
                sys.exit(f"{tool}: {result.content[0]}")
        for hit in result.structured_content["hits"]:
            print(f"{hit['rank']:2} {hit['relevance']:6} {hit['score']:.3f} {hit['path']}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
