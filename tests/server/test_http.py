"""The server as a process of its own, over streamable HTTP, and who it keeps out."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from mcp_vlsearch.errors import ServerError
from mcp_vlsearch.server.listening import is_loopback, listen

from .conftest import PATIENCE, Server, Start
from .test_tools import ERAS, data_of, error_of, names_of


@asynccontextmanager
async def connect(server: Server, era: str, token: str = "") -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http,
        Client(streamable_http_client(server.url, http_client=http), mode=era) as client,
    ):
        yield client


def post(server: Server, **headers: str) -> int:
    """Return the status of the answer to a handshake sent with these headers."""
    sent = {"accept": "application/json, text/event-stream", **headers}
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    raw = [(name.encode(), value.encode()) for name, value in sent.items()]
    return httpx2.post(server.url, json=message, headers=raw, timeout=PATIENCE).status_code


@pytest.mark.anyio
@pytest.mark.parametrize("era", ERAS)
async def test_pictures_are_found_over_http(start: Start, era: str) -> None:
    async with connect(start(), era) as client:
        assert client.protocol_version == ("2025-11-25" if era == "legacy" else "2026-07-28")
        assert data_of(await client.call_tool("index_images"))["encoded"] == 5
        found = await client.call_tool("search_by_text", {"query": "blue"})
        assert names_of(found)[0] == "blue.png"
        assert "empty" in error_of(await client.call_tool("search_by_text", {"query": " "}))


def test_on_loopback_no_token_is_asked_for_unless_one_is_set(start: Start) -> None:
    assert post(start()) == 200


def test_a_set_token_is_asked_for_and_never_printed(start: Start) -> None:
    server = start(token="open sesame")
    assert post(server) == 401
    assert post(server, authorization="Bearer open sesam") == 401
    assert post(server, authorization="Basic open sesame") == 401
    assert post(server, authorization="Bearer öffne dich") == 401
    assert post(server, authorization="bearer open sesame") == 200
    assert "sesame" not in server.said


def test_beyond_loopback_a_token_is_made_and_printed_once(start: Start) -> None:
    server = start("--host", "0.0.0.0")
    (token,) = re.findall(r"Authorization: Bearer (\S{40,})", server.said)
    assert post(server) == 401
    assert post(server, authorization=f"Bearer {token}") == 200


@pytest.mark.anyio
async def test_a_client_with_the_token_gets_in(start: Start) -> None:
    async with connect(start(token="secret"), "auto", "secret") as client:
        assert data_of(await client.call_tool("library_status"))["images"] == 0


def test_foreign_host_and_origin_headers_are_refused(start: Start) -> None:
    server = start()
    assert post(server, host="evil.example") == 421
    assert post(server, origin="http://evil.example") == 403
    assert post(server, host="localhost:80", origin="http://localhost:5173") == 200


def test_a_port_in_use_is_one_line_and_exit_code_1(
    command: list[str], environment: dict[str, str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*command, "--transport", "http", "--port", port],
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "choose another --host or --port" in line


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_stops_the_server_in_order(start: Start, sent: signal.Signals) -> None:
    server = start()
    assert post(server) == 200
    server.process.send_signal(sent)
    assert server.process.stderr is not None
    rest = server.process.stderr.read()
    assert server.process.wait(PATIENCE) == 0
    assert rest == ""


@pytest.mark.parametrize("host", ["", " "])
def test_an_empty_address_is_refused_rather_than_taken_for_all(host: str) -> None:
    with pytest.raises(ServerError, match="Give an address"):
        listen(host, 0)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.0.0.2", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("192.168.1.5", False),
        ("localhost.example", False),
    ],
)
def test_only_loopback_addresses_go_without_a_token(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
