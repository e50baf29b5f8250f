"""A server that ends gives what is in flight an open library, and some time."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from io import StringIO
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn

from benchmarks._server import Answer, Caller, Running
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.server import http, serve_http, serve_stdio, stdio
from mcp_vlsearch.server.building import LibraryServer
from mcp_vlsearch.settings import Settings

from .conftest import PATIENCE, MakeLibrary, Server, Start
from .test_stdio import needs_posix


async def no_client(*_: object) -> None:
    """Be a session that is over already."""


@pytest.mark.parametrize(
    ("module", "serve"),
    [(stdio, serve_stdio), (http, lambda settings: serve_http(settings, port=0))],
    ids=["stdio", "http"],
)
def test_the_library_is_open_until_calls_in_flight_had_their_time(
    module: Any,
    serve: Callable[[Settings], None],
    library: Library,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images: list[int] = []
    graces: list[float] = []

    def leave(grace: float) -> None:
        images.append(library.status().images)
        graces.append(grace)

    monkeypatch.setattr(module, "leave", leave)
    monkeypatch.setattr(module, "Library", lambda *_: library)
    monkeypatch.setattr(stdio, "_take_stdout", StringIO)
    monkeypatch.setattr(LibraryServer, "run_over_stdio", no_client)
    monkeypatch.setattr(uvicorn.Server, "run", lambda *_, **__: None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    serve(library.settings)
    assert images == [5]
    assert graces[0] > 0


def run(script: str) -> "subprocess.CompletedProcess[str]":
    """Run a script that would never end by itself."""
    return subprocess.run(
        [sys.executable, "-c", "import threading\n" + script],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_a_thread_that_never_ends_does_not_keep_the_process() -> None:
    done = run("""
from mcp_vlsearch.leaving import leave
threading.Thread(target=threading.Event().wait).start()
print("said", end="")
leave(7)
print("unsaid")
""")
    assert (done.returncode, done.stdout, done.stderr) == (7, "said", "")


def test_a_thread_that_ends_in_time_is_waited_for() -> None:
    done = run("""
from mcp_vlsearch.leaving import leave
threading.Thread(target=lambda: print("done")).start()
leave(7, grace=60)
print("went on")
""")
    assert (done.returncode, done.stdout) == (0, "done\nwent on\n")


@pytest.fixture
def hang(tmp_path: Path, environment: dict[str, str]) -> Path:
    """Return a named pipe that must be written to for each batch, of one picture."""
    pipe = tmp_path / "hang"
    os.mkfifo(pipe)
    environment |= {"FAKE_HANG": str(pipe), "MCP_VLSEARCH_BATCH_SIZE": "1"}
    return pipe


def answer_of(server: Server, tool: str, **arguments: str) -> Answer:
    """Call a tool and return what came of it, if only the end of the connection."""

    async def called() -> Answer:
        async with Caller(Running(server.url, server.process.pid)) as caller:
            return await caller.call(tool, **arguments)

    return asyncio.run(called())


@contextmanager
def indexing(server: Server, hang: Path, library: Library) -> Iterator["Future[Answer]"]:
    """Let a server index, with two batches done and the third in flight until the block ends."""
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(answer_of, server, "index_images")
        for done in (1, 2):
            hang.write_text("go on")
            while library.status().images < done:
                assert not call.done(), call.result()
        with hang.open("w"):
            yield call


def until_closed(server: Server) -> None:
    """Wait until a server takes no connections any more."""
    with suppress(httpx2.TransportError):
        while httpx2.get(server.url.replace("/mcp", "/healthz")):
            pass


def watch(call: "Future[Answer]") -> None:
    """Give a call time to be cut off: that is looked for twice a second."""
    with suppress(TimeoutError):
        call.result(0.8)


def rest_of(server: Server) -> str:
    """Wait for the end of a server, in order; return what it said since its start."""
    assert server.process.wait(PATIENCE) == 0
    assert server.process.stderr is not None
    return server.process.stderr.read()


@needs_posix
def test_a_signal_while_a_server_indexes_finishes_the_batch_and_answers_the_call(
    start: Start, hang: Path, make_library: MakeLibrary
) -> None:
    server = start()
    with indexing(server, hang, make_library(read_only=True)) as call:
        server.process.send_signal(signal.SIGTERM)
        until_closed(server)
        watch(call)
    answer = call.result(PATIENCE)
    assert not answer.is_lost
    assert "what is done stays; call again to go on" in answer.why
    assert "ERROR" not in rest_of(server)
    report = make_library().index()
    assert (report.unchanged, report.encoded, report.total_images) == (3, 2, 5)


@needs_posix
def test_a_signal_while_a_search_waits_for_the_model_cuts_it_off_by_nothing(
    start: Start, tmp_path: Path, environment: dict[str, str], make_library: MakeLibrary
) -> None:
    make_library().index()
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    environment["FAKE_GATE"] = str(gate)
    server = start()
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(answer_of, server, "search_by_text", query="red")
        with gate.open("w"):
            metrics = server.url.replace("/mcp", "/metrics")
            while "vlsearch_calls_running 1.0" not in httpx2.get(metrics).text:
                assert not call.done(), call.result()
            server.process.send_signal(signal.SIGTERM)
            until_closed(server)
            watch(call)
        answer = call.result(PATIENCE)
    assert answer.result is not None, answer.why
    assert answer.result["structuredContent"]["total_images"] == 5
    assert "ERROR" not in rest_of(server)


@needs_posix
def test_a_batch_that_outlasts_the_end_of_its_server_is_lost_and_the_next_run_goes_on(
    command: list[str], start: Start, hang: Path, make_library: MakeLibrary
) -> None:
    quick = "from mcp_vlsearch.server import http, listening; listening._GRACE = http.GRACE = 0.1"
    command[1:3] = ["-c", f"{quick}; import sys, mcp_vlsearch.cli as c; sys.exit(c.main())"]
    server = start()
    with indexing(server, hang, make_library(read_only=True)) as call:
        server.process.send_signal(signal.SIGTERM)
        assert call.result(PATIENCE).is_lost
        assert "ERROR" not in rest_of(server)
    report = make_library().index()
    assert (report.unchanged, report.encoded, report.total_images) == (2, 3, 5)
