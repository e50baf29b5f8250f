"""Scenes are drawn as they say: every object, setting and style, in its colour, always alike."""

import random
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mcp_vlsearch.storybook.drawing import compose, draw, where
from mcp_vlsearch.storybook.drawing.layout import boxes
from mcp_vlsearch.storybook.drawing.objects import DRAW
from mcp_vlsearch.storybook.drawing.pen import Pen
from mcp_vlsearch.storybook.scene import Item, Scene, sample_scene
from mcp_vlsearch.storybook.vocabulary import COLOURS, OBJECTS, SETTINGS, SIGN_WORDS, STYLES

PAPER = (127, 128, 129)


def one(kind: str = "cat", colour: str = "red", **others: object) -> Scene:
    """A scene with one object in the middle."""
    item = Item(kind, colour, "centre", size="large")
    scene = Scene("meadow", "flat", (1, 1), "single", (item,), seed=5)
    return replace(scene, **others)  # type: ignore[arg-type]


def test_every_object_of_the_vocabulary_can_be_drawn() -> None:
    assert set(DRAW) == set(OBJECTS)


@pytest.mark.parametrize("kind", sorted(OBJECTS))
def test_an_object_shows_its_colour_and_stays_in_its_box(kind: str) -> None:
    for colour in ("red", "blue", "green"):
        image = Image.new("RGB", (240, 240), PAPER)
        DRAW[kind](Pen(image, (40, 40, 160, 160)), COLOURS[colour])
        pixels = np.asarray(image).astype(int)
        drawn = (pixels != PAPER).any(axis=2)
        inside = np.zeros_like(drawn)
        inside[36:204, 36:204] = True
        assert not (drawn & ~inside).any()
        exact = (pixels == COLOURS[colour]).all(axis=2)
        assert exact.sum() > 0.15 * drawn.sum()


def test_different_objects_look_different_in_one_colour() -> None:
    looks = {np.asarray(draw(one(kind), 96 * 96)).tobytes() for kind in OBJECTS}
    assert len(looks) == len(OBJECTS)


@pytest.mark.parametrize("style", sorted(STYLES))
def test_every_setting_looks_different_in_every_style(style: str) -> None:
    drawn = [
        np.asarray(draw(one(setting=setting, style=style), 96 * 96)).astype(float)
        for setting in SETTINGS
    ]
    for i, picture in enumerate(drawn):
        for other in drawn[:i]:
            assert np.abs(picture - other).mean() > 4


@pytest.mark.parametrize("word", sorted(SIGN_WORDS)[::6])
def test_the_word_of_a_sign_is_written_on_it(word: str) -> None:
    item = Item("sign", "white", "centre", size="large", word=word)
    blank = replace(item, word="I")
    with_word, without = (np.asarray(draw(one(items=(i,)))).astype(int) for i in (item, blank))
    dark = (with_word.sum(axis=2) < 250).sum() - (without.sum(axis=2) < 250).sum()
    assert dark > 0.002 * with_word.shape[0] * with_word.shape[1]


def test_a_scene_is_drawn_the_same_every_time_and_its_seed_matters() -> None:
    scene = one()
    assert draw(scene).tobytes() == draw(scene).tobytes()
    assert draw(scene).tobytes() != draw(replace(scene, seed=6)).tobytes()


def test_sizes_follow_the_budget_and_the_aspect() -> None:
    for aspect in ((1, 1), (4, 3), (2, 3), (16, 9)):
        width, height = draw(one(aspect=aspect), 400 * 400).size
        assert width % 32 == height % 32 == 0
        assert width * height == pytest.approx(400 * 400, rel=0.2)
        assert width / height == pytest.approx(aspect[0] / aspect[1], rel=0.2)


def test_objects_never_overlap_or_leave_the_picture() -> None:
    rng = random.Random(0)
    for _ in range(300):
        scene = sample_scene(rng)
        placed = [box for _, copies in boxes(scene, 600, 400, rng) for box in copies]
        for i, (left, top, width, height) in enumerate(placed):
            assert left >= 0
            assert top >= 0
            assert left + width <= 600
            assert top + height <= 400
            for other_left, other_top, other_width, other_height in placed[:i]:
                apart = (
                    left + width <= other_left
                    or other_left + other_width <= left
                    or top + height <= other_top
                    or other_top + other_height <= top
                )
                assert apart


def test_counts_are_drawn_one_by_one() -> None:
    rng = random.Random(0)
    for count in (1, 2, 3, 4):
        item = Item("apple", "red", "centre", count=count)
        ((_, copies),) = boxes(one(items=(item,)), 512, 512, rng)
        assert len(copies) == count


@pytest.mark.parametrize("pixels", [160 * 160, 512 * 512])
def test_it_is_known_where_every_object_is_drawn(
    pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    put: list[tuple[Item, tuple[float, ...]]] = []

    def note(image: Image.Image, item: Item, box: tuple[float, ...], _: float) -> None:
        put.append((item, tuple(np.divide(box, image.size * 2))))

    monkeypatch.setattr(compose, "_put", note)
    rng = random.Random(11)
    for _ in range(40):
        scene = sample_scene(rng)
        put.clear()
        draw(scene, pixels)
        known = [(item, box) for item, copies in where(scene, pixels) for box in copies]
        assert [item for item, _ in known] == [item for item, _ in put]
        assert np.allclose([box for _, box in known], [box for _, box in put])
