"""A heat map lies upright over its picture, in bounds, and lights up where the heat is."""

import io

import numpy as np
import pytest
from PIL import Image

from mcp_vlsearch.core import heatmap
from mcp_vlsearch.core.heatmap import MAX_SIDE, draw_heat_map, peak_of, spread
from mcp_vlsearch.core.sheet import MAX_BYTES, Font, font


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def one_hot(rows: int, columns: int, row: int, column: int) -> np.ndarray:
    heat = np.zeros((rows, columns), np.float32)
    heat[row, column] = 1
    return heat


@pytest.mark.parametrize("size", [(64, 64), (3000, 2000), (500, 2200), (1568, 1568), (9, 700)])
def test_it_fits_the_bounds_and_has_the_shape_of_the_picture(size: tuple[int, int]) -> None:
    drawn = opened(draw_heat_map(Image.new("RGB", size, "grey"), one_hot(4, 4, 1, 1), "a cat"))
    assert 500 < max(drawn.size) <= MAX_SIDE
    legend = 48
    if drawn.width > 320:
        assert drawn.width / (drawn.height - legend) == pytest.approx(size[0] / size[1], rel=0.01)


def test_noise_is_packed_into_the_bounds_too() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (1500, 1500, 3), np.uint8)
    data = draw_heat_map(Image.fromarray(noise), one_hot(5, 5, 2, 2), "")
    assert len(data) <= MAX_BYTES


@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 4), (2, 2)])
def test_the_hot_part_is_bright_and_the_rest_stays_the_picture(row: int, column: int) -> None:
    image = Image.new("RGB", (1000, 600), (60, 90, 60))
    drawn = np.asarray(opened(draw_heat_map(image, one_hot(3, 5, row, column), "")), float)
    values = drawn[:600].reshape(3, 200, 5, 200, 3).mean((1, 3)).sum(2)
    assert np.unravel_index(values.argmax(), values.shape) == (row, column)
    cold = drawn[:600].reshape(3, 200, 5, 200, 3)[(row + 1) % 3, 80:120, (column + 2) % 5]
    assert np.ptp(cold.mean(2)) < 12


def test_no_heat_draws_no_map() -> None:
    image = Image.new("RGB", (600, 600), (200, 40, 40))
    drawn = np.asarray(opened(draw_heat_map(image, np.zeros((4, 4), np.float32), "")), float)
    assert np.ptp(drawn[:560].reshape(-1, 3), axis=0).max() <= 4


def test_the_peak_is_the_middle_of_the_hottest_cell() -> None:
    across, down = peak_of(one_hot(4, 8, 2, 5), 800, 400)
    assert across == pytest.approx(550, abs=8)
    assert down == pytest.approx(250, abs=8)
    smooth = spread(one_hot(4, 8, 2, 5), 800, 400)
    assert smooth.shape == (400, 800)
    assert 0 <= smooth.min() < smooth.max() <= 1


def test_a_query_stands_in_the_legend_in_a_font_that_has_its_letters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def noted(size: int, text: str = "") -> Font:
        asked.append(text)
        return font(size, text)

    monkeypatch.setattr(heatmap, "font", noted)
    image, heat = Image.new("RGB", (600, 300), "white"), one_hot(2, 2, 0, 0)
    for query in ("红色的自行车", "a red bicycle"):
        assert draw_heat_map(image, heat, query) != draw_heat_map(image, heat, "")
        assert query in asked
    draw_heat_map(image, heat, f"0.518 {'a very long query ' * 60} at night")
    (legend,) = (text for text in asked if text.startswith("0.518"))
    assert "…" in legend
    assert legend.endswith("at night")
