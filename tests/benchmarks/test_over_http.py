"""Servers under load and over time: no answer is lost, and figures are what they say."""

import asyncio
import random
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from benchmarks import _server, load, soak
from benchmarks._churn import Churn
from benchmarks._mixed import WEIGHTS, Mix, what_is_wrong
from benchmarks._server import Caller, Running, prepared, running
from benchmarks._trend import sample, trend
from mcp_vlsearch.storybook import draw_gallery

from .conftest import tables

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

ROWS, PICTURES = 50, 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("served"), ROWS, PICTURES)


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Running]:
    with running(folder.parent / "library", folder) as server:
        yield server


@pytest.fixture(autouse=True)
def _one_server(folder: Path, server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no server for each benchmark: that takes seconds."""
    monkeypatch.setattr(_server, "prepared", lambda *_: folder)
    monkeypatch.setattr(_server, "running", lambda *_: nullcontext(server))


def test_searches_at_once_are_counted_beside_one_at_a_time(tmp_path: Path) -> None:
    out = tmp_path / "load.json"
    load.main(["--searches", "6", "--out", str(out)])
    (rows,) = tables(out).values()
    assert list(rows) == ["one at a time, idle", "all at once, idle", "all at once, indexing"]
    assert rows["one at a time, idle"]["to alone"] == pytest.approx(1)
    for row in rows.values():
        assert (row["searches"], row["lost"]) == (6, 0)
        assert 0 < row["p50, ms"] <= row["p95, ms"] <= row["p99, ms"]
        assert row["to alone"] > 0
        assert row["server CPU, ms"] > 0
        assert row["client CPU, ms"] > 0


def test_a_soak_tells_what_was_called_and_held_each_minute(tmp_path: Path) -> None:
    out = tmp_path / "soak.json"
    sizes = ["--rows", str(ROWS), "--changing", "4", "--callers", "2"]
    soak.main([*sizes, "--minutes", "0.03", "--every", "0.1", "--out", str(out)])
    minutes, tools, trends = tables(out).values()
    (minute,) = minutes.values()
    assert (
        minute["calls"]
        == tools["all"]["calls"]
        == sum(row["calls"] for tool, row in tools.items() if tool != "all")
    )
    assert minute["calls"] > minute["index runs"] > 0
    assert minute["index runs"] == tools["index_images"]["calls"]
    assert minute["encoded"] > 0
    assert all((row["errors"], row["lost"]) == (0, 0) for row in tools.values())
    assert minute["RSS, MiB"] > minute["own memory, MiB"] > 0
    assert list(trends) == ["RSS, MiB", "own memory, MiB", "threads", "descriptors"]


def test_every_tool_is_called_and_wrong_results_are_told(folder: Path, server: Running) -> None:
    mix = Mix(sorted(folder.glob("*.png")), 1)
    drawn = dict(mix.draw() for _ in range(300))
    assert drawn.keys() == WEIGHTS.keys()

    async def called() -> None:
        async with Caller(server) as caller:
            for tool, arguments in drawn.items():
                answer = await caller.call(tool, **arguments)
                assert answer.result is not None, answer.why
                assert what_is_wrong(tool, arguments, answer.result) == ""
            refused = await caller.call("search_by_text", query=" ")
            assert (refused.result, refused.is_lost) == (None, False)
            assert "query" in refused.why

    asyncio.run(called())


def test_a_server_that_is_not_there_loses_calls(server: Running) -> None:
    async def called() -> None:
        async with Caller(server) as caller:
            caller._url = "http://127.0.0.1:1/mcp"
            assert (await caller.call("library_status")).is_lost

    asyncio.run(called())


@pytest.mark.parametrize(
    ("tool", "arguments", "result", "said"),
    [
        ("view_images", {"images": ["a", "b"], "layout": "single"}, [1], "1 pictures instead of 2"),
        ("view_images", {"images": ["a", "b"], "layout": "sheet"}, [], "0 pictures instead of 1"),
        ("explain_match", {}, [], "no heat map"),
    ],
)
def test_pictures_that_are_missing_are_told(
    tool: str, arguments: dict[str, object], result: list[int], said: str
) -> None:
    content = [{"type": "image"} for _ in result]
    assert what_is_wrong(tool, arguments, {"content": content}) == said


def test_hits_that_are_missing_are_told() -> None:
    def wrong(tool: str, arguments: dict[str, object], **data: object) -> str:
        return what_is_wrong(tool, arguments, {"content": [], "structuredContent": data})

    hit = {"path": "/a.png", "other_paths": ["/b.png"]}
    assert wrong("library_status", {}, images=0) == "no images"
    assert wrong("search_by_text", {"query": "a"}, hits=[]) == "no hits"
    assert wrong("search_by_text", {"query": "a", "exclude": "b"}, hits=[]) == ""
    assert wrong("search_by_image", {"image": "/b.png"}, hits=[hit]) == ""
    assert "did not find itself" in wrong("search_by_image", {"image": "/c.png"}, hits=[hit])


def test_files_come_change_and_go(tmp_path: Path) -> None:
    draw_gallery(tmp_path / "drawn", 2, seed=1)
    folder = tmp_path / "changing"
    churn = Churn(folder, sorted((tmp_path / "drawn").glob("*.png")), 20)
    churn.turn()
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    churn.turn()
    last = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert len(churn) == len(last) == 20
    assert first.keys() - last.keys()
    assert last.keys() - first.keys()
    assert any(last[name] != first[name] for name in first.keys() & last.keys())


def test_a_sample_counts_what_a_process_holds(server: Running) -> None:
    one = sample(server.process, 1.5)
    assert one.at == 1.5
    assert 0 < one.own < one.rss
    assert one.threads > 1
    assert one.descriptors > 3


def test_a_trend_of_independent_figures_is_that_of_least_squares() -> None:
    rng = np.random.default_rng(4)
    seconds = np.arange(4000.0)
    figures = 500 + 0.01 * seconds + rng.normal(0, 5, len(seconds))
    found = trend(list(seconds), list(figures))
    (slope, _), covariance = np.polyfit(seconds, figures, 1, cov=True)
    assert found.slope == pytest.approx(slope * 3600)
    assert found.error == pytest.approx(np.sqrt(covariance[0, 0]) * 3600, rel=0.1)
    assert found.verdict == "rises"
    assert trend(list(seconds), list(-figures)).verdict == "falls"


def test_figures_that_hang_together_are_no_trend_by_chance() -> None:
    rng, wrong = random.Random(8), 0
    for _ in range(200):  # each figure is mostly the one before
        figures = [0.0]
        for _ in range(300):
            figures.append(0.9 * figures[-1] + rng.gauss(0, 1))
        wrong += trend(range(301), figures).verdict != "no trend"
    assert wrong < 0.15 * 200  # plain least squares calls more than half of them a trend


def test_a_straight_line_has_no_error_and_two_figures_are_no_trend() -> None:
    line = trend([0, 10, 20, 30], [5, 6, 7, 8])
    assert (line.mean, line.error) == (6.5, 0)
    assert line.slope == pytest.approx(360)
    assert trend([0, 1, 2], [7, 7, 7]).verdict == "no trend"
    with pytest.raises(ValueError, match="at least three"):
        trend([0, 1], [1, 2])
