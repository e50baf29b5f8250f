"""Captions of scenes in English and Chinese, from one word to a full sentence.

Each caption carries the facts that it states, so a terse one ("cat") can be told to be true of
every picture with a cat: training and evaluation must not count those as wrong.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from mcp_vlsearch.storybook.scene import Item, Scene
from mcp_vlsearch.storybook.vocabulary import (
    COLOURS_ZH,
    NUMBERS_EN,
    NUMBERS_ZH,
    OBJECTS,
    SETTINGS,
    SIGN,
    STYLES,
    Noun,
    Phrase,
)

__all__ = ["Caption", "Detail", "Fact", "Language", "caption", "facts_of"]

Language = Literal["en", "zh"]
Detail = Literal["terse", "phrase", "full"]
Fact = tuple[str, ...]

PLACES_EN: Final = {
    "centre": "in the middle",
    "left": "on the left",
    "right": "on the right",
    "top": "at the top",
    "bottom": "at the bottom",
    "top left": "in the top left corner",
    "top right": "in the top right corner",
    "bottom left": "in the bottom left corner",
    "bottom right": "in the bottom right corner",
}
PLACES_ZH: Final = {
    "centre": "中间",
    "left": "左边",
    "right": "右边",
    "top": "上方",
    "bottom": "下方",
    "top left": "左上角",
    "top right": "右上角",
    "bottom left": "左下角",
    "bottom right": "右下角",
}


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
    grammar = _ENGLISH if language == "en" else _CHINESE
    match detail:
        case "terse":
            return _terse(scene, rng, grammar)
        case "phrase":
            return _phrase(scene, rng, grammar)
        case "full":
            return _full(scene, rng, grammar)


@dataclass(frozen=True)
class _Grammar:
    """How one language says things; the choice of what to say is common to both."""

    noun: Callable[[Item, set[str], random.Random], str]
    terse: Callable[[Item, set[str]], str]
    placed: Callable[[str, str], str]
    related: Callable[[str, tuple[str, ...]], str]
    together: Callable[[tuple[str, ...]], str]
    colour: Callable[[str], str]
    setting: Callable[[Phrase, random.Random], str]
    terse_phrase: Callable[[Phrase], str]
    sentence: Callable[[str, str, str], str]
    join: str


def _terse(scene: Scene, rng: random.Random, grammar: _Grammar) -> Caption:
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


def _phrase(scene: Scene, rng: random.Random, grammar: _Grammar) -> Caption:
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


def _full(scene: Scene, rng: random.Random, grammar: _Grammar) -> Caption:
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


def _noun(item: Item) -> Noun:
    return SIGN if item.word else OBJECTS[item.kind]


# English


def _noun_en(item: Item, said: set[str], rng: random.Random) -> str:
    words = []
    if "size" in said and item.size != "medium":
        words.append(rng.choice(("small", "little") if item.size == "small" else ("large", "big")))
    if "colour" in said:
        words.append(item.colour)
    words.append(_noun(item).one if item.count == 1 else _noun(item).many)
    text = " ".join(words)
    if item.count == 1:
        text = f"{'an' if text[0] in 'aeiou' else 'a'} {text}"
    elif "count" in said:
        text = f"{NUMBERS_EN[item.count]} {text}"
    if item.word:
        text += rng.choice((' that says "{}"', ' reading "{}"', ' with the word "{}"')).format(
            item.word
        )
    return text


def _terse_en(item: Item, said: set[str]) -> str:
    noun = _noun(item).one
    if "count" in said and item.count > 1:
        noun = f"{NUMBERS_EN[item.count]} {_noun(item).many}"
    if "colour" in said:
        noun = f"{item.colour} {noun}"
    return f"{noun} {item.word}" if item.word else noun


def _related_en(layout: str, nouns: tuple[str, ...]) -> str:
    match layout:
        case "beside":
            return f"{nouns[0]} to the left of {nouns[1]}"
        case "stacked":
            return f"{nouns[0]} above {nouns[1]}"
        case _:
            return f"{nouns[0]} on the left, {nouns[1]} in the middle and {nouns[2]} on the right"


def _together_en(nouns: tuple[str, ...]) -> str:
    return nouns[0] if len(nouns) == 1 else f"{', '.join(nouns[:-1])} and {nouns[-1]}"


def _sentence_en(style: str, text: str, setting: str) -> str:
    if style:
        text = f"{STYLES[style].en} of {text}"
    text = f"{text} {setting}" if setting else text
    return text[0].upper() + text[1:] + "." if style else text


# Chinese


def _noun_zh(item: Item, said: set[str], rng: random.Random) -> str:
    noun = _noun(item)
    size = {"small": "小", "large": "大"}.get(item.size, "") if "size" in said else ""
    colour = f"{COLOURS_ZH[item.colour]}的" if "colour" in said else ""
    number = f"{NUMBERS_ZH[item.count]}{noun.measure}"
    if item.count > 1 and "count" not in said:
        number = f"几{noun.measure}"
    word = rng.choice(("写着“{}”的", "上面有“{}”字样的")).format(item.word) if item.word else ""
    return f"{number}{word}{colour}{size}{noun.zh}"


def _terse_zh(item: Item, said: set[str]) -> str:
    noun = _noun(item)
    text = noun.zh
    if "colour" in said:
        text = f"{COLOURS_ZH[item.colour]}{'的' if len(text) > 1 else ''}{text}"
    if "count" in said and item.count > 1:
        text = f"{NUMBERS_ZH[item.count]}{noun.measure}{text}"
    return f"{item.word}{text}" if item.word else text


def _related_zh(layout: str, nouns: tuple[str, ...]) -> str:
    match layout:
        case "beside":
            return f"{nouns[0]}在{nouns[1]}的左边"
        case "stacked":
            return f"{nouns[0]}在{nouns[1]}的上方"
        case _:
            return f"左边是{nouns[0]}，中间是{nouns[1]}，右边是{nouns[2]}"


def _together_zh(nouns: tuple[str, ...]) -> str:
    return nouns[0] if len(nouns) == 1 else f"{'、'.join(nouns[:-1])}和{nouns[-1]}"


def _sentence_zh(style: str, text: str, setting: str) -> str:
    text = f"{setting}，{text}" if setting else text
    return f"一幅{STYLES[style].zh}：{text}。" if style else text


_ENGLISH: Final = _Grammar(
    noun=_noun_en,
    terse=_terse_en,
    placed=lambda noun, place: f"{noun} {PLACES_EN[place]}",
    related=_related_en,
    together=_together_en,
    colour=lambda colour: colour,
    setting=lambda phrase, rng: rng.choice((phrase.en, phrase.en, *phrase.others)),
    terse_phrase=lambda phrase: phrase.terse,
    sentence=_sentence_en,
    join=" ",
)
_CHINESE: Final = _Grammar(
    noun=_noun_zh,
    terse=_terse_zh,
    placed=lambda noun, place: f"{noun}在画面{PLACES_ZH[place]}",
    related=_related_zh,
    together=_together_zh,
    colour=lambda colour: COLOURS_ZH[colour],
    setting=lambda phrase, rng: rng.choice((phrase.zh, phrase.zh, *phrase.others_zh)),
    terse_phrase=lambda phrase: phrase.terse_zh,
    sentence=_sentence_zh,
    join=" ",
)
