"""What the web page logs: a line for each call, as a server does, without what was asked."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.progress import Progress, ProgressCallback
from mcp_vlsearch.core.steps import step
from mcp_vlsearch.errors import CancelledError, QueryError
from mcp_vlsearch.settings import load_settings
from mcp_vlsearch.webui.calls import follow


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library(load_settings({"library": tmp_path / "library"}, environment={})) as library:
        yield library


def fields(caplog: pytest.LogCaptureFixture) -> list[tuple[Any, Any]]:
    calls = [vars(record) for record in caplog.records if hasattr(record, "tool")]
    assert all(call["seconds"] >= 0 for call in calls)
    return [(call["tool"], call["outcome"]) for call in calls]


@pytest.mark.parametrize(
    ("error", "outcome", "level"),
    [
        (None, "ok", logging.INFO),
        (QueryError("a secret: give another"), "refused", logging.INFO),
        (CancelledError("stopped"), "cancelled", logging.INFO),
        (ValueError("a secret"), "failed", logging.WARNING),
    ],
)
def test_a_call_of_the_page_is_a_line_with_method_outcome_and_seconds(
    library: Library,
    caplog: pytest.LogCaptureFixture,
    error: Exception | None,
    outcome: str,
    level: int,
) -> None:
    caplog.set_level(logging.INFO, "mcp_vlsearch")

    def work(report: ProgressCallback) -> None:
        report(Progress(1, 2, "half"))
        if error:
            raise error

    raised = None
    try:
        list(follow(library, "search_by_text", work, lambda _: {}))
    except Exception as caught:
        raised = caught
    assert raised is error
    assert fields(caplog) == [("search_by_text", outcome)]
    [record] = caplog.records
    assert record.levelno == level
    assert record.getMessage().startswith(f"search_by_text {outcome} after 0.")
    assert "secret" not in caplog.text


def test_a_page_that_goes_away_cancels_its_call(
    library: Library, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mcp_vlsearch")

    def work(report: ProgressCallback) -> None:
        while True:
            report(Progress(1, 2, "half"))

    shown = follow(library, "index", work, lambda _: {"told": "half"})
    assert next(shown) == {"told": "half"}
    shown.close()
    while not fields(caplog):  # the thread ends by itself
        pass
    assert fields(caplog) == [("index", "cancelled")]


def test_a_slow_call_of_the_page_is_a_warning_with_its_steps(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def work(_: ProgressCallback) -> None:
        with step("looking"):
            return

    given = {"library": tmp_path / "library", "slow_call_seconds": 1e-9}
    with Library(load_settings(given, environment={})) as library:
        list(follow(library, "duplicates", work, lambda _: {}))
    [slow] = caplog.records
    assert "slow call: duplicates took" in slow.getMessage()
    assert "looking" in vars(slow)["steps"]
