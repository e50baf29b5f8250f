"""Many calls at once: those that wait hold up no others."""

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client

from benchmarks._server import Answer, Caller, Running
from mcp_vlsearch.core.progress import ProgressCallback, silent
from mcp_vlsearch.core.writing import writer_lock
from mcp_vlsearch.server import build_server
from mcp_vlsearch.server.building import LibraryServer
from mcp_vlsearch.server.calls import Outcome
from mcp_vlsearch.tools import _calls, index_images
from mcp_vlsearch.tools.threads import Threads
from mcp_vlsearch.types import IndexReport

from .conftest import PATIENCE, MakeLibrary, Start
from .fake import COLOURS, ColourEncoder
from .test_tools import data_of, names_of

pytestmark = [pytest.mark.anyio, pytest.mark.end_to_end]

MANY = 60
"""More calls than there are threads for any kind of them."""


class UnderWay:
    """Counts the calls of a server that have begun and not ended; ``many`` is set at so many."""

    def __init__(self, server: LibraryServer) -> None:
        self.count = 0
        self.many = anyio.Event()
        server.counter = self

    def began(self) -> None:
        self.count += 1
        if self.count == MANY:
            self.many.set()

    def ended(self, tool: str, outcome: Outcome, seconds: float) -> None:
        del tool, outcome, seconds
        self.count -= 1


async def test_calls_that_wait_for_a_writer_leave_threads_for_searches(
    make_library: MakeLibrary,
) -> None:
    library = make_library(call_seconds=10 * PATIENCE)
    library.index()
    reports: list[dict[str, Any]] = []
    server = build_server(library)
    under_way = UnderWay(server)
    writing = ExitStack()
    writing.enter_context(writer_lock(library.settings.library, silent))
    async with Client(server) as client:

        async def index() -> None:
            reports.append(data_of(await client.call_tool("index_images", {"force": True})))

        with writing, anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                for _ in range(MANY):
                    group.start_soon(index)
                await under_way.many.wait()
                found = await client.call_tool("search_by_text", {"query": "blue"})
                assert names_of(found)[0] == "blue.png"
                assert reports == []
                writing.close()
    assert [report["complete"] for report in reports] == MANY * [True]


async def test_searches_that_wait_for_the_model_leave_threads_for_the_status(
    make_library: MakeLibrary, encoder: type[ColourEncoder]
) -> None:
    make_library().index()
    encoder.gate.clear()
    server = build_server(make_library(call_seconds=10 * PATIENCE))
    under_way = UnderWay(server)
    found: list[str] = []
    async with Client(server) as client:

        async def search(number: int) -> None:
            hits = await client.call_tool("search_by_text", {"query": f"green {number}"})
            found.append(names_of(hits)[0])

        try:
            with anyio.fail_after(PATIENCE):
                async with anyio.create_task_group() as group:
                    for number in range(MANY):
                        group.start_soon(search, number)
                    await under_way.many.wait()
                    status = data_of(await client.call_tool("library_status"))
                    assert (status["images"], found) == (5, [])
                    encoder.gate.set()
        finally:
            encoder.gate.set()
    assert found == MANY * ["green.png"]


async def test_time_in_which_a_call_waited_for_a_thread_counts(
    make_library: MakeLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Threads("one at a time", 1)
    monkeypatch.setattr(index_images, "LONG", one)
    now = [0.0]
    monkeypatch.setattr(_calls, "_now", lambda: now[0])
    library = make_library(call_seconds=45)
    both = threading.Event()
    asked: list[float] = []

    def index(*_: Any, seconds: float, report: ProgressCallback, **given: Any) -> IndexReport:
        del report, given
        asked.append(seconds)
        assert both.wait(PATIENCE)
        now[0] += seconds
        return report_of_nothing

    report_of_nothing = library.index()
    monkeypatch.setattr(library.runs, "index", index)
    async with Client(build_server(library)) as client, anyio.create_task_group() as group:
        for _ in range(2):
            group.start_soon(client.call_tool, "index_images")
        while not one.limiter().statistics().tasks_waiting:
            await anyio.sleep(0)
        both.set()
    assert asked == [45, 0]


@contextmanager
def descriptors(most: int) -> Iterator[None]:
    """Let this process, and those that it starts meanwhile, open so many files."""
    if sys.platform == "win32":  # which has no such limit
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_none_of_500_calls_at_once_over_http_is_lost(start: Start) -> None:
    with descriptors(256):  # as some systems begin
        server = Running(start().url, 0)
    # All are different, so none is known from another.
    wanted = [f"{colour} {n}" for n, colour in zip(range(500), cycle(COLOURS), strict=False)]
    answers: dict[str, Answer] = {}
    with descriptors(2_000):
        async with Caller(server) as caller:
            assert (await caller.call("index_images")).result is not None

            async def search(query: str) -> None:
                answers[query] = await caller.call("search_by_text", query=query, top_k=1)

            async with anyio.create_task_group() as group:
                for query in wanted:
                    group.start_soon(search, query)
    assert len(answers) == 500
    for query, answer in answers.items():
        assert answer.result is not None, answer.why
        data = answer.result["structuredContent"]
        assert data["queries"] == [query]
        assert Path(data["hits"][0]["path"]).stem == query.split()[0]
