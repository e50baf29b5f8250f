"""A server that ends gives what is in flight an open library, and some time."""

import signal
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
import uvicorn

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.server import http, serve_http, serve_stdio, stdio
from mcp_vlsearch.server.building import LibraryServer
from mcp_vlsearch.settings import Settings

from .conftest import PATIENCE


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
