"""A server that watches takes up changes by itself, and ends as one that does not."""

import signal
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters
from PIL import Image

from mcp_vlsearch.server import build_server

from .conftest import PATIENCE, MakeLibrary, Start
from .test_stdio import raw
from .test_tools import data_of

pytestmark = pytest.mark.end_to_end


async def until_images(client: Client, count: int) -> None:
    """Ask for the status until the library holds so many images."""
    with anyio.fail_after(PATIENCE):
        while data_of(await client.call_tool("library_status"))["images"] != count:
            pass


@pytest.mark.anyio
async def test_over_stdio_new_pictures_are_found_without_being_indexed_by_hand(
    command: list[str], environment: dict[str, str], pictures: Path
) -> None:
    server = StdioServerParameters(
        command=command[0], args=[*command[1:], "--watch"], env=environment
    )
    async with Client(server) as client:
        assert "taken up within seconds" in (client.instructions or "")
        await until_images(client, 5)
        Image.new("RGB", (33, 24), (9, 0, 0)).save(pictures / "black.png")
        await until_images(client, 6)
        (pictures / "black.png").unlink()
        await until_images(client, 5)


@pytest.mark.anyio
async def test_over_http_the_setting_watches_too(start: Start, environment: dict[str, str]) -> None:
    environment["MCP_VLSEARCH_WATCH"] = "true"
    server = start()
    async with Client(server.url) as client:
        await until_images(client, 5)
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(PATIENCE) == 0


def test_at_the_end_of_input_a_watching_server_ends(
    command: list[str], environment: dict[str, str]
) -> None:
    with raw([*command, "--watch"], environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


@pytest.mark.anyio
async def test_a_server_that_only_reads_says_so_even_if_it_should_watch(
    make_library: MakeLibrary,
) -> None:
    async with Client(build_server(make_library(read_only=True, watch=True))) as client:
        assert "read-only" in (client.instructions or "")
