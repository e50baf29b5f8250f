"""``/metrics`` and ``/healthz`` of servers: what they count, and who may ask."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from anyio import fail_after
from anyio.to_thread import current_default_thread_limiter
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from prometheus_client.parser import text_string_to_metric_families

from mcp_vlsearch.core.encoding import EncoderSlot
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.server.encoder import encoder_app
from mcp_vlsearch.server.http import http_app
from mcp_vlsearch.server.metrics import health, new_registry, scraped
from tests.http_servers import serving

from .conftest import MakeLibrary
from .fake import ColourEncoder

PAGE = Path(__file__).parents[2] / "docs" / "operating.md"


@contextmanager
def served(library: Library, token: str | None = None) -> Iterator[str]:
    with serving(http_app(library, "127.0.0.1", token)) as address:
        yield address


def figures(address: str, token: str = "") -> dict[str, float]:
    """Return what is told, by name with labels."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = httpx2.get(f"{address}/metrics", headers=headers)
    assert answer.status_code == 200
    return {
        sample.name + "".join(f" {value}" for _, value in sorted(sample.labels.items())): (
            sample.value
        )
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


@pytest.mark.anyio
async def test_calls_are_counted_by_tool_and_outcome(make_library: MakeLibrary) -> None:
    with served(make_library()) as address:
        async with Client(streamable_http_client(f"{address}/mcp")) as client:
            await client.call_tool("index_images")
            for query in ("blue", "blue", " "):
                await client.call_tool("search_by_text", {"query": query})
            await client.call_tool("made up", {})
        found = figures(address)
    assert found["vlsearch_calls_total ok search_by_text"] == 2
    assert found["vlsearch_calls_total refused search_by_text"] == 1
    assert found["vlsearch_calls_total refused unknown"] == 1
    assert found["vlsearch_call_seconds_count search_by_text"] == 3
    assert found["vlsearch_calls_running"] == 0
    assert found["vlsearch_images"] == found["vlsearch_index_rows"] == 5
    assert found["vlsearch_encoded_images_total"] == 5
    assert found["vlsearch_encoded_queries_total"] >= 1
    assert found["vlsearch_query_cache_hits_total"] >= 1
    assert "made" not in str(found)


def test_two_servers_of_a_process_count_apart(make_library: MakeLibrary) -> None:
    library = make_library()
    library.index()
    with served(library) as one, served(make_library()) as other:
        assert figures(one)["vlsearch_encoded_images_total"] == 5
        assert figures(other)["vlsearch_encoded_images_total"] == 0


def test_metrics_need_the_token_and_health_does_not(make_library: MakeLibrary) -> None:
    with served(make_library(), token="secret") as address:
        assert httpx2.get(f"{address}/metrics").status_code == 401
        assert "vlsearch_images" in figures(address, "secret")
        answer = httpx2.get(f"{address}/healthz")
        assert (answer.status_code, answer.text) == (200, "ok\n")
        assert httpx2.post(f"{address}/healthz").status_code == 405


@pytest.mark.parametrize("path", ["/metrics", "/healthz"])
def test_web_pages_and_foreign_names_get_neither(make_library: MakeLibrary, path: str) -> None:
    with served(make_library()) as address:
        foreign = httpx2.get(address + path, headers={"host": "evil.example"})
        page = httpx2.get(address + path, headers={"origin": "http://evil.example"})
    assert (foreign.status_code, page.status_code) == (421, 403)


def test_a_model_that_loads_is_not_healthy_yet(
    make_library: MakeLibrary, encoder: type[ColourEncoder]
) -> None:
    encoder.gate.clear()
    library = make_library()
    with served(library) as address:
        library.warm_up()
        assert encoder.loading.wait(60)
        answer = httpx2.get(f"{address}/healthz")
        encoder.gate.set()
    assert (answer.status_code, answer.text) == (503, "loading\n")


@pytest.mark.anyio
async def test_health_and_numbers_are_told_though_calls_hold_all_threads() -> None:
    limiter = current_default_thread_limiter()
    held = [object() for _ in range(int(limiter.total_tokens))]
    for each in held:
        limiter.acquire_on_behalf_of_nowait(each)
    with fail_after(10):
        assert (await health(lambda: "ready")).body == b"ok\n"
        assert b"process_" in (await scraped(new_registry())).body
    for each in held:
        limiter.release_on_behalf_of(each)


def test_the_encoder_server_tells_its_numbers_likewise(
    make_library: MakeLibrary, encoder: type[ColourEncoder]
) -> None:
    del encoder
    settings = make_library().settings
    with serving(encoder_app(EncoderSlot(settings), settings, "127.0.0.1", "secret")) as address:
        assert httpx2.get(f"{address}/healthz").text == "ok\n"
        assert httpx2.get(f"{address}/metrics").status_code == 401
        assert figures(address, "secret")["vlsearch_encoded_images_total"] == 0
        pages = {"origin": "http://evil.example", "Authorization": "Bearer secret"}
        for path in ("/metrics", "/healthz"):
            assert httpx2.get(address + path, headers=pages).status_code == 403


def test_the_table_of_metrics_is_that_of_the_registry(make_library: MakeLibrary) -> None:
    with served(make_library()) as address:
        text = httpx2.get(f"{address}/metrics").text
    told = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(text)
        if family.name.startswith("vlsearch") and not family.name.endswith("_created")
    }
    said = set(re.findall(r"^\| `(vlsearch_\w+)", PAGE.read_text("utf-8"), re.MULTILINE))
    assert said == told
