"""Made vectors are unit vectors in clusters, the same each time, and stand beside a model's."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import vectors
from benchmarks._vectors import BLOCK, World

from .conftest import tables


@pytest.mark.parametrize("dim", [48, 96])
def test_rows_and_queries_are_unit_vectors_and_the_same_each_time(dim: int) -> None:
    world, again = World(dim, seed=3), World(dim, seed=3)
    for made, expected in (
        (world.pictures(700), again.pictures(700)),
        (world.queries(20, "picture"), again.queries(20, "picture")),
        (world.queries(20, "text"), again.queries(20, "text")),
    ):
        assert made.dtype == np.float32
        assert made.shape[1] == dim
        np.testing.assert_array_equal(made, expected)
        np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)
    assert not np.array_equal(world.pictures(9), World(dim, seed=4).pictures(9))


def test_a_larger_library_begins_with_the_rows_of_a_smaller_one() -> None:
    world = World(16)
    many = world.pictures(2 * BLOCK + 5)
    assert [len(block) for block in world.blocks(len(many))] == [BLOCK, BLOCK, 5]
    np.testing.assert_array_equal(many[: BLOCK + 3], world.pictures(BLOCK + 3))
    assert len(np.unique(many, axis=0)) == len(many)


def test_pictures_have_nearer_neighbours_than_noise_has() -> None:
    rows = World(64).pictures(2000)
    noise = np.random.default_rng(0).standard_normal((2000, 64)).astype(np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    made, random = (vectors.spread(r, r) for r in (rows, noise))
    assert made["neighbour, 50 %"] > random["neighbour, 50 %"] + 0.2
    assert made["variance up to 16"] > 2 * random["variance up to 16"]


def test_texts_agree_with_pictures_less_than_pictures_do() -> None:
    world = World(64)
    rows = world.pictures(4000)
    best = {kind: (world.queries(200, kind) @ rows.T).max(1) for kind in ("picture", "text")}
    assert np.median(best["picture"]) > np.median(best["text"]) + 0.1


def test_the_spread_of_made_vectors_stands_beside_that_of_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = World(256).pictures(300), World(256).queries(300, "text")
    monkeypatch.setattr(vectors, "storybook", lambda count: tuple(r[:count] for r in real))
    vectors.main(["--count", "200", "--out", str(tmp_path / "vectors.json")])
    (rows,) = tables(tmp_path / "vectors.json").values()
    assert all(
        row.keys() == {"figure", "storybook", "made, 256", "made, 512"} for row in rows.values()
    )
    assert rows["length of the mean"]["storybook"] == pytest.approx(0.37, abs=0.05)
    assert 0 < rows["neighbour, 10 %"]["made, 512"] < rows["neighbour, 90 %"]["made, 512"] < 1
