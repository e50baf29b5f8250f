"""What becomes of a kind of index that was asked for is told."""

from pathlib import Path

from .conftest import Run


def test_index_says_from_when_on_the_kind_of_index_counts(run: Run, indexed: Path) -> None:
    result = run("index", indexed, "--index-kind", "Hnsw", "--json")
    assert "index: faiss, SQfp16, all in memory (hnsw from 10,000 images on)" in result.err
    assert "index: " not in run("index", indexed).err


def test_a_kind_that_is_none_is_refused_before_anything_is_indexed(run: Run, indexed: Path) -> None:
    result = run("index", indexed, "--index-kind", "")
    assert result.code != 0
    assert "--index-kind is empty: give one of auto, exact" in result.err
    assert "index_kind" not in (indexed.parent / "library" / "config.toml").read_text()
