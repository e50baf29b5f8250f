"""The page as hosts get it: one document that needs no network."""

import re

import pytest
from mcp import Client
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID
from mcp.types import TextResourceContents

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.gallery import URI, page
from mcp_vlsearch.server import build_server

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_host_finds_the_page_and_that_it_asks_for_nothing(album: Library) -> None:
    async with Client(build_server(album)) as client:
        [content] = (await client.read_resource(URI)).contents
        assert EXTENSION_ID in (client.server_capabilities.extensions or {})
    assert isinstance(content, TextResourceContents)
    assert content.mime_type == APP_MIME_TYPE
    assert content.text == page()
    assert content.meta == {"ui": {"csp": {}, "prefersBorder": True}}


async def test_clients_of_both_eras_that_know_no_apps_get_plain_hits(album: Library) -> None:
    for era in ("legacy", "auto"):
        async with Client(build_server(album), mode=era) as client:
            found = await client.call_tool("search_by_text", {"query": "red"})
            assert found.structured_content
            assert [part.type for part in found.content] == ["text"]


def test_the_page_is_one_document_without_addresses_of_others() -> None:
    text = page()
    assert text.startswith("<!doctype html>")
    assert not re.search(r"<script src|<link|@import|url\(", text)
    assert not re.search(r"https?://(?!www\.w3\.org/)|\bfetch\(|XMLHttpRequest|WebSocket", text)
    assert "innerHTML" not in text, "names of files never become markup"
    assert text.count("<script>") == text.count("</script>")
    assert "default-src 'none'" in text
    assert len(text) < 60_000
