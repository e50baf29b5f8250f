"""What the storybook model is told about pictures in training is what they show."""

import random

import numpy as np
import pytest
from training.batches import Drawn
from training.cells import CELL, KINDS, NOTHING, cells
from training.render import pictures
from training.scenes import training_pair
from training.shapes import KINDS as NAMES
from training.shapes import OBJECT, SHADES, cut_outs

from mcp_vlsearch.storybook.drawing import where
from mcp_vlsearch.storybook.scene import Item, Scene, sample_scene
from mcp_vlsearch.storybook.vocabulary import COLOURS


def test_cells_name_the_object_that_covers_them_and_nothing_else() -> None:
    item = Item("cat", "red", "top left", size="medium")
    scene = Scene("meadow", "flat", (1, 1), "single", (item,), seed=3)
    kinds = cells([scene], 160, 160).kinds.view(5, 5)
    ((_, ((left, top, width, height),)),) = where(scene)
    assert int(kinds[0, 0]) == KINDS.index("cat")
    for row, column in np.ndindex(5, 5):
        across = min((column + 1) / 5, left + width) - max(column / 5, left)
        down = min((row + 1) / 5, top + height) - max(row / 5, top)
        covered = max(across, 0) * max(down, 0) * 25
        assert (int(kinds[row, column]) > 0) == (covered >= 0.12)


def test_every_object_of_a_scene_is_named_in_some_cell() -> None:
    rng = random.Random(4)
    for _ in range(60):
        scene = sample_scene(rng)
        labels = cells([scene], 5 * CELL, 5 * CELL)
        named = {KINDS[number] for number in labels.kinds.tolist()} - {""}
        assert named == {item.kind for item in scene.items}
        assert ((labels.colours == NOTHING) == (labels.kinds == 0)).all()
        assert ((labels.words == NOTHING) == (labels.kinds != KINDS.index("sign"))).all()


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    """Two pairs of one picture size."""
    numbers = [n for n in range(60) if training_pair(n).scene.aspect == (1, 1)][:4]
    return Drawn(numbers, np.stack([pictures(training_pair(n)) for n in numbers]))


def test_a_cut_out_shows_the_object_that_it_is_said_to_show(drawn: Drawn) -> None:
    objects, _ = cut_outs(drawn, random.Random(0))
    scenes = [s for n in drawn.numbers for s in (training_pair(n).scene, training_pair(n).changed)]
    items = [item for scene in scenes for item in scene.items if not item.word]
    assert [(NAMES[n], SHADES[c]) for n, c in zip(objects.names, objects.colours, strict=True)] == [
        (item.kind, item.colour) for item in items
    ]
    for picture, item in zip(objects.pictures, items, strict=True):
        assert picture.shape == (OBJECT[1], OBJECT[0], 3)
        distance = np.abs(picture.astype(int) - COLOURS[item.colour]).max(axis=2)
        assert (distance < 60).mean() > 0.03
