"""A server of ours over HTTP in a process of its own, over a filled library, and a client."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2

from benchmarks._filled import fill, noise
from benchmarks._machine import describe
from benchmarks._tables import Table, progress, save
from mcp_vlsearch.core.scan import ScannedFile
from mcp_vlsearch.encoders.qwen3_vl import Qwen3VLEncoder
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.storybook.gallery import draw_gallery

__all__ = ["Answer", "Caller", "Running", "prepared", "run_over_http", "running"]

_HEADERS: Final = {"accept": "application/json, text/event-stream"}
_SECONDS: Final = 300.0


@dataclass(frozen=True)
class Running:
    """A server: where it answers, and its process."""

    url: str
    process: int


@dataclass(frozen=True)
class Answer:
    """What came of a call: the result, or None and why, and the seconds until it was there.

    ``is_lost`` if nothing came of it at all, not even an error of the tool.
    """

    result: Mapping[str, Any] | None
    why: str
    seconds: float
    is_lost: bool


def prepared(folder: Path, rows: int, pictures: int) -> Path:
    """Make a library of so many vectors without files; return a folder of pictures to index."""
    library, drawn = folder / "library", folder / "pictures"
    library.mkdir()
    encoder = Qwen3VLEncoder(Settings.model_validate({"library": library, "model": "storybook"}))
    files = (ScannedFile(f"/filled/{i}.jpg", 3_000_000, i) for i in range(rows))
    fill(library, "/filled", files, noise(rows, encoder.dim), encoder=encoder)
    draw_gallery(drawn, pictures, seed=1)
    return drawn


@contextmanager
def running(library: Path, roots: Path) -> Iterator[Running]:
    """Run a server over a library until the block ends."""
    environment = {
        **os.environ,
        "MCP_VLSEARCH_LIBRARY": str(library),
        "MCP_VLSEARCH_MODEL": "storybook",
        "MCP_VLSEARCH_ROOTS": os.pathsep.join([str(roots), "/filled"]),
        "MCP_VLSEARCH_SLOW_CALL_SECONDS": "600",
        "MCP_VLSEARCH_CALL_SECONDS": "600",
    }
    command = [sys.executable, "-m", "mcp_vlsearch", "serve", "--transport", "http", "--port", "0"]
    log = library.parent / "server.log"
    with log.open("w") as err, subprocess.Popen(command, env=environment, stderr=err) as process:
        try:
            while not (found := re.search(r"serving MCP at (\S+);", log.read_text())):
                if process.poll() is not None:
                    sys.exit(f"the server did not start: {log.read_text()}")
                time.sleep(0.05)
            yield Running(found[1], process.pid)
        finally:
            process.terminate()


def run_over_http(
    options: argparse.Namespace,
    measure: Callable[[Running, Path], Coroutine[Any, Any, Sequence[Table]]],
) -> None:
    """Measure a server over ``options.rows`` vectors, and write the tables as ``options.out``.

    ``measure`` gets the server and a folder of ``options.pictures`` pictures to index.
    """
    if sys.platform != "linux":
        sys.exit("this benchmark reads memory from /proc, which only Linux has")
    machine = describe()
    with tempfile.TemporaryDirectory() as name:
        progress("drawing pictures")
        folder = prepared(Path(name), options.rows, options.pictures)
        with running(Path(name) / "library", folder) as server:
            tables = asyncio.run(measure(server, folder))
    save(options.out, tables, machine, vars(options))


class Caller:
    """A session with a server; any number of calls at once, each on a connection of its own."""

    def __init__(self, server: Running) -> None:
        self._url = server.url
        limits = httpx2.Limits(max_connections=None)
        self._http = httpx2.AsyncClient(headers=_HEADERS, timeout=_SECONDS, limits=limits)
        self._number = 0

    async def __aenter__(self) -> Caller:
        """Begin the session."""
        about = {"name": "load", "version": "1"}
        given = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": about}
        answer = await self._post("initialize", given)
        answer.raise_for_status()
        self._http.headers["mcp-session-id"] = answer.headers["mcp-session-id"]
        self._http.headers["mcp-protocol-version"] = "2025-11-25"
        done = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        (await self._http.post(self._url, json=done)).raise_for_status()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def call(self, tool: str, **arguments: Any) -> Answer:
        """Call a tool."""
        began = time.perf_counter()
        try:
            answer = await self._post("tools/call", {"name": tool, "arguments": arguments})
            result, why = _result(answer)
        except (httpx2.HTTPError, ValueError) as error:
            result, why = None, repr(error)
        seconds = time.perf_counter() - began
        if result is not None and result.get("isError"):
            return Answer(None, str(result["content"])[:300], seconds, is_lost=False)
        return Answer(result, why, seconds, is_lost=result is None)

    async def _post(self, method: str, params: Mapping[str, Any]) -> httpx2.Response:
        self._number += 1
        message = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}
        return await self._http.post(self._url, json=message)


def _result(answer: httpx2.Response) -> tuple[Mapping[str, Any] | None, str]:
    """Return what a tool gave, which may be an error, or None and why there is nothing."""
    if answer.status_code != 200:
        return None, f"status {answer.status_code}: {answer.text[:200]}"
    for line in answer.text.splitlines():
        message = json.loads(line[5:]) if line.startswith("data:") and line[5:].strip() else {}
        if "result" in message:
            return message["result"], ""
        if "error" in message:
            return None, str(message["error"])
    return None, "there was no answer in the stream"
