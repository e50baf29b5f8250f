"""The table of heat maps counts peaks that lie on the object, by the drawing's own boxes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import ImageColor

from benchmarks import explain
from benchmarks._explain_methods import METHODS
from mcp_vlsearch.storybook.drawing import draw
from mcp_vlsearch.storybook.scene import Item, Scene, held_out
from mcp_vlsearch.storybook.vocabulary import COLOURS
from tests.benchmarks.conftest import tables


def test_a_peak_in_the_box_is_a_hit_and_its_share_of_heat_is_told() -> None:
    heat = np.zeros((4, 8), np.float32)
    heat[1, 6] = 1
    is_in, share = explain.hits(heat, (0.7, 0.2, 0.25, 0.4), (160, 80))
    assert is_in
    assert share > 0.9
    is_in, share = explain.hits(heat, (0.0, 0.2, 0.25, 0.4), (160, 80))
    assert not is_in
    assert share == pytest.approx(0, abs=0.01)


def test_queries_name_single_objects_and_have_their_boxes() -> None:
    items = (Item("car", "red", "left"), Item("cat", "blue", "right", count=2))
    scene = Scene("snow", "flat", (3, 2), "beside", items, 7)
    english, chinese = explain.cases_of(scene)
    assert english.text == "a red car"
    assert chinese.text.startswith("红色的")
    assert english.box == chinese.box
    image = draw(scene)
    left, top, width, height = english.box
    part = np.asarray(
        image.crop(
            (
                round(left * image.width),
                round(top * image.height),
                round((left + width) * image.width),
                round((top + height) * image.height),
            )
        ),
        float,
    )
    assert COLOURS["red"][0] > ImageColor.getrgb("grey")[0]
    assert (part[..., 0] - part[..., 1:].max(-1)).mean() > 20


def test_scenes_have_a_pair_that_no_training_saw() -> None:
    for scene in explain.scenes_of(20, 5):
        assert len(scene.items) > 1
        assert any(held_out(item.kind, item.colour) for item in scene.items)


@pytest.mark.usefixtures("here")
def test_every_method_has_a_row(tmp_path: Path) -> None:
    out = tmp_path / "explain.json"
    explain.main(["--scenes", "2", "--out", str(out)])
    [rows] = tables(out).values()
    assert list(rows) == list(METHODS)
    for row in rows.values():
        assert 0 <= row["peak on the object"] <= 1
        assert 0 <= row["heat on the object"] <= 1
