"""The storybook world: scenes repeat by seed, captions tell the truth, changes change one thing."""

import random
import re

import pytest

from mcp_vlsearch.storybook.captions import Detail, Language, caption, facts_of
from mcp_vlsearch.storybook.changes import change
from mcp_vlsearch.storybook.scene import Scene, held_out, sample_scene
from mcp_vlsearch.storybook.vocabulary import (
    COLOURS,
    COLOURS_ZH,
    OBJECTS,
    SETTINGS,
    SIGN_WORDS,
    STYLES,
)

DETAILS: tuple[Detail, ...] = ("terse", "phrase", "full")
LANGUAGES: tuple[Language, ...] = ("en", "zh")


def scenes(count: int, seed: int = 0) -> list[Scene]:
    """Sample scenes."""
    rng = random.Random(seed)
    return [sample_scene(rng) for _ in range(count)]


def test_the_world_is_as_rich_as_it_says() -> None:
    assert len(OBJECTS) >= 40
    assert len(COLOURS) == len(COLOURS_ZH) == 10
    assert len(SETTINGS) >= 8
    assert len(STYLES) >= 4
    assert len(set(SIGN_WORDS)) == len(SIGN_WORDS) >= 60


def test_names_tell_objects_apart_in_both_languages() -> None:
    assert len({noun.zh for noun in OBJECTS.values()}) == len(OBJECTS)
    assert len({noun.many for noun in OBJECTS.values()}) == len(OBJECTS)


def test_a_seed_always_gives_the_same_scenes() -> None:
    assert scenes(50, seed=7) == scenes(50, seed=7)
    assert scenes(50, seed=7) != scenes(50, seed=8)


def test_training_scenes_never_show_a_held_out_pair_and_held_out_ones_always_do() -> None:
    rng = random.Random(0)
    for _ in range(500):
        training = sample_scene(rng, "training")
        assert not any(held_out(i.kind, i.colour) for i in training.items if not i.word)
        unseen = sample_scene(rng, "held-out")
        assert any(held_out(i.kind, i.colour) for i in unseen.items if not i.word)


def test_every_object_and_colour_is_seen_in_training() -> None:
    for kind in OBJECTS:
        assert sum(held_out(kind, colour) for colour in COLOURS) <= 3
    for colour in COLOURS:
        assert sum(held_out(kind, colour) for kind in OBJECTS) <= len(OBJECTS) // 4


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("detail", DETAILS)
def test_a_caption_states_only_facts_of_its_scene(language: Language, detail: Detail) -> None:
    rng = random.Random(1)
    for scene in scenes(500):
        told = caption(scene, rng, language, detail)
        assert told.facts <= facts_of(scene)
        assert told.facts
        assert told.text == told.text.strip()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_full_caption_names_everything_that_is_there(language: Language) -> None:
    rng = random.Random(2)
    for scene in scenes(300):
        text = caption(scene, rng, language, "full").text
        for item in scene.items:
            noun = OBJECTS.get(item.kind)
            if item.word:
                assert item.word in text
            elif noun and language == "en":
                assert (noun.one if item.count == 1 else noun.many) in text
            elif noun:
                assert noun.zh in text
            assert (item.colour if language == "en" else COLOURS_ZH[item.colour]) in text


def test_chinese_captions_have_no_english_but_the_words_on_signs() -> None:
    rng = random.Random(3)
    for scene in scenes(300):
        for detail in DETAILS:
            latin = re.findall(r"[A-Za-z]+", caption(scene, rng, "zh", detail).text)
            assert set(latin) <= {item.word for item in scene.items}


def test_a_change_alters_the_scene_without_making_a_held_out_pair() -> None:
    rng = random.Random(4)
    for _ in range(500):
        scene = sample_scene(rng, "training")
        changed = change(scene, rng)
        assert changed.scene != scene
        assert facts_of(changed.scene) != facts_of(scene)
        assert set(changed.request) == {"en", "zh"}
        assert not any(held_out(i.kind, i.colour) for i in changed.scene.items if not i.word)
