"""Kinds are chosen by rule, tuned by measurement, and find what an exact search finds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faiss
import numpy as np
import pytest

from mcp_vlsearch.contracts import Space
from mcp_vlsearch.errors import SettingsError
from mcp_vlsearch.indexes.faiss import FaissIndex, base, coarse, gpu, kinds, tuning, writing
from mcp_vlsearch.indexes.faiss.rows import RowFile
from mcp_vlsearch.indexes.faiss.selecting import lib
from mcp_vlsearch.indexes.faiss.tuning import Tuned
from tests.indexes.stored import clustered, exact, make, numbers, recall, store

DIM = 64
COUNT = 8000
SPACE = Space("0123456789abcdef", DIM)
VECTORS = clustered(COUNT, DIM)
SEQS = numbers(1, COUNT) * 3
QUERIES = clustered(60, DIM, seed=7)
COARSE = ("ivf", "ivfflat", "hnsw", "rabitq", "RaBitQ", "IVF32,PQ32x4fs", "PCA32,IVF32,SQ8")
"""By name, without lists, without selectors, and behind a transformation."""


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a library of every kind."""
    folder = tmp_path_factory.mktemp("kinds")
    for number, kind in enumerate(COARSE):
        store(make(folder / str(number), kind, SPACE), SEQS, VECTORS, block=3000)
    return folder


@pytest.fixture
def index(request: pytest.FixtureRequest, libraries: Path) -> FaissIndex:
    """The library of a kind; nothing is so few that it is compared by itself."""
    request.getfixturevalue("monkeypatch").setattr(base, "_FEW", 8)
    library = libraries / str(COARSE.index(request.param))
    opened = make(library, request.param, SPACE)
    opened.refresh()
    return opened


every_kind = pytest.mark.parametrize("index", COARSE, indirect=True)


@every_kind
def test_a_coarse_kind_finds_what_an_exact_search_finds(index: FaissIndex) -> None:
    for k in (1, 10, 100):
        scores, seqs = index.search(QUERIES, k)
        assert recall(seqs, exact(VECTORS, SEQS, QUERIES, k)) >= 0.97
        cosines = (VECTORS[seqs // 3 - 1] * QUERIES[:, None]).sum(axis=2)
        assert np.allclose(scores, cosines, rtol=0, atol=2e-3)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.9])
@every_kind
def test_a_filter_costs_no_recall(index: FaissIndex, share: float) -> None:
    some = np.sort(np.random.default_rng(3).choice(COUNT, int(share * COUNT), replace=False))
    _, seqs = index.search(QUERIES, 10, SEQS[some])
    assert set(seqs.ravel().tolist()) <= {-1, *SEQS[some].tolist()}
    assert recall(seqs, exact(VECTORS[some], SEQS[some], QUERIES, 10)) >= 0.98


@pytest.mark.parametrize("share", [0.02, 0.2, 0.6])
@every_kind
def test_a_filter_that_leaves_only_what_is_far_from_the_query_finds_the_best_of_it(
    index: FaissIndex, share: float
) -> None:
    query = QUERIES[:1]
    some = np.sort(np.argsort(VECTORS @ query[0])[: int(share * COUNT)])
    scores, _ = index.search(query, 10, SEQS[some])
    best = np.sort(VECTORS[some] @ query[0])[:-11:-1]
    assert np.allclose(scores[0], best, rtol=0, atol=0.03), "where many score alike, any will do"


@every_kind
def test_removed_rows_are_never_found_and_cost_no_recall(index: FaissIndex) -> None:
    gone = np.random.default_rng(4).choice(COUNT, COUNT // 10, replace=False)
    index.remove(SEQS[gone], 1)
    left = np.setdiff1d(np.arange(COUNT), gone)
    assert len(index) == len(left)
    _, seqs = index.search(QUERIES, 10)
    assert np.isin(seqs, SEQS[left]).all()
    assert recall(seqs, exact(VECTORS[left], SEQS[left], QUERIES, 10)) >= 0.97
    some = left[::3]
    _, seqs = index.search(QUERIES, 10, SEQS[np.sort(np.concatenate([some, gone]))])
    assert recall(seqs, exact(VECTORS[some], SEQS[some], QUERIES, 10)) >= 0.98


@every_kind
def test_what_is_left_in_each_list_may_be_told_by_some_rows(
    index: FaissIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coarse, "_COUNTED", COUNT // 4)
    some = np.sort(np.random.default_rng(5).choice(COUNT, COUNT // 5, replace=False))
    _, seqs = index.search(QUERIES, 10, SEQS[some])
    assert recall(seqs, exact(VECTORS[some], SEQS[some], QUERIES, 10)) >= 0.98


@every_kind
def test_where_everything_near_was_removed_the_rest_is_found(index: FaissIndex) -> None:
    query = QUERIES[:1]
    order = np.argsort(-(VECTORS @ query[0]))
    index.remove(SEQS[order[:700]], 1)
    scores, _ = index.search(query, 10)
    assert np.allclose(scores[0], (VECTORS @ query[0])[order[700:710]], rtol=0, atol=0.03)


@every_kind
def test_status_says_kind_effort_and_the_recall_that_was_measured(index: FaissIndex) -> None:
    assert index._base is not None
    known = index._base.manifest
    assert known.recall is not None
    assert known.recall >= 0.98
    assert index.kind.startswith(f"{known.kind} (")
    assert f"{known.candidates} candidates a hit, recall {known.recall:.3f})" in index.kind
    if known.kind.startswith("IVF"):
        assert f"nprobe {known.effort}," in index.kind
    if known.kind.startswith("HNSW"):
        assert f"efSearch {known.effort}," in index.kind


def test_what_cannot_be_built_is_searched_exactly_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    index = make(tmp_path, "IVF4096,SQ8", SPACE)
    store(index, SEQS[:200], VECTORS[:200])
    index.refresh()
    assert "every picture is compared: FAISS makes no IVF4096,SQ8 of these" in caplog.text
    assert index.kind == "SQfp16"
    assert not index.due, "and it is not tried again"
    assert index.search(VECTORS[:5], 1)[1][:, 0].tolist() == SEQS[:5].tolist()


@pytest.mark.parametrize(
    ("asked", "rows", "dim", "gib", "kinds_tried"),
    [
        ("auto", 10_000, 1024, 8, "SQfp16"),
        ("auto", 100_000, 1024, 8, "SQfp16"),
        ("auto", 1_000_000, 512, 8, "IVF4096,RaBitQ IVF4096,SQ8"),
        ("auto", 1_000_000, 512, None, "IVF4096,RaBitQ IVF4096,SQ8"),
        ("auto", 1_000_000, 512, 1, "IVF4096,RaBitQ"),
        ("auto", 10_000_000, 1024, 16, "IVF4096,RaBitQ"),
        ("exact", 10_000_000, 1024, 1, "SQfp16"),
        ("SQfp16", 10_000_000, 1024, 1, "SQfp16"),
        ("ivf", 10_000, 64, 8, "IVF256,SQ8"),
        ("ivfflat", 1_000, 64, 8, "IVF32,Flat"),
        ("hnsw", 10_000, 64, 8, "HNSW32,SQfp16"),
        ("rabitq", 10_000, 64, 8, "IVF256,RaBitQ"),
        ("IVF77,PQ8", 10_000, 64, 8, "IVF77,PQ8"),
    ],
)
def test_the_kind_follows_rows_dimension_and_free_memory(
    asked: str, rows: int, dim: int, gib: int | None, kinds_tried: str
) -> None:
    free = None if gib is None else gib * 2**30
    assert " ".join(kinds.factory_strings(asked, rows, dim, free)) == kinds_tried


def test_with_gpus_auto_prefers_a_kind_that_they_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kinds.factory_strings("auto", 1_000_000, 512, 2**33, on_gpu=True) == [
        "IVF4096,SQ8",
        "IVF4096,RaBitQ",
    ]
    assert kinds.factory_strings("auto", 1_000_000, 512, 2**30, on_gpu=True) == ["IVF4096,RaBitQ"]
    assert kinds.factory_strings("rabitq", 10_000, 64, 2**33, on_gpu=True) == ["IVF256,RaBitQ"]
    monkeypatch.setattr(kinds, "_EXACT_BYTES", 0)
    gpus = Gpus(monkeypatch)
    index = opened(tmp_path, "auto")
    assert index.kind.startswith("IVF256,SQ8 (")
    index.search(QUERIES, 10)
    assert gpus.searches == 1


def test_auto_takes_a_larger_kind_where_the_smallest_finds_too_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds, "_EXACT_BYTES", 0)
    index = opened(tmp_path / "easy", "auto")
    assert index.kind.startswith("IVF256,RaBitQ (")
    real = tuning.tuned

    def poor(index: Any, rows: RowFile) -> Tuned:
        measured = real(index, rows)
        is_rabitq = isinstance(index, lib.IndexIVFRaBitQ)
        return replace(measured, recall=0.9) if is_rabitq else measured

    monkeypatch.setattr(writing, "tuned", poor)
    assert opened(tmp_path / "hard", "auto").kind.startswith("IVF256,SQ8 (")
    assert opened(tmp_path / "asked", "rabitq").kind.startswith("IVF256,RaBitQ (")


def test_a_kind_that_finds_too_little_is_kept_and_says_what_to_choose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kinds, "_EXACT_BYTES", 0)
    opened(tmp_path / "good", "auto")
    assert not caplog.text
    monkeypatch.setattr(writing, "tuned", lambda *_: Tuned(4, 8, 0.9312))
    opened(tmp_path / "poor", "auto")
    [said] = [record.getMessage() for record in caplog.records]
    assert "IVF256,RaBitQ finds 93.1 % of the nearest pictures here, less than 98 %" in said
    assert "run `mcp-vlsearch index --index-kind exact`" in said


@pytest.mark.parametrize("asked", ["IVF4096,SQ9", "ivff", "hnsw32", " ", ""])
def test_a_kind_that_faiss_does_not_know_is_an_error_in_one_line(
    tmp_path: Path, asked: str
) -> None:
    with pytest.raises(SettingsError, match="--index-kind") as raised:
        make(tmp_path, asked)
    assert "\n" not in str(raised.value)
    assert ("is empty" in str(raised.value)) is (asked.strip() == "")
    assert "give one of auto, exact, ivf," in str(raised.value)


@pytest.mark.parametrize("asked", ["RABITQ", "IVF", "Exact", "AUTO", "ivfFlat"])
def test_the_name_of_a_kind_may_be_given_in_any_letter_case(tmp_path: Path, asked: str) -> None:
    index = make(tmp_path, asked, SPACE)
    store(index, SEQS[:200], VECTORS[:200])
    index.refresh()
    assert not make(tmp_path, asked.lower(), SPACE).due
    assert index._base is not None
    assert index._base.manifest.asked == asked.lower()


@pytest.mark.parametrize("asked", ["auto", *COARSE, "exact", "IVF65536_HNSW32,SQ8"])
def test_a_kind_that_faiss_knows_is_taken(tmp_path: Path, asked: str) -> None:
    kind = make(tmp_path, asked, SPACE).kind
    if asked in ("auto", "exact"):
        assert kind == "SQfp16"
    else:
        assert kind == f"SQfp16, all in memory ({asked} from 10,000 images on)"


@every_kind
def test_the_kind_is_told_by_an_index_that_has_not_taken_it_up(index: FaissIndex) -> None:
    other = make(index._generations.folder.parents[1], "auto", SPACE)
    assert other.stored_kind() == index.kind
    assert (len(other), other._base) == (0, None)


def test_where_nothing_is_stored_or_it_is_damaged_no_kind_is_told(tmp_path: Path) -> None:
    index = make(tmp_path, "exact", SPACE)
    assert index.stored_kind() is None
    store(index, SEQS[:200], VECTORS[:200])
    assert index.stored_kind() == "SQfp16"
    (manifest,) = tmp_path.rglob("base.json")
    manifest.write_text("{")
    assert index.stored_kind() is None


class Gpus:
    """Stands for what ``faiss-gpu`` adds: copies that search without parameters, one at a time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, known: bool = True) -> None:
        self.searches = 0
        self.known = known
        self.half = False
        monkeypatch.setattr(faiss, "get_num_gpus", lambda: 2)
        monkeypatch.setattr(
            faiss, "GpuMultipleClonerOptions", lambda: SimpleNamespace(useFloat16=False), False
        )
        monkeypatch.setattr(faiss, "index_cpu_to_all_gpus", self.copy)
        setting = SimpleNamespace(set_index_parameter=self.set)
        monkeypatch.setattr(faiss, "GpuParameterSpace", lambda: setting, False)

    def copy(self, index: Any, co: Any) -> Any:
        if not self.known:
            raise RuntimeError("This index type is not implemented on GPU.\nat somewhere")
        self.half = co.useFloat16
        return SimpleNamespace(search=self.search, add=index.add, cpu=index, copy=self)

    def set(self, gpu: Any, name: str, value: int) -> None:
        assert name == "nprobe"
        gpu.cpu.nprobe = value
        self.index = gpu.cpu

    def search(self, queries: Any, count: int) -> Any:
        self.searches += 1
        return self.index.search(queries, count)


def opened(library: Path, kind: str) -> FaissIndex:
    index = make(library, kind, SPACE)
    store(index, SEQS, VECTORS, block=3000)
    index.refresh()
    return index


def test_with_gpus_the_coarse_index_is_searched_there_and_filters_on_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus = Gpus(monkeypatch)
    monkeypatch.setattr(base, "_FEW", 8)
    index = opened(tmp_path, "ivfflat")
    gpus.searches = 0
    _, seqs = index.search(QUERIES, 10)
    assert gpus.searches == 1
    assert gpus.half
    assert recall(seqs, exact(VECTORS, SEQS, QUERIES, 10)) >= 0.97
    index.search(QUERIES, 10, SEQS[::2])
    assert gpus.searches == 1
    index.remove(SEQS[::20], 1)
    _, seqs = index.search(QUERIES, 10)
    assert gpus.searches == 2
    assert not np.isin(seqs, SEQS[::20]).any()
    assert (
        recall(
            seqs,
            exact(np.delete(VECTORS, np.s_[::20], 0), np.delete(SEQS, np.s_[::20]), QUERIES, 10),
        )
        >= 0.97
    )


def test_with_gpus_an_exact_index_is_searched_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus = Gpus(monkeypatch)
    monkeypatch.setattr(base, "_FEW", 8)
    copies: list[Any] = []
    make_copy = gpus.copy

    def copy(index: Any, co: Any) -> Any:
        gpus.index = index
        copies.append(index)
        return make_copy(index, co)

    monkeypatch.setattr(faiss, "index_cpu_to_all_gpus", copy)
    index = opened(tmp_path, "exact")
    assert copies[0].ntotal == COUNT
    assert index.kind == "SQfp16"
    _, seqs = index.search(QUERIES, 10)
    assert gpus.searches == 1
    assert (
        seqs.tolist() == make_exact(tmp_path / "other", monkeypatch).search(QUERIES, 10)[1].tolist()
    )
    some = index.search(QUERIES, 10, SEQS[::2])[1]
    assert gpus.searches == 1
    assert recall(some, exact(VECTORS[::2], SEQS[::2], QUERIES, 10)) >= 0.999


def make_exact(library: Path, monkeypatch: pytest.MonkeyPatch) -> FaissIndex:
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 0)
    return opened(library, "exact")


@pytest.mark.parametrize("kind", ["exact", "ivf"])
def test_a_kind_that_gpus_do_not_have_stays_on_the_cpu(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    kind: str,
) -> None:
    gpus = Gpus(monkeypatch, known=False)
    caplog.set_level("INFO")
    index = opened(tmp_path, kind)
    assert "searched on the CPU: This index type is not implemented on GPU." in caplog.text
    _, seqs = index.search(QUERIES, 10)
    assert gpus.searches == 0
    assert recall(seqs, exact(VECTORS, SEQS, QUERIES, 10)) >= 0.97


def test_gpus_that_run_out_of_memory_leave_it_to_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Gpus(monkeypatch)
    store(make(tmp_path, "exact", SPACE), SEQS, VECTORS)
    (file,) = tmp_path.rglob("vectors.faiss")

    def full(_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(gpu, "on_gpus", lambda _: SimpleNamespace(add=full))
    assert gpu.all_rows_on_gpus(RowFile(file, DIM, COUNT)) is None
