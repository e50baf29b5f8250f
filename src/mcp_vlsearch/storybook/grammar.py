"""How English and Chinese say what a scene shows: nouns, relations, places, whole sentences."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mcp_vlsearch.storybook.scene import Item
from mcp_vlsearch.storybook.vocabulary import (
    COLOURS_ZH,
    NUMBERS_EN,
    NUMBERS_ZH,
    OBJECTS,
    SIGN,
    STYLES,
    Noun,
    Phrase,
)

__all__ = ["CHINESE", "ENGLISH", "Grammar"]

_PLACES_EN: Final = {
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
_PLACES_ZH: Final = {
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
class Grammar:
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


ENGLISH: Final = Grammar(
    noun=_noun_en,
    terse=_terse_en,
    placed=lambda noun, place: f"{noun} {_PLACES_EN[place]}",
    related=_related_en,
    together=_together_en,
    colour=lambda colour: colour,
    setting=lambda phrase, rng: rng.choice((phrase.en, phrase.en, *phrase.others)),
    terse_phrase=lambda phrase: phrase.terse,
    sentence=_sentence_en,
    join=" ",
)
CHINESE: Final = Grammar(
    noun=_noun_zh,
    terse=_terse_zh,
    placed=lambda noun, place: f"{noun}在画面{_PLACES_ZH[place]}",
    related=_related_zh,
    together=_together_zh,
    colour=lambda colour: COLOURS_ZH[colour],
    setting=lambda phrase, rng: rng.choice((phrase.zh, phrase.zh, *phrase.others_zh)),
    terse_phrase=lambda phrase: phrase.terse_zh,
    sentence=_sentence_zh,
    join=" ",
)
