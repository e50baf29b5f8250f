"""Terse English: taken apart word by word, longest known phrase first, and put into sentences."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from mcp_vlsearch.rewriters.template.lexicon import Lexicon, Parts, read_lexicon

__all__ = ["descriptions", "parse"]

_MOST_WORDS: Final = 6
_TOKEN: Final = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*|,|\S")
_ATTRIBUTES: Final = ("colours", "sizes", "materials")
_ARTICLES: Final = frozenset({"a", "an", "the"})
_QUALITY: Final = re.compile(r".+(?:ful|ous|less)|.{4,}ed")
_VOWEL: Final = re.compile(r"(?!uni|use|usu|eu|one\b|ufo)[aeiou]|hour|honest")
_NO_PLURAL: Final = re.compile(r".*(?:ss|us|is)")


@dataclass(frozen=True)
class _Item:
    """One or more words of a query, and what they are."""

    kind: str
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join(self.words)


@lru_cache(maxsize=1)
def _lexicon() -> Lexicon:
    return read_lexicon("english", spaced=True)


def descriptions(query: str) -> list[str]:
    """Return what a terse query says in sentences; nothing for a query of another kind."""
    parts = parse(query)
    if parts is None:
        return []
    where = " ".join((*parts.settings, *parts.viewpoints))
    shown = parts.style or "a picture"
    if parts.subject:
        whole = f"{parts.subject} {where}".strip()
        said = [f"{shown} of {whole}", whole if not parts.style else f"{whole}, {shown}"]
    elif parts.settings:
        said = [f"{shown} of a scene {where}", f"a scene {where}"]
    elif parts.viewpoints:
        said = [f"{shown} {where}"]
    else:
        said = [shown]
    return [f"{text[0].upper()}{text[1:]}." for text in said]


def parse(query: str) -> Parts | None:
    """Take a terse English query apart; None where it is not one."""
    tokens = _TOKEN.findall(query)
    if not _is_terse(query, tokens):
        return None
    subjects: list[str] = []
    settings: list[str] = []
    styles: list[str] = []
    viewpoints: list[str] = []
    for segment in " ".join(tokens).split(","):
        items = list(_items(segment.split()))
        for kind, phrase in _peeled(items):
            {"settings": settings, "styles": styles, "viewpoints": viewpoints}[kind].append(phrase)
        if items:
            subjects.append(_subject(items))
    if len(styles) > 1:  # what belongs together can't be told
        return None
    return Parts(", ".join(subjects), tuple(settings), "".join(styles), tuple(viewpoints))


def _is_terse(query: str, tokens: Sequence[str]) -> bool:
    lexicon = _lexicon()
    words = [token.lower() for token in tokens if token != ","]
    return (
        query.isascii()
        and 0 < len(words) <= _MOST_WORDS
        and any(word.isalpha() for word in words)
        and all(word[0].isalnum() for word in words)
        and lexicon.lists["clauses"].isdisjoint(words)
        and lexicon.lists["foreign"].isdisjoint(words)
    )


def _items(words: Sequence[str]) -> Iterator[_Item]:
    start = 0
    while start < len(words):
        for end in range(min(len(words), start + _lexicon().longest), start, -1):
            item = tuple(words[start:end])
            if (kind := _kind(item)) or end == start + 1:
                yield _Item(kind or "word", item)
                start = end
                break


def _kind(words: tuple[str, ...]) -> str:
    text = " ".join(words).lower()
    if text in _ARTICLES:
        return "article"
    return _lexicon().kind_of(text, ("compounds", "links", *_ATTRIBUTES))


def _peeled(items: list[_Item]) -> list[tuple[str, str]]:
    """Take what is no subject off both ends; return it as kind and phrase, in order."""
    first: list[tuple[str, str]] = []
    while items and items[0].kind in ("styles", "viewpoints"):
        first.append(_phrase(items.pop(0)))
        if items and items[0].text.lower() == "of":
            del items[0]
            if all(item.kind in ("settings", "article") for item in items):
                return first  # a picture of the place itself
    last: list[tuple[str, str]] = []
    while items and items[-1].kind in ("settings", "styles", "viewpoints"):
        if items[-1].kind == "settings":
            is_seen = len(items) == 1 and any(kind == "viewpoints" for kind, _ in first + last)
            if is_seen or not _is_setting(items):
                break
            last.insert(0, ("settings", _setting(items)))
        else:
            last.insert(0, _phrase(items.pop()))
    return first + last


def _phrase(item: _Item) -> tuple[str, str]:
    return item.kind, _lexicon().tables[item.kind][item.text.lower()]


def _is_setting(items: Sequence[_Item]) -> bool:
    """Say whether the last word is where something is, rather than what is shown."""
    before = [item for item in items[:-1] if item.kind != "article"]
    if not before:
        return len(items) == 1  # with an article it is the thing itself
    word = before[-1].text.lower()
    if before[-1].kind == "links":
        return word in _lexicon().lists["place_links"]
    if len(before) < len(items) - 1 or before[-1].kind in (*_ATTRIBUTES, "counts"):
        return False
    is_quality = word in _lexicon().lists["adjectives"] or _QUALITY.fullmatch(word)
    return not (is_quality or (len(before) == 1 and word.endswith("ing")))


def _setting(items: list[_Item]) -> str:
    """Take a setting off the end, with the link before it; return how it reads."""
    _, phrase = _phrase(items.pop())
    if items and items[-1].kind == "article":
        items.pop()
    if not items or items[-1].kind != "links":
        return phrase
    link = items.pop().text.lower()
    first, _, rest = phrase.partition(" ")
    plain = _lexicon().lists["plain_links"]  # say no more than the setting itself does
    return f"{link} {rest}" if rest and link not in plain and first in plain else phrase


def _subject(items: Sequence[_Item]) -> str:
    """Return noun phrases with their articles; links stand between them."""
    said: list[str] = []
    group: list[_Item] = []
    for item in items:
        if item.kind == "links":
            said += [_noun_phrase(group), item.text]
            group = []
        else:
            group.append(item)
    said.append(_noun_phrase(group))
    return " ".join(text for text in said if text)


def _noun_phrase(group: Sequence[_Item]) -> str:
    if not group:
        return ""
    counts = _lexicon().tables["counts"]
    words = [counts[item.text.lower()] if item.kind == "counts" else _typed(item) for item in group]
    if all(item.kind in _ATTRIBUTES for item in group):
        return f"something {' '.join(words)}"
    written = _written(group)
    text = written or " ".join(words)
    has_article = group[0].kind in ("article", "counts")
    return text if has_article or not _takes_article(group) else f"{_article(text)} {text}"


def _typed(item: _Item) -> str:
    """Return words as they were typed; known ones in small letters, for names are not known."""
    return item.text.lower() if item.kind != "word" else item.text


def _written(group: Sequence[_Item]) -> str:
    """Return how a word in capitals stands on a sign; empty if there is none."""
    words = [word for item in group for word in item.words]
    on = [word for word in words if word.lower() in _lexicon().lists["written_on"]]
    capitals = [word for word in words if word.isupper() and len(word) > 1]
    if len(on) != 1 or not capitals:
        return ""
    rest = " ".join(word for word in words if word not in capitals)
    return f'{rest} that says "{" ".join(capitals)}"'


def _takes_article(group: Sequence[_Item]) -> bool:
    """Say whether "a" goes before it: it does before one thing that can be counted."""
    lists = _lexicon().lists
    words = [word for item in group for word in item.words]
    nouns = [word for word in words if not word.lower().endswith("ing")]
    on = [word for word in nouns if word.lower() in lists["written_on"]]
    if not nouns:
        return False
    head = (on or nouns)[-1]
    is_name = not on and head[0].isupper() and (len(words) > 1 or head.isupper())
    is_plural = head.endswith("s") and not _NO_PLURAL.fullmatch(head)
    known = lists["plurals"] | lists["uncounted"]
    return not (is_name or is_plural or head.lower() in known or head.isdigit())


def _article(text: str) -> str:
    return "an" if _VOWEL.match(text.lower()) else "a"
