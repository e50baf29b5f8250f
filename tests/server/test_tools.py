"""What the tools do, through a client in memory, in both protocol eras."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.types import CallToolResult, TextContent

from mcp_vlsearch import plugins
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.searching import Searcher
from mcp_vlsearch.errors import MEMORY_HAS_RUN_OUT, PluginError
from mcp_vlsearch.server import build_server

from .conftest import MakeLibrary
from .fake import ColourEncoder

pytestmark = [pytest.mark.anyio, pytest.mark.end_to_end]

ERAS = [pytest.param("legacy", id="2025-11-25"), pytest.param("auto", id="2026-07-28")]


def text_of(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


def data_of(result: CallToolResult) -> dict[str, Any]:
    """Return structured content, which must be there as compact JSON text too."""
    assert not result.is_error, text_of(result)
    assert result.structured_content is not None
    data: dict[str, Any] = result.structured_content
    assert "\n" not in text_of(result)
    assert json.loads(text_of(result)) == data
    return data


def error_of(result: CallToolResult) -> str:
    """Return the text of an error, which must be one line without structured content."""
    assert result.is_error
    assert result.structured_content is None
    assert "\n" not in text_of(result)
    return text_of(result)


def names_of(result: CallToolResult) -> list[str]:
    return [Path(hit["path"]).name for hit in data_of(result)["hits"]]


@pytest.mark.parametrize("era", ERAS)
async def test_a_folder_is_indexed_searched_and_forgotten(
    make_library: MakeLibrary, pictures: Path, era: str
) -> None:
    async with Client(build_server(make_library()), mode=era) as client:
        report = data_of(await client.call_tool("index_images"))
        assert (report["added"], report["encoded"], report["failures"]) == (5, 5, [])

        found = data_of(await client.call_tool("search_by_text", {"query": "red", "top_k": 2}))
        assert [hit["rank"] for hit in found["hits"]] == [1, 2]
        assert found["hits"][0]["path"] == str(pictures / "red.png")
        assert (found["queries"], found["total_images"]) == (["red"], 5)

        removed = await client.call_tool("remove_images", {"paths": [str(pictures / "red.png")]})
        left = {"removed": 1, "unknown": [], "total_images": 4, "next_step": ""}
        assert data_of(removed) == left
        assert (pictures / "red.png").exists()

        status = data_of(await client.call_tool("library_status"))
        assert (status["images"], status["encoder"]["state"]) == (4, "ready")


async def test_arguments_reach_the_search(library: Library) -> None:
    async with Client(build_server(library)) as client:
        search = {"query": "red", "alternatives": ["blue"], "exclude": "white", "top_k": 3}
        result = await client.call_tool("search_by_text", search)
        assert data_of(result)["queries"] == ["red", "blue"]
        assert set(names_of(result)) == {"red.png", "blue.png"}
        narrow = {"query": "red", "filters": {"min_width": 1000}}
        assert data_of(await client.call_tool("search_by_text", narrow))["searched_images"] == 0
        assert names_of(await client.call_tool("search_by_text", {**narrow, "filters": {}}))


async def test_a_picture_is_found_by_path_id_and_bytes(library: Library, pictures: Path) -> None:
    path = pictures / "blue.png"
    bare = base64.b64encode(path.read_bytes()).decode()
    async with Client(build_server(library)) as client:
        first = data_of(await client.call_tool("search_by_image", {"image": str(path)}))["hits"][0]
        for image in (first["image_id"], bare, f"data:image/png;base64,{bare}"):
            found = await client.call_tool("search_by_image", {"image": image})
            assert names_of(found)[0] == "blue.png"
        composed = await client.call_tool("search_by_image", {"image": bare, "text": "red green"})
        assert names_of(composed)[0] == "white.png"


@pytest.mark.parametrize(
    ("tool", "arguments", "line"),
    [
        ("search_by_text", {"query": " "}, "the query is empty: say what the picture shows"),
        ("search_by_text", {}, "query: is missing: give it"),
        (
            "search_by_text",
            {"query": "red", "top_k": 500},
            "top_k: give at most 100",
        ),
        (
            "search_by_text",
            {"query": "red", "filters": {"colour": "red"}},
            "filters.colour: is not known: leave it out",
        ),
        (
            "search_by_text",
            {"query": "red", "filters": {"format": "jpgg"}},
            "filters.format: no picture has this format: give JPEG, PNG, WEBP",
        ),
        ("search_by_image", {"image": "https://example.com/a.jpg"}, "https: addresses are not"),
        ("search_by_image", {"image": "0123456789abcdef"}, "no image 0123456789abcdef in this"),
        (
            "search_by_text",
            {"query": "red", "limit": 3},
            "search_by_text has no argument 'limit': leave it out, for it takes query, top_k, ",
        ),
        (
            "library_status",
            {"a\nb": 1},
            "library_status has no argument 'a\\nb': leave it out, for it takes none",
        ),
        (
            "search_by_text",
            {"query": "red", "filters": {"near": {"latitude": 91, "longitude": 0, "km": 1}}},
            "filters.near.latitude: give at most 90",
        ),
        ("index_images", {"paths": ["/x" * 2000]}, "'/x/x/x"),
        ("no_such_tool", {}, "no tool is called 'no_such_tool': call one of index_images, search"),
    ],
)
async def test_a_mistake_is_told_in_one_line(
    library: Library, tool: str, arguments: dict[str, Any], line: str
) -> None:
    async with Client(build_server(library)) as client:
        assert error_of(await client.call_tool(tool, arguments)).startswith(line)


async def test_an_unexpected_failure_is_one_line_and_its_traceback_is_in_the_log(
    make_library: MakeLibrary, caplog: pytest.LogCaptureFixture
) -> None:
    async with Client(build_server(make_library(encoder="broken"))) as client:
        await client.call_tool("index_images")
        error = error_of(await client.call_tool("search_by_text", {"query": "red"}))
    assert error.startswith("search_by_text failed unexpectedly (ZeroDivisionError")
    assert "Traceback" in caplog.text


@pytest.fixture
def outside(tmp_path: Path, pictures: Path) -> list[str]:
    """Return ways to name a picture that lies outside the roots."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (pictures / "red.png").rename(secret / "red.png")
    (pictures / "link.png").symlink_to(secret / "red.png")
    (pictures / "folder").symlink_to(secret)
    return [
        str(secret / "red.png"),
        str(pictures / ".." / "secret" / "red.png"),
        str(pictures / "link.png"),
        str(pictures / "folder" / "red.png"),
    ]


async def test_nothing_outside_the_roots_is_searched_with_or_indexed(
    make_library: MakeLibrary, outside: list[str]
) -> None:
    library = make_library()
    async with Client(build_server(library)) as client:
        for path in outside:
            assert "lies outside the roots" in error_of(
                await client.call_tool("search_by_image", {"image": path})
            )
            assert "lies outside the roots" in error_of(
                await client.call_tool("index_images", {"paths": [path]})
            )
        await client.call_tool("index_images")
        assert "red.png" not in names_of(await client.call_tool("search_by_text", {"query": "red"}))


async def test_errors_stay_short_whatever_is_given(library: Library) -> None:
    async with Client(build_server(library)) as client:
        for tool, arguments in (
            ("index_images", {"paths": ["/x" * 2000]}),
            ("search_by_image", {"image": "/x" * 2000}),
            ("search_by_text", {"query": "red", "filters": {"folder": "/x" * 2000}}),
            ("search_by_text", {"query": "red", "x" * 4000: 1}),
        ):
            assert len(error_of(await client.call_tool(tool, arguments))) < 500


async def test_a_result_says_what_to_do_next(make_library: MakeLibrary) -> None:
    async with Client(build_server(make_library())) as client:
        status = data_of(await client.call_tool("library_status"))
        assert status["next_step"].startswith("nothing is indexed yet: call index_images")
        found = data_of(await client.call_tool("search_by_text", {"query": "red"}))
        assert found["next_step"].startswith("nothing is indexed yet: call index_images")
        report = data_of(await client.call_tool("index_images"))
        assert (report["complete"], report["remaining"], report["next_step"]) == (True, 0, "")


async def test_with_no_root_the_error_says_how_to_allow_one(make_library: MakeLibrary) -> None:
    async with Client(build_server(make_library(roots=()))) as client:
        assert "serve --root" in error_of(await client.call_tool("index_images"))


async def test_the_model_is_loaded_once_the_tools_are_listed_and_not_before(
    make_library: MakeLibrary, encoder: type[ColourEncoder]
) -> None:
    library = make_library()
    async with Client(build_server(library)) as client:
        status = data_of(await client.call_tool("library_status"))
        assert status["encoder"]["state"] == "not loaded"
        await client.list_tools()
        assert encoder.loading.wait(30)


async def test_a_third_partys_tool_stands_beside_the_built_in_ones(
    make_library: MakeLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(plugins.BUILT_IN["tools"], "count", f"{__name__}:register_count")
    async with Client(build_server(make_library())) as client:
        assert "count" in {tool.name for tool in (await client.list_tools()).tools}
        assert data_of(await client.call_tool("count")) == {"result": 0}


def register_count(server: Any, library: Library) -> None:
    @server.tool()  # type: ignore[untyped-decorator]
    def count() -> int:
        return library.status().images


async def test_a_tool_plugin_that_fails_is_named(
    make_library: MakeLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(plugins.BUILT_IN["tools"], "bad", f"{__name__}:register_badly")
    with pytest.raises(PluginError, match="tool 'bad' of mcp-vlsearch can't be registered"):
        build_server(make_library())


def register_badly(_server: Any, _library: Library) -> None:
    raise RuntimeError("no")


async def test_memory_that_runs_out_in_a_call_is_one_line_that_says_what_to_do(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Searcher, "search", fail)
    async with Client(build_server(library)) as client:
        result = await client.call_tool("search_by_text", {"query": "red"})
    assert error_of(result) == MEMORY_HAS_RUN_OUT
