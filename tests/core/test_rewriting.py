"""Queries are put into other words, once, and searched as they are where that fails."""

import logging
import threading
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from mcp_vlsearch.cache.phrasings import Phrasings
from mcp_vlsearch.core import rewriting
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.progress import Progress
from mcp_vlsearch.errors import (
    CancelledError,
    CheckpointError,
    PluginError,
    QueryError,
    RewriterError,
)
from mcp_vlsearch.plugins import BUILT_IN
from mcp_vlsearch.settings import Settings

Open = Callable[..., Library]


class Plain:
    """A rewriter without a model."""

    name = "plain"

    def __init__(self, settings: Settings) -> None: ...

    def rewrite(self, query: str) -> list[str]:
        return ["blue", query, "blue", " ", "x" * 9000]


class Broken(Plain):
    def rewrite(self, query: str) -> list[str]:
        raise ZeroDivisionError(query)


class Slow(Plain):
    """One with a model, which tests steer."""

    name = "slow"
    fingerprint = "slow-1"
    made: ClassVar[int] = 0
    loaded: ClassVar[int] = 0
    asked: ClassVar[list[str]] = []
    error: ClassVar[Exception | None] = None
    missing: ClassVar[Exception | None] = None
    gate: ClassVar[threading.Event] = threading.Event()

    def __init__(self, _: Settings) -> None:
        type(self).made += 1
        if self.missing:
            raise self.missing

    def load(self) -> None:
        type(self).loaded += 1

    def rewrite(self, query: str) -> list[str]:
        assert self.gate.wait(60)
        self.asked.append(query)
        if self.error:
            raise self.error
        return ["blue"]


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("Plain", "Broken", "Slow"):
        monkeypatch.setitem(BUILT_IN["rewriters"], name.lower(), f"{__name__}:{name}")
    for name, value in {
        "made": 0,
        "loaded": 0,
        "asked": [],
        "error": None,
        "missing": None,
    }.items():
        monkeypatch.setattr(Slow, name, value)
    monkeypatch.setattr(Slow, "gate", threading.Event())
    Slow.gate.set()


@pytest.fixture
def open_library(library: Library) -> Open:
    """What opens the indexed library anew, as another process would."""
    library.index()

    def open_again(**settings: Any) -> Library:
        # not by open(), which would make flags of them
        given = {"library": library.settings.library, "encoder": "mosaic", "model": "colours"}
        return Library(Settings.model_validate({**given, **settings}))

    return open_again


def test_the_original_comes_first_then_the_callers_phrasings_then_the_rewriters(
    open_library: Open,
) -> None:
    with open_library() as library:
        found = library.search_by_text("red", alternatives=["lime", "red"], rewrite="plain")
        assert found.queries == ["red", "lime", "blue"]
        same = library.search_by_text("red", alternatives=["lime", "blue"])
    assert [hit.path for hit in found.hits] == [hit.path for hit in same.hits]
    assert [hit.score for hit in found.hits] == [hit.score for hit in same.hits]


def test_the_setting_counts_where_the_call_names_none(open_library: Open) -> None:
    with open_library(rewrite="plain") as library:
        assert library.search_by_text("red").queries == ["red", "blue"]
        assert library.search_by_text("red", rewrite="off").queries == ["red"]


def test_what_was_written_is_asked_for_once_also_by_another_process(open_library: Open) -> None:
    with open_library() as library:
        for _ in range(2):
            assert library.search_by_text("red", rewrite="slow").queries == ["red", "blue"]
        library.search_by_text("green", rewrite="slow")
    with open_library() as library:
        assert library.search_by_text("red", rewrite="slow").queries == ["red", "blue"]
    assert Slow.asked == ["red", "green"]


def test_another_model_does_not_get_what_one_wrote(
    open_library: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_library() as library:
        library.search_by_text("red", rewrite="slow")
    monkeypatch.setattr(Slow, "fingerprint", "slow-2")
    with open_library() as library:
        library.search_by_text("red", rewrite="slow")
    assert Slow.asked == ["red", "red"]


def test_a_read_only_library_is_rewritten_for_as_well(open_library: Open) -> None:
    with open_library(read_only=True) as library:
        for _ in range(2):
            assert library.search_by_text("red", rewrite="slow").queries == ["red", "blue"]
        assert Slow.asked == ["red"]
        assert Phrasings(library.settings.library).count() == 0


@pytest.mark.parametrize("error", [RewriterError("the server is away"), ValueError("oops")])
def test_where_it_fails_the_query_is_searched_as_it_is_with_a_warning(
    open_library: Open, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    Slow.error = error
    with open_library() as library:
        found = library.search_by_text("red", rewrite="slow")
    assert (found.queries, len(found.hits)) == (["red"], 10)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert str(error) in record.getMessage()
    assert Phrasings(library.settings.library).count() == 0, "a failure is not remembered"


def test_a_rewriter_that_failed_rests_unless_it_is_asked_for_by_name(
    open_library: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(rewriting, "clock", lambda: now[0])
    Slow.error = RewriterError("away")
    with open_library(rewrite="slow") as library:
        library.search_by_text("red")
        Slow.error = None
        assert library.search_by_text("red").queries == ["red"]
        assert library.search_by_text("green", rewrite="slow").queries == ["green", "blue"]
        now[0] += 31
        assert library.search_by_text("red").queries == ["red", "blue"]


def test_one_that_can_not_be_had_is_an_error_only_where_it_was_asked_for(
    open_library: Open, caplog: pytest.LogCaptureFixture
) -> None:
    Slow.missing = CheckpointError("there is no directory 'x': give --rewrite-model")
    with open_library(rewrite="slow") as library:
        assert library.search_by_text("red").queries == ["red"]
        assert "there is no directory 'x'" in caplog.text
        with pytest.raises(CheckpointError, match="give --rewrite-model"):
            library.search_by_text("red", rewrite="slow")
        Slow.missing = None
        assert library.search_by_text("red", rewrite="slow").queries == ["red", "blue"]
    Slow.missing = CheckpointError("gone")
    folder = library.settings.library
    with (
        Library.open(folder, encoder="mosaic", model="colours", rewrite="slow") as library,
        pytest.raises(CheckpointError, match="gone"),
    ):
        library.search_by_text("red")


def test_a_name_that_nobody_has_is_an_error_whoever_says_it(open_library: Open) -> None:
    with open_library(rewrite="nonsense") as library:
        with pytest.raises(PluginError, match="no rewriter is called 'nonsense'"):
            library.search_by_text("red")
        with pytest.raises(PluginError, match="no rewriter is called 'other'"):
            library.search_by_text("red", rewrite="other")


def test_an_empty_library_asks_no_model(library: Library) -> None:
    assert library.search_by_text("red", rewrite="slow").queries == ["red"]
    assert (Slow.made, Slow.asked) == (0, [])


def test_a_query_that_excludes_itself_is_refused_whatever_a_rewriter_adds(
    open_library: Open,
) -> None:
    with open_library() as library:
        for rewrite in ("off", "plain"):
            with pytest.raises(QueryError, match="asks for what it excludes"):
                library.search_by_text("red", exclude="#ff0000", rewrite=rewrite)
        library.search_by_text("red", alternatives=["blue"], exclude="red", rewrite="plain")


def test_a_query_that_can_not_be_searched_is_not_rewritten(open_library: Open) -> None:
    with open_library() as library:
        for query in ("", " ", "x" * 8001):
            with pytest.raises(QueryError):
                library.search_by_text(query, rewrite="slow")
        with pytest.raises(QueryError):
            library.search_by_text("red", alternatives=["x" * 8001], rewrite="slow")
    assert Slow.made == 0


def test_whoever_waits_hears_of_it_and_can_stop(
    open_library: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewriting, "_HEARTBEAT", 0.001)
    Slow.gate.clear()
    said: list[str] = []

    def report(progress: Progress) -> None:
        said.append(progress.message or "")
        if "slow is rewriting the query, 3 s" in said[-1]:
            raise CancelledError("stopped")

    with open_library() as library:
        with pytest.raises(CancelledError):
            library.search_by_text("red", rewrite="slow", report=report)
        Slow.gate.set()
        assert library.search_by_text("red", rewrite="slow").queries == ["red", "blue"]


def test_warming_up_makes_the_rewriter_of_the_setting_with_its_weights(
    open_library: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = threading.Event()
    monkeypatch.setattr(Slow, "load", lambda _: loaded.set())
    with open_library(rewrite="slow") as library:
        library.warm_up()
        assert loaded.wait(60)
        library.search_by_text("red")
    assert Slow.made == 1


def test_a_plugin_that_breaks_stops_no_search(open_library: Open) -> None:
    with open_library(rewrite="broken") as library:
        assert library.search_by_text("red").queries == ["red"]
        with pytest.raises(RewriterError, match="'plain' failed: ZeroDivisionError"):
            library.query_vectors(["red"])
