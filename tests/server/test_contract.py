"""What clients see of the tools: names, parameters, defaults, bounds, results and hints."""

from typing import Any

import pytest
from mcp import Client, Tool
from pydantic import BaseModel

from mcp_vlsearch.gallery import URI
from mcp_vlsearch.server import build_server
from mcp_vlsearch.types import IndexReport, LibraryStatus, RemoveReport, SearchResult
from mcp_vlsearch.types.copies import DuplicateReport

from .conftest import MakeLibrary

pytestmark = pytest.mark.anyio

REQUIRED = object()

PARAMETERS: dict[str, dict[str, Any]] = {
    "index_images": {"paths": [], "recursive": True, "force": False},
    "search_by_text": {
        "query": REQUIRED,
        "top_k": 10,
        "alternatives": [],
        "exclude": "",
        "rewrite": None,
        "filters": {},
        "min_relevance": "any",
        "group_by_file": False,
    },
    "search_by_image": {
        "image": REQUIRED,
        "text": "",
        "top_k": 10,
        "filters": {},
        "min_relevance": "any",
        "group_by_file": False,
    },
    "view_images": {"images": REQUIRED, "layout": "sheet"},
    "explain_match": {"image": REQUIRED, "query": REQUIRED},
    "find_duplicates": {"threshold": 0.95, "filters": {}, "top_k": 50},
    "library_status": {},
    "remove_images": {"paths": REQUIRED},
}

RESULTS: dict[str, type[BaseModel]] = {
    "index_images": IndexReport,
    "search_by_text": SearchResult,
    "search_by_image": SearchResult,
    "find_duplicates": DuplicateReport,
    "library_status": LibraryStatus,
    "remove_images": RemoveReport,
}

WRITING = {"index_images", "remove_images"}


@pytest.fixture
async def tools(make_library: MakeLibrary) -> dict[str, Tool]:
    async with Client(build_server(make_library())) as client:
        return {tool.name: tool for tool in (await client.list_tools()).tools}


async def test_the_tools_are_those_of_the_contract(tools: dict[str, Tool]) -> None:
    assert set(tools) == set(PARAMETERS)


@pytest.mark.parametrize("name", PARAMETERS)
async def test_parameters_have_the_names_order_and_defaults_of_the_contract(
    tools: dict[str, Tool], name: str
) -> None:
    schema = tools[name].input_schema
    properties = schema["properties"]
    assert list(properties) == list(PARAMETERS[name])
    found = {key: value.get("default", REQUIRED) for key, value in properties.items()}
    assert found == PARAMETERS[name]
    required = [key for key, default in PARAMETERS[name].items() if default is REQUIRED]
    assert schema.get("required", []) == required


@pytest.mark.parametrize("name", PARAMETERS)
async def test_every_parameter_is_described_and_bounded(tools: dict[str, Tool], name: str) -> None:
    for key, schema in tools[name].input_schema["properties"].items():
        assert len(schema["description"]) > 15, key
        match schema.get("type"):
            case "string":
                assert "maxLength" in schema or "enum" in schema, key
            case "integer":
                assert (schema["minimum"], schema["maximum"]) == (1, 100), key
            case "number":
                assert (schema["minimum"], schema["maximum"]) == (0.5, 1), key
            case "array":
                assert "maxItems" in schema, key
                assert "maxLength" in schema["items"], key
            case kind:
                assert kind in ("boolean", None), key


@pytest.mark.parametrize("name", PARAMETERS)
async def test_tools_take_nothing_but_what_they_list(tools: dict[str, Tool], name: str) -> None:
    assert tools[name].input_schema["additionalProperties"] is False


async def test_choices_are_those_of_the_contract(tools: dict[str, Tool]) -> None:
    properties = tools["search_by_text"].input_schema["properties"]
    rewrite, null = properties["rewrite"]["anyOf"]
    assert (rewrite["enum"], null["type"]) == (["off", "template", "model"], "null")
    assert properties["min_relevance"]["enum"] == ["any", "likely", "strong"]


@pytest.mark.parametrize("name", RESULTS)
async def test_results_have_the_fields_of_the_contract(tools: dict[str, Tool], name: str) -> None:
    output = tools[name].output_schema
    assert output is not None
    assert list(output["properties"]) == list(RESULTS[name].model_fields)


async def test_tools_that_show_pictures_return_no_data(tools: dict[str, Tool]) -> None:
    assert {name for name, tool in tools.items() if tool.output_schema is None} == {
        "explain_match",
        "view_images",
    }


@pytest.mark.parametrize("name", PARAMETERS)
async def test_hints_say_what_a_tool_does_to_the_library(tools: dict[str, Tool], name: str) -> None:
    hints = tools[name].annotations
    assert hints is not None
    assert hints.read_only_hint is (name not in WRITING)
    assert hints.destructive_hint is (name == "remove_images")
    assert hints.idempotent_hint is True
    assert hints.open_world_hint is False
    assert tools[name].title
    assert 100 < len(tools[name].description or "") < 800


async def test_the_tool_that_shows_pictures_has_no_data(tools: dict[str, Tool]) -> None:
    """Clients leave pictures out where there is data."""
    assert tools["view_images"].output_schema is None
    properties = tools["view_images"].input_schema["properties"]
    assert (properties["images"]["minItems"], properties["images"]["maxItems"]) == (1, 50)
    assert properties["layout"]["enum"] == ["sheet", "single"]


async def test_searches_name_the_gallery_and_nothing_else_does(tools: dict[str, Tool]) -> None:
    uris = {name: tool.meta["ui"]["resourceUri"] for name, tool in tools.items() if tool.meta}
    assert uris == dict.fromkeys(("search_by_text", "search_by_image"), URI)


async def test_a_read_only_server_has_no_tool_that_writes(make_library: MakeLibrary) -> None:
    async with Client(build_server(make_library(read_only=True))) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert names == set(PARAMETERS) - WRITING
        assert "index_images" not in (client.instructions or "")


async def test_the_server_says_who_it_is_and_how_to_use_it(make_library: MakeLibrary) -> None:
    async with Client(build_server(make_library())) as client:
        assert client.server_info is not None
        assert client.server_info.name == "mcp-vlsearch"
        assert client.server_info.version
        assert "index_images" in (client.instructions or "")
