"""What an assistant gets to see."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcp import Client
from mcp.types import CallToolResult, ImageContent, TextContent
from PIL import Image

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.server import build_server

from .conftest import MakeLibrary
from .fake import COLOURS

pytestmark = pytest.mark.anyio


def picture_of(content: object) -> Image.Image:
    assert isinstance(content, ImageContent)
    assert content.mime_type == "image/jpeg"
    return Image.open(io.BytesIO(base64.b64decode(content.data)))


async def ids(client: Client) -> list[str]:
    found = await client.call_tool("search_by_text", {"query": "red"})
    assert found.structured_content
    return [hit["image_id"] for hit in found.structured_content["hits"]]


async def called(client: Client, **arguments: Any) -> CallToolResult:
    return await client.call_tool("view_images", arguments)


async def test_hits_come_as_one_sheet_and_nothing_else(library: Library) -> None:
    async with Client(build_server(library)) as client:
        result = await called(client, images=await ids(client))
    assert result.structured_content is None
    [content] = result.content
    sheet = np.asarray(picture_of(content)).astype(int)
    for colour in COLOURS.values():
        assert (np.abs(sheet - colour) < 40).all(-1).sum() > 300


async def test_single_pictures_come_in_order_with_a_line_for_what_is_missing(
    library: Library, pictures: Path
) -> None:
    gone = "0123456789abcdef"
    async with Client(build_server(library)) as client:
        images = [str(pictures / "blue.png"), gone, (await ids(client))[0]]
        result = await called(client, images=images, layout="single")
    first, line, last = result.content
    assert picture_of(first).getpixel((5, 5)) == pytest.approx(COLOURS["blue"], abs=6)
    assert isinstance(line, TextContent)
    assert line.text.startswith(f"2. {gone}: no image {gone} in this library")
    assert picture_of(last).getpixel((5, 5)) == pytest.approx(COLOURS["red"], abs=6)


async def test_the_whole_answer_is_below_a_megabyte(
    make_library: MakeLibrary, pictures: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1600, 1600, 3), np.uint8)
    Image.fromarray(noise).save(pictures / "noise.png")
    async with Client(build_server(make_library())) as client:
        for layout in ("sheet", "single"):
            result = await called(client, images=[str(pictures / "noise.png")] * 4, layout=layout)
            assert 300_000 < len(result.model_dump_json()) < 1_000_000


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"images": []}, "images: give at least 1 item"),
        ({"images": ["a"] * 51}, "images: give at most 50 items"),
        ({"images": ["/etc/hostname"]}, "'/etc/hostname' lies outside the roots"),
        ({"images": ["4"]}, "4 is a place in a list: give the image_id"),
        ({"images": ["a"], "layout": "grid"}, "layout: give 'sheet' or 'single'"),
    ],
)
async def test_what_is_wrong_is_told_in_a_line(
    library: Library, arguments: dict[str, Any], line: str
) -> None:
    async with Client(build_server(library)) as client:
        result = await called(client, **arguments)
    assert result.is_error
    [content] = result.content
    assert isinstance(content, TextContent)
    assert content.text.startswith(line)
    assert "\n" not in content.text
