"""The tools that show why a picture matches and which pictures are copies."""

import base64
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from mcp import Client
from mcp.types import CallToolResult, ImageContent
from PIL import Image

from mcp_vlsearch.core.heatmap import MAX_SIDE
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.server import build_server

from .conftest import MakeLibrary
from .test_tools import data_of, error_of

pytestmark = [pytest.mark.anyio, pytest.mark.end_to_end]


def image_of(result: CallToolResult) -> Image.Image:
    """Return the only content, a JPEG within the bounds that every client takes."""
    assert not result.is_error, result.content
    assert result.structured_content is None
    [content] = result.content
    assert isinstance(content, ImageContent)
    assert content.mime_type == "image/jpeg"
    assert len(content.data) < 10**6
    image = Image.open(io.BytesIO(base64.b64decode(content.data)))
    assert max(image.size) <= MAX_SIDE
    return image


@pytest.fixture
def halves(pictures: Path) -> Path:
    """A picture that is red on the left and blue on the right."""
    image = Image.new("RGB", (64, 32), "blue")
    image.paste((255, 0, 0), (0, 0, 32, 32))
    image.save(pictures / "halves.png")
    return pictures / "halves.png"


def heat_at(image: Image.Image, across: float) -> float:
    """Return how yellow a heat map is at a share of its width: blue is what little heat has."""
    pixels = np.asarray(image.convert("RGB").resize((20, 10)), float)
    red, green, blue = pixels[5, int(20 * across)]
    return float(red + green - blue)


async def test_a_match_is_explained_by_a_picture(make_library: MakeLibrary, halves: Path) -> None:
    library = make_library()
    library.index()
    async with Client(build_server(library)) as client:
        for query in ("red", "blue"):
            found = data_of(await client.call_tool("search_by_text", {"query": query}))
            [hit] = [hit for hit in found["hits"] if hit["path"] == str(halves)]
            for image in (hit["image_id"], hit["path"]):
                shown = await client.call_tool("explain_match", {"image": image, "query": query})
                drawn = image_of(shown)
                left, right = heat_at(drawn, 0.1), heat_at(drawn, 0.9)
                assert (left > right) is (query == "red")


async def test_a_picture_that_is_not_indexed_is_explained_too(
    library: Library, halves: Path
) -> None:
    data = "data:image/png;base64," + base64.b64encode(halves.read_bytes()).decode()
    async with Client(build_server(library)) as client:
        image_of(await client.call_tool("explain_match", {"image": data, "query": "red"}))


async def test_what_can_not_be_explained_is_said_in_one_line(
    library: Library, encoder: type, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"image": str(pictures / "red.png"), "query": "red"}
    async with Client(build_server(library)) as client:
        missing = await client.call_tool("explain_match", {**asked, "image": "0" * 16})
        assert "no image" in error_of(missing)
        monkeypatch.delattr(encoder, "explain")
        answer = error_of(await client.call_tool("explain_match", asked))
        assert "can't say which part of a picture matches: use the encoder qwen3-vl" in answer


async def test_copies_are_told_with_what_they_take(
    make_library: MakeLibrary, pictures: Path
) -> None:
    shutil.copy(pictures / "red.png", pictures / "same.png")
    Image.new("RGB", (64, 48), "blue").save(pictures / "larger.png")
    library = make_library()
    library.index()
    async with Client(build_server(library)) as client:
        report = data_of(await client.call_tool("find_duplicates", {}))
        groups = [[Path(file["path"]).name for file in g["files"]] for g in report["groups"]]
        assert sorted(map(sorted, groups)) == [["blue.png", "larger.png"], ["red.png", "same.png"]]
        assert ["larger.png", "blue.png"] in groups
        assert report["bytes_freed"] == sum(g["bytes_freed"] for g in report["groups"])
        assert "Nothing was deleted" in report["note"]
        narrow = {"filters": {"min_width": 60}, "threshold": 0.9, "top_k": 1}
        report = data_of(await client.call_tool("find_duplicates", narrow))
        assert (report["groups"], report["searched_images"]) == ([], 1)
        assert report["note"] == "No copies were found, so there is nothing to delete."
        refused = await client.call_tool("find_duplicates", {"threshold": 0.1})
        assert refused.is_error
    assert (pictures / "same.png").exists()
