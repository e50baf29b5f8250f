"""Every way finds what a plain comparison finds, and what can't be measured is told."""

import importlib.util
import threading
from collections.abc import Callable, Sequence
from multiprocessing.pool import Pool, ThreadPool
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import search
from benchmarks._engines import Engine, Faiss, Flat, Rows
from benchmarks._filled import opened
from benchmarks._library import camera_of, fill, image_id
from benchmarks._search_tasks import MAKERS, PEERS, Plan, camera_asked
from benchmarks._vectors import World
from mcp_vlsearch.types import Filters

from .conftest import tables

PACKAGES = {"Milvus Lite": "milvus_lite", "Qdrant local": "qdrant_client", "Chroma": "chromadb",
            "LanceDB": "lancedb", "USearch": "usearch"}  # fmt: skip
FEW = ["--rows", "600", "--dims", "32", "--queries", "12", "--seconds", "5", "--threads", "2"]
Start = Callable[[], Pool]


@pytest.fixture
def thread() -> Start:
    """What gives a thread in the place of a process."""
    return lambda: ThreadPool(1)


def test_the_right_answers_are_those_of_a_plain_comparison(tmp_path: Path) -> None:
    search.prepare(tmp_path, 600, 16, 10, seed=1)
    rows = Rows(tmp_path)
    scores = np.asarray(rows.queries) @ np.asarray(rows.vectors).T
    for filtered in (False, True):
        found = np.load(tmp_path / f"truth-{filtered}.npy")
        for query, line in enumerate(found):
            kept = rows.cameras == camera_asked(query) if filtered else np.full(600, True)
            order = np.argsort(-scores[query])
            expected = order[kept[order]][:10].tolist()
            assert line.tolist() == expected + [-1] * (10 - len(expected))


def test_a_filled_library_finds_its_rows_and_filters_them(tmp_path: Path) -> None:
    rows, cameras = World(16).pictures(300), np.arange(300) % 100
    fill(tmp_path, [rows[:200], rows[200:]], cameras)
    with opened(tmp_path, 16, rows) as library:
        hits = library.search_by_text("7").hits
        assert hits[0].image_id == image_id(7)
        again = library.search_by_image(image_id(7)).hits
        assert [hit.path for hit in again] == [hit.path for hit in hits]
        found = library.search_by_text("7", filters=Filters(camera=camera_of(7)))
        assert found.searched_images == 3
        assert {hit.image_id for hit in found.hits} == {image_id(n) for n in (7, 107, 207)}


def test_ours_and_faiss_find_everything_and_are_compared(tmp_path: Path, thread: Start) -> None:
    out = tmp_path / "search.json"
    search.main([*FEW, "--peers", "FAISS Flat", "FAISS, same kind", "--out", str(out)], thread)
    found = tables(out)
    plain, narrowed = found["600 × 32"], found["600 × 32, 1 % filter"]
    assert list(plain) == list(narrowed) == ["ours", "FAISS Flat", "FAISS, same kind"]
    for row in plain.values():
        assert row["recall@10"] > 0.99
        assert row["of texts"] > 0.99
        assert row["p99, ms"] >= row["p50, ms"] > 0
        assert row["to ours"] == pytest.approx(row["p50, ms"] / plain["ours"]["p50, ms"])
        assert min(row["searches/s"], row["build, s"], row["open, s"]) > 0
        assert row["bytes"] >= 2 * 32
    assert plain["FAISS, same kind"]["kind"] == plain["ours"]["kind"]
    assert all(row["recall@10"] > 0.99 for row in narrowed.values())
    added = found["What the library adds to its index"]["600 × 32"]
    assert added["to index"] == pytest.approx(added["ours, ms"] / added["index, ms"])
    assert added["to FAISS"] == pytest.approx(added["ours, ms"] / added["FAISS, ms"])
    assert added["added, ms"] == pytest.approx(added["ours, ms"] - added["index, ms"])


@pytest.mark.parametrize(
    "kind",
    [
        "SQfp16",
        "IVF8,SQ8 (nprobe 8, 4 candidates a hit, recall 0.990)",
        "HNSW16,SQfp16 (efSearch 64, 2 candidates a hit)",
        "SQ8 (3 candidates a hit, recall 1.000)",
    ],
)
def test_faiss_searches_as_the_librarys_own_kind_says(kind: str, tmp_path: Path) -> None:
    search.prepare(tmp_path, 600, 32, 10, seed=1)
    rows, engine = Rows(tmp_path), Faiss(kind)
    engine.build(tmp_path, rows)
    engine.open(tmp_path, rows)
    for query, right in enumerate(np.load(tmp_path / "truth-False.npy")):
        assert len(set(engine.search(query, 10, None)) & set(right.tolist())) >= 8
        camera = camera_asked(query)
        found = set(engine.search(query, 10, camera)) - {-1}  # HNSW may miss those it jumps over
        assert (rows.cameras[list(found)] == camera).all()


@pytest.mark.parametrize("peer", PACKAGES)
def test_every_peer_that_is_installed_finds_what_it_should(
    peer: str, tmp_path: Path, thread: Start
) -> None:
    if importlib.util.find_spec(PACKAGES[peer]) is None:
        pytest.skip("not installed")
    out = tmp_path / "search.json"
    search.main([*FEW, "--peers", peer, "--out", str(out)], thread)
    found = tables(out)
    assert found["600 × 32"][peer]["recall@10"] > 0.9
    if peer in found["600 × 32, 1 % filter"]:
        assert found["600 × 32, 1 % filter"][peer]["recall@10"] > 0.5  # HNSW may stop too early
    else:
        assert peer == "USearch"


class Lazy(Flat):
    """Finds more the harder it tries."""

    efforts: Sequence[int] = (1, 5, 10, 20)

    def __init__(self) -> None:
        super().__init__()

    def search(self, query: int, k: int, camera: int | None) -> Any:
        return super().search(query, k, camera)[: self.effort]


def measured(
    engine: Callable[[], Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *more: str
) -> dict[str, Any]:
    """Return the row of a peer that an engine stands in for."""
    monkeypatch.setitem(MAKERS, "Chroma", lambda _: engine())
    out = tmp_path / "search.json"
    search.main([*FEW, "--peers", "Chroma", "--out", str(out), *more], lambda: ThreadPool(1))
    return tables(out)["600 × 32"]["Chroma"]


def test_a_way_tries_as_hard_as_the_recall_asks_for_and_no_harder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = measured(Lazy, tmp_path, monkeypatch)
    assert (row["effort"], row["recall@10"]) == ("10", 1.0)
    row = measured(Lazy, tmp_path, monkeypatch, "--recall", "0.5")
    assert (row["effort"], row["recall@10"]) == ("5", 0.5)


def missing() -> Engine:
    raise ModuleNotFoundError("chromadb")


def failing() -> Engine:
    raise MemoryError("too\nlarge")


@pytest.mark.parametrize(
    ("engine", "reason"), [(missing, "not installed"), (failing, "failed: too large")]
)
def test_a_way_that_cannot_be_measured_says_why(
    engine: Callable[[], Engine],
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = measured(engine, tmp_path, monkeypatch)
    assert row["kind"] == reason
    assert row["p50, ms"] is None


def test_a_way_that_takes_too_long_is_given_up(thread: Start) -> None:
    over = threading.Event()

    def build(*_: object) -> bool:
        return over.wait(10)

    plan = Plan("Chroma", Path(), Path(), 1, 1, 1)
    assert search._alone(build, plan, "", 0.0005, thread) == "no build in 0.0005 min"
    over.set()


def test_each_way_has_a_process_of_its_own(tmp_path: Path) -> None:
    out = tmp_path / "search.json"
    search.main([*FEW, "--peers", "--out", str(out)])
    assert tables(out)["600 × 32"]["ours"]["RSS, MiB"] > 20


def test_every_peer_can_be_asked_for() -> None:
    assert set(PACKAGES) | {"FAISS Flat", "FAISS, same kind"} == set(PEERS)
