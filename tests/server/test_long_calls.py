"""Long calls report progress, can be stopped, and go on where they stopped."""

import threading
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client

from mcp_vlsearch.core.progress import Progress
from mcp_vlsearch.errors import CancelledError, ImageError
from mcp_vlsearch.server import build_server
from mcp_vlsearch.tools import _calls
from mcp_vlsearch.tools._calls import Relay, Rising

from .conftest import MakeLibrary
from .fake import ColourEncoder
from .test_tools import ERAS, data_of, error_of, names_of

pytestmark = pytest.mark.end_to_end

Sent = tuple[float, float | None, str | None]


@pytest.mark.anyio
@pytest.mark.parametrize("era", ERAS)
async def test_a_first_search_waits_for_the_model_with_progress(
    make_library: MakeLibrary, encoder: type[ColourEncoder], era: str
) -> None:
    make_library().index()
    encoder.gate.clear()
    reports: list[Sent] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        reports.append((progress, total, message))
        if len(reports) == 2:
            encoder.gate.set()

    async with Client(build_server(make_library()), mode=era) as client:
        found = await client.call_tool(
            "search_by_text", {"query": "green"}, progress_callback=on_progress
        )
    assert names_of(found)[0] == "green.png"
    assert all("loading the encoder" in (message or "") for _, _, message in reports)
    assert reports[0][0] < reports[1][0]


@pytest.mark.anyio
@pytest.mark.parametrize("era", ERAS)
async def test_a_cancelled_index_keeps_finished_batches_and_goes_on_when_called_again(
    make_library: MakeLibrary,
    encoder: type[ColourEncoder],
    monkeypatch: pytest.MonkeyPatch,
    era: str,
) -> None:
    in_third_batch, go_on = threading.Event(), threading.Event()

    def before_batch(finished: int) -> None:
        if finished == 2:
            in_third_batch.set()
            assert go_on.wait(30)

    monkeypatch.setattr(encoder, "before_batch", staticmethod(before_batch))
    library = make_library(batch_size=1)
    async with Client(build_server(library), mode=era) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "index_images")
            assert await anyio.to_thread.run_sync(in_third_batch.wait, 30)
            group.cancel_scope.cancel()
        # The server has seen the cancellation when it has answered what came after it.
        assert data_of(await client.call_tool("library_status"))["images"] == 2
        go_on.set()
        report = data_of(await client.call_tool("index_images"))
    assert (report["scanned"], report["unchanged"], report["total_images"]) == (5, 3, 5)
    assert len(encoder.encoded) == 5


async def result_of(client: Client, tool: str, given: dict[str, Any]) -> Any:
    """Call as an assistant does on a slow machine: again, while the answer says so."""
    for _ in range(100):
        result = await client.call_tool(tool, given)
        if not (result.is_error and "call again" in error_of(result)):
            break
    return data_of(result)


@pytest.mark.anyio
@pytest.mark.parametrize("era", ERAS)
async def test_a_long_index_answers_in_time_goes_on_and_is_waited_for_by_the_next_call(
    make_library: MakeLibrary,
    pictures: Path,
    encoder: type[ColourEncoder],
    monkeypatch: pytest.MonkeyPatch,
    era: str,
) -> None:
    in_third_batch, go_on = threading.Event(), threading.Event()

    def before_batch(finished: int) -> None:
        if finished == 2:
            in_third_batch.set()
            assert go_on.wait(30)

    monkeypatch.setattr(encoder, "before_batch", staticmethod(before_batch))
    library = make_library(batch_size=1, call_seconds=0.3)
    async with Client(build_server(library), mode=era) as client:
        report = data_of(await client.call_tool("index_images"))
        while not in_third_batch.is_set():
            report = data_of(await client.call_tool("index_images"))
        report = data_of(await client.call_tool("index_images"))
        assert (report["complete"], report["scanned"], report["added"]) == (False, 5, 2)
        assert report["remaining"] == 3
        assert report["next_step"].startswith("still under way (indexing 2 of 5")
        given = {"image": str(pictures / "blue.png")}
        found = await result_of(client, "search_by_image", given)
        assert found["total_images"] == 2, "what is there can be searched"
        go_on.set()
        while not report["complete"]:
            report = data_of(await client.call_tool("index_images"))
    assert report["total_images"] == 5
    assert len(encoder.encoded) == 5, "nothing was done twice"


@pytest.mark.anyio
async def test_a_search_that_would_outlast_the_client_says_why_and_the_model_goes_on_loading(
    make_library: MakeLibrary, encoder: type[ColourEncoder]
) -> None:
    make_library().index()
    encoder.gate.clear()
    encoder.loading.clear()
    async with Client(build_server(make_library(call_seconds=1.2))) as client:
        error = error_of(await client.call_tool("search_by_text", {"query": "green"}))
        assert error == (
            "this takes longer than a call may (loading the encoder colour in fp32 on cpu, 1 s): "
            "it goes on by itself, call again with the same arguments to get its result"
        )
        assert encoder.loading.is_set()
        encoder.gate.set()
        found = await client.call_tool("search_by_text", {"query": "green"})
        assert names_of(found)[0] == "green.png"


class Explaining:
    """Holds the encoder up while it explains, and counts how often it was asked to."""

    def __init__(self, encoder: type[ColourEncoder], monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        self.go_on = threading.Event()
        self.error: Exception | None = None
        plain = encoder.explain

        def explain(encoder: ColourEncoder, *given: Any) -> Any:
            self.asked += 1
            assert self.go_on.wait(30)
            if self.error is not None:
                raise self.error
            return plain(encoder, *given)

        monkeypatch.setattr(encoder, "explain", explain)


@pytest.mark.anyio
@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("is_over", [False, True])
async def test_a_long_call_goes_on_and_the_same_call_gets_its_result(
    make_library: MakeLibrary,
    pictures: Path,
    encoder: type[ColourEncoder],
    monkeypatch: pytest.MonkeyPatch,
    era: str,
    is_over: bool,
) -> None:
    make_library().index()
    explaining = Explaining(encoder, monkeypatch)
    library = make_library(call_seconds=0.3)
    asked = {"image": str(pictures / "red.png"), "query": "red"}
    async with Client(build_server(library), mode=era) as client:
        error = error_of(await client.call_tool("explain_match", asked))
        while not explaining.asked:
            error = error_of(await client.call_tool("explain_match", asked))
        assert "call again with the same arguments to get its result" in error
        explaining.go_on.set()
        if is_over:
            [run] = library.runs._active
            assert await anyio.to_thread.run_sync(run.over.wait, 30)
        shown = await client.call_tool("explain_match", asked)
        while shown.is_error:
            shown = await client.call_tool("explain_match", asked)
        assert explaining.asked == 1, "nothing was done twice"
        await client.call_tool("explain_match", {**asked, "query": "blue"})
        assert explaining.asked == 2, "another query is other work"


@pytest.mark.anyio
async def test_what_a_long_call_failed_with_is_told_to_the_next_one(
    make_library: MakeLibrary,
    pictures: Path,
    encoder: type[ColourEncoder],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_library().index()
    explaining = Explaining(encoder, monkeypatch)
    explaining.error = ImageError("the picture is torn: mend it")
    asked = {"image": str(pictures / "red.png"), "query": "red"}
    async with Client(build_server(make_library(call_seconds=0.3))) as client:
        while not explaining.asked:
            error_of(await client.call_tool("explain_match", asked))
        explaining.go_on.set()
        error = error_of(await client.call_tool("explain_match", asked))
        while "takes longer" in error:
            error = error_of(await client.call_tool("explain_match", asked))
        assert "the picture is torn: mend it" in error
        assert explaining.asked == 1


def test_work_whose_call_is_over_is_stopped_at_its_next_report() -> None:
    relay = Relay()
    relay.report(Progress(1, 2, "one"))
    relay.stop()
    with pytest.raises(CancelledError, match="what is done stays"):
        relay.report(Progress(2, 2, "two"))


@pytest.mark.anyio
async def test_silent_work_still_gives_a_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_calls, "_LOOK", 0.001)
    monkeypatch.setattr(_calls, "_HEARTBEAT", 0.002)
    sent: list[Sent] = []
    async with anyio.create_task_group() as group:

        async def send(done: float, total: float | None, message: str | None) -> None:
            sent.append((done, total, message))
            if len(sent) == 3:
                group.cancel_scope.cancel()

        group.start_soon(Relay().forward, send)
    assert [message for _, _, message in sent] == ["working"] * 3
    assert sent[0][0] < sent[1][0] < sent[2][0]


@pytest.mark.anyio
async def test_a_burst_of_reports_is_told_by_its_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_calls, "_LOOK", 0.001)
    relay = Relay()
    for done in range(1000):
        relay.report(Progress(done, 1000, f"{done} of 1000"))
    sent: list[Sent] = []
    async with anyio.create_task_group() as group:

        async def send(done: float, total: float | None, message: str | None) -> None:
            sent.append((done, total, message))
            group.cancel_scope.cancel()

        group.start_soon(relay.forward, send)
    assert sent == [(999, 1000, "999 of 1000")]


@given(
    st.lists(
        st.tuples(st.integers(0, 10**6), st.none() | st.integers(0, 10**6)).map(
            lambda pair: Progress(pair[0], pair[1], "")
        ),
        max_size=30,
    )
)
def test_progress_only_rises_and_never_exceeds_its_total(news: list[Progress]) -> None:
    rising, last = Rising(), 0.0
    for progress in news:
        if progress.total is not None and progress.done > progress.total:
            continue
        value, total = rising.next(progress)
        assert value > last
        assert total is None or value <= total
        last = value


def test_counted_work_is_sent_as_it_is_counted() -> None:
    rising = Rising()
    assert [rising.next(Progress(done, 8, "")) for done in (2, 5, 8)] == [(2, 8), (5, 8), (8, 8)]


def test_a_second_stage_is_added_to_the_first() -> None:
    rising = Rising()
    rising.next(Progress(8, 8, "indexing"))
    assert rising.next(Progress(1, 4, "forgetting")) == (9, 12)
