"""Kinds of the FAISS index are measured in processes of their own, against Flat and by filter."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import index_kinds

from .conftest import tables

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure in this process, which has imported everything already."""

    def here(work: Callable[..., Any], *given: object) -> Any:
        return work(*given)

    monkeypatch.setattr(index_kinds, "apart", here)


@pytest.mark.usefixtures("together")
def test_every_kind_has_its_row_with_recall_and_cost(tmp_path: Path) -> None:
    out = tmp_path / "index_kinds.json"
    sizes = ["--rows", "6000", "--dims", "32", "--queries", "20", "--out", str(out)]
    index_kinds.main([*sizes, "--kinds", "exact", "IVF32,SQ8", "--folder", str(tmp_path)])
    plain, filtered = tables(out).values()
    assert list(plain) == ["Flat", "exact", "IVF32,SQ8"]
    assert list(filtered) == ["exact", "IVF32,SQ8"]
    assert plain["Flat"]["recall@10"] == plain["Flat"]["of texts"] == plain["Flat"]["of Flat"] == 1
    for kind, row in plain.items():
        assert row["recall@10"] >= 0.97, kind
        assert row["of texts"] >= 0.97, kind
        assert 0 < row["p50, ms"] <= row["p99, ms"]
        assert row["RSS, MiB"] > 10
        assert row["bytes"] > 64
    assert plain["exact"]["became"] == "SQfp16"
    assert plain["IVF32,SQ8"]["became"].startswith("IVF32,SQ8 (nprobe ")
    assert plain["IVF32,SQ8"]["bytes"] > plain["exact"]["bytes"] + 32
    recalls = [cell for row in filtered.values() for h, cell in row.items() if "recall" in h]
    assert len(recalls) == 8
    assert min(recalls) >= 0.95
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_a_process_of_its_own_gives_back_what_it_found(tmp_path: Path) -> None:
    index_kinds.apart(index_kinds.prepare, tmp_path, 300, 16, 5)
    assert np.load(tmp_path / "queries.npy").shape == (10, 16)
    right = np.load(tmp_path / "truth-0.npy")
    vectors, queries = np.load(tmp_path / "vectors.npy"), np.load(tmp_path / "queries.npy")
    assert right.tolist() == (np.argsort(-(queries @ vectors.T), axis=1)[:, :10] + 1).tolist()
    some = index_kinds.allowed(300, 0.1)
    assert len(some) == 30
    assert np.isin(np.load(tmp_path / "truth-3.npy"), some).all()
