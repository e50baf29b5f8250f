"""The exponent is that of the figures, and every figure is there."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks import growth

from .conftest import tables


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0, 2.0])
def test_the_exponent_is_the_slope_of_the_logarithms(slope: float) -> None:
    sizes = [10, 100, 1000]
    assert growth.exponent(sizes, [3 * size**slope for size in sizes]) == pytest.approx(slope)


def test_every_size_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "BATCH", 4)
    monkeypatch.setattr(growth, "SEARCHES", 3)
    out = tmp_path / "growth.json"
    given = ["--sizes", "200", "30", "--dim", "8", "--runs", "2", "--out", str(out)]
    growth.main(given, lambda: ThreadPoolExecutor(1))
    (rows,) = tables(out).values()
    assert list(rows) == ["30", "200", "exponent", "exponent of the last step"]
    for size in ("30", "200"):
        assert all(rows[size][column] > 0 for column in growth.COLUMNS)
    assert rows["exponent"]["open, s"] == rows["exponent of the last step"]["open, s"]
