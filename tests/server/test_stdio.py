"""The server as a process of its own, over stdin and stdout."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters

from .conftest import PATIENCE
from .test_tools import ERAS, data_of, error_of, names_of

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="needs named pipes and signals")


def call(number: int, tool: str, **arguments: Any) -> dict[str, Any]:
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


@pytest.fixture
def gate(tmp_path: Path, environment: dict[str, str]) -> Path:
    """Return a named pipe that the fake encoder's weights come through."""
    pipe = tmp_path / "gate"
    os.mkfifo(pipe)
    environment["FAKE_GATE"] = str(pipe)
    return pipe


@pytest.fixture
def server(command: list[str], environment: dict[str, str]) -> StdioServerParameters:
    return StdioServerParameters(command=command[0], args=command[1:], env=environment)


@contextmanager
def raw(
    command: list[str], environment: Mapping[str, str], *messages: Mapping[str, Any]
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start the server, shake hands, and send messages."""
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        for message in (INITIALIZE, INITIALIZED, *messages):
            process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()
        try:
            yield process
        finally:
            process.kill()


def answer(process: "subprocess.Popen[bytes]", number: int) -> dict[str, Any]:
    """Read lines, which must all be protocol, up to the answer of that number."""
    assert process.stdout is not None
    for line in process.stdout:
        message: dict[str, Any] = json.loads(line)
        assert message["jsonrpc"] == "2.0"
        if message.get("id") == number:
            return message
    raise AssertionError("the server ended without an answer")


@pytest.mark.end_to_end
@pytest.mark.anyio
@pytest.mark.parametrize("era", ERAS)
async def test_pictures_are_found_over_stdio(server: StdioServerParameters, era: str) -> None:
    async with Client(server, mode=era) as client:
        assert client.protocol_version == ("2025-11-25" if era == "legacy" else "2026-07-28")
        assert data_of(await client.call_tool("index_images"))["encoded"] == 5
        found = await client.call_tool("search_by_text", {"query": "yellow"})
        assert names_of(found)[0] == "yellow.png"
        assert "lies outside" in error_of(
            await client.call_tool("search_by_image", {"image": "../secret.png"})
        )


@needs_posix
@pytest.mark.anyio
@pytest.mark.parametrize("era", ERAS)
async def test_connecting_and_listing_does_not_wait_for_the_model(
    gate: Path, server: StdioServerParameters, era: str
) -> None:
    loading: list[str] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        del progress, total
        if message and "loading the encoder" in message:
            loading.append(message)
            if len(loading) == 1:
                await anyio.Path(gate).write_bytes(b"weights")

    with anyio.fail_after(PATIENCE):
        async with Client(server, mode=era) as client:
            await client.list_tools()
            report = await client.call_tool("index_images", progress_callback=on_progress)
    assert data_of(report)["encoded"] == 5
    assert loading


def test_a_server_is_built_without_the_libraries_that_run_models(
    environment: dict[str, str],
) -> None:
    script = """
import sys
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.server import build_server
from mcp_vlsearch.settings import load_settings

build_server(Library(load_settings({"encoder": "qwen3-vl"})))
print(*{"torch", "transformers", "faiss", "pandas"} & set(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n"


def test_nothing_but_protocol_is_on_stdout_whatever_a_library_prints(
    command: list[str], environment: dict[str, str]
) -> None:
    with raw(command, environment, call(2, "index_images")) as process:
        assert answer(process, 2)["result"]["structuredContent"]["encoded"] == 5
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert out == b""
    for noise in (b"made", b"loading", b"encoding"):
        assert err.splitlines().count(noise) == 2 * (2 if noise == b"encoding" else 1)


@needs_posix
@pytest.mark.parametrize(
    ("variable", "doing"), [("FAKE_GATE", b"loading"), ("FAKE_HANG", b"encoding")]
)
def test_a_client_that_leaves_during_a_call_takes_the_server_with_it(
    command: list[str], environment: dict[str, str], gate: Path, variable: str, doing: bytes
) -> None:
    del environment["FAKE_GATE"]
    environment[variable] = str(gate)
    with raw(command, environment, call(2, "index_images")) as process:
        answer(process, 1)
        assert process.stderr is not None
        for line in process.stderr:  # until it does what will never end
            if line.startswith(doing):
                break
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0


@needs_posix
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_ends_the_server_without_a_traceback(
    command: list[str], environment: dict[str, str], sent: signal.Signals
) -> None:
    with raw(command, environment, call(2, "library_status")) as process:
        answer(process, 2)
        process.send_signal(sent)
        assert process.stderr is not None
        err = process.stderr.read()
        assert process.wait(PATIENCE) == -sent
    assert b"Traceback" not in err


def test_a_torn_message_is_survived(command: list[str], environment: dict[str, str]) -> None:
    with raw(command, environment) as process:
        answer(process, 1)
        assert process.stdin is not None
        process.stdin.write(b'{"jsonrpc": "2.0", \xff\n\n')
        process.stdin.write(json.dumps(call(2, "library_status")).encode() + b"\n")
        process.stdin.flush()
        assert answer(process, 2)["result"]["isError"] is False
