"""Captions of scenes in English and Chinese, from one word to a full sentence.

Each caption carries the facts that it states, so a terse one ("cat") can be told to be true of
every picture with a cat: training and evaluation must not count those as wrong.
"""

import random
from dataclasses import dataclass
from typing import Literal

from mcp_vlsearch.storybook.grammar import CHINESE, ENGLISH, Grammar
from mcp_vlsearch.storybook.scene import Item, Scene
from mcp_vlsearch.storybook.vocabulary import SETTINGS, STYLES

__all__ = ["Caption", "Detail", "Fact", "Language", "caption", "facts_of"]

Language = Literal["en", "zh"]
Detail = Literal["terse", "phrase", "full"]
Fact = tuple[str, ...]


@dataclass(frozen=True)
class Caption:
    """A text and the facts it states; it is true of a scene that has them all."""

    text: str
    facts: frozenset[Fact]


def facts_of(scene: Scene) -> frozenset[Fact]:
    """Return everything that a caption can say of a scene."""
    facts: set[Fact] = {("setting", scene.setting), ("style", scene.style)}
    for item in scene.items:
        facts |= _item_facts(item, {"colour", "count", "size", "place"})
        facts.add(("colour", item.colour))
    for first, second in zip(scene.items, scene.items[1:], strict=False):
        facts.add((scene.layout, first.kind, second.kind))
    return frozenset(facts)


def caption(scene: Scene, rng: random.Random, language: Language, detail: Detail) -> Caption:
    """Describe a scene: one or two words, a phrase about a part of it, or all of it."""
    grammar = ENGLISH if language == "en" else CHINESE
    match detail:
        case "terse":
            return _terse(scene, rng, grammar)
        case "phrase":
            return _phrase(scene, rng, grammar)
        case "full":
            return _full(scene, rng, grammar)


def _terse(scene: Scene, rng: random.Random, grammar: Grammar) -> Caption:
    item = rng.choice(scene.items)
    said = set(rng.choice(((), ("colour",), ("colour",), ("count",))))
    words = [grammar.terse(item, said)]
    facts = _item_facts(item, said)
    other = rng.random()
    if other < 0.12:
        return Caption(
            grammar.terse_phrase(SETTINGS[scene.setting]), _only("setting", scene.setting)
        )
    if other < 0.16:
        return Caption(grammar.terse_phrase(STYLES[scene.style]), _only("style", scene.style))
    if other < 0.19:
        return Caption(grammar.colour(item.colour), _only("colour", item.colour))
    if other < 0.4:
        words.append(grammar.terse_phrase(SETTINGS[scene.setting]))
        facts.add(("setting", scene.setting))
    return Caption(grammar.join.join(words), frozenset(facts))


def _phrase(scene: Scene, rng: random.Random, grammar: Grammar) -> Caption:
    items = scene.items if rng.random() < 0.5 else (rng.choice(scene.items),)
    said = {d for d in ("colour", "count", "size") if rng.random() < 0.5}
    nouns = tuple(grammar.noun(item, said, rng) for item in items)
    facts = set[Fact]().union(*(_item_facts(item, said) for item in items))
    if len(items) == 2 and rng.random() < 0.6:
        text = grammar.related(scene.layout, nouns)
        facts |= _relations(scene)
    elif len(items) == 1 and rng.random() < 0.3:
        text = grammar.placed(nouns[0], items[0].place)
        facts |= _item_facts(items[0], {"place"})
    else:
        text = grammar.together(nouns)
    style = setting = ""
    if rng.random() < 0.4:
        setting = grammar.setting(SETTINGS[scene.setting], rng)
        facts.add(("setting", scene.setting))
    if rng.random() < 0.15:
        style = scene.style
        facts.add(("style", scene.style))
    return Caption(grammar.sentence(style, text, setting), frozenset(facts))


def _full(scene: Scene, rng: random.Random, grammar: Grammar) -> Caption:
    nouns = tuple(grammar.noun(i, {"colour", "count", "size"}, rng) for i in scene.items)
    if scene.layout == "single":
        text = grammar.placed(nouns[0], scene.items[0].place)
    else:
        text = grammar.related(scene.layout, nouns)
    setting = grammar.setting(SETTINGS[scene.setting], rng)
    facts = {f for f in facts_of(scene) if f[0] != "place" or scene.layout == "single"}
    return Caption(grammar.sentence(scene.style, text, setting), frozenset(facts))


def _item_facts(item: Item, said: set[str]) -> set[Fact]:
    facts: set[Fact] = {("is", item.kind)}
    if "colour" in said:
        facts.add(("colour", item.kind, item.colour))
    if "count" in said:
        facts.add(("count", item.kind, str(item.count)))
    if "size" in said and item.size != "medium":
        facts.add(("size", item.kind, item.size))
    if "place" in said:
        facts.add(("place", item.kind, item.place))
    if item.word:
        facts.add(("word", item.word))
    return facts


def _relations(scene: Scene) -> set[Fact]:
    first, second = scene.items[:2]
    return {(scene.layout, first.kind, second.kind)}


def _only(*fact: str) -> frozenset[Fact]:
    return frozenset({fact})
