"""The table of judges has every kind of pair, and hashes are those of their definitions."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import copies
from tests.benchmarks.conftest import tables


def test_a_difference_hash_says_where_it_gets_brighter() -> None:
    ramp = np.tile(np.arange(0, 252, 28, dtype=np.uint8), (8, 1))
    assert copies.difference_hash(Image.fromarray(ramp)).all()
    assert not copies.difference_hash(Image.fromarray(ramp[:, ::-1].copy())).any()


def test_a_dct_hash_is_that_of_plain_sums() -> None:
    grey = np.random.default_rng(1).integers(0, 256, (32, 32), np.uint8)
    plain = np.zeros((8, 8))
    for u in range(8):
        for v in range(8):
            rows = np.cos(np.pi * u * (np.arange(32) + 0.5) / 32)
            columns = np.cos(np.pi * v * (np.arange(32) + 0.5) / 32)
            plain[u, v] = (grey * rows[:, None] * columns[None]).sum()
    found = copies.cosine_hash(Image.fromarray(grey))
    np.testing.assert_array_equal(found, plain > np.median(plain))


@pytest.mark.usefixtures("here")
def test_every_judge_has_a_share_of_every_kind(tmp_path: Path) -> None:
    out = tmp_path / "copies.json"
    copies.main(["--scenes", "3", "--out", str(out)])
    [rows] = tables(out).values()
    assert list(rows) == [
        "vectors, then pixels",
        "pixels alone",
        "difference hash",
        "DCT hash",
        "vectors alone",
    ]
    ours = rows["pixels alone"]
    assert ours["recompressed"] == 1
    assert ours["one thing changed"] == 0
