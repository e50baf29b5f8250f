"""Terse Chinese in either script: cut at the longest known words, and put into sentences."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from mcp_vlsearch.rewriters.template.lexicon import Lexicon, Parts, read_lexicon

__all__ = ["descriptions", "parse"]

_MOST_CHARACTERS: Final = 10
"""A word in Latin letters counts as one."""
_ATTRIBUTES: Final = ("colours", "sizes", "materials")
_PLACES: Final = ("settings", "localizers")
_KANA_OR_HANGUL: Final = re.compile(r"[\u3040-\u30ff\uac00-\ud7af]")
_SEPARATOR: Final = re.compile(r"[\s,，、;；·]+")
_LATIN: Final = re.compile(r"[A-Za-z0-9]+(?:['’.-][A-Za-z0-9]+)*")
_SIGN: Final = re.compile(r"([A-Z][A-Z0-9]+) ?(牌子|招牌|路牌|标牌|標牌|标志|標誌|海报|海報)")


@dataclass(frozen=True)
class _Item:
    """A word as it was typed, what it is, and how the lexicon writes it."""

    kind: str
    typed: str
    entry: str


@lru_cache(maxsize=1)
def _lexicon() -> Lexicon:
    return read_lexicon("chinese", spaced=False)


@lru_cache(maxsize=1)
def _simplified() -> dict[int, str]:
    """Return the simplified character of each traditional one that is known."""
    return {ord(pair[1]): pair[0] for pair in _lexicon().lists["characters"]}


@lru_cache(maxsize=1)
def _traditional() -> dict[int, str]:
    return {ord(pair[0]): pair[1] for pair in sorted(_lexicon().lists["characters"])}


def _script_of(query: str) -> Callable[[str], str]:
    """Return what writes words of the lexicon in the query's script."""
    if query.translate(_simplified()) == query:
        return str
    return lambda text: text.translate(_traditional())


def descriptions(query: str) -> list[str]:
    """Return what a terse query says in sentences; nothing for a query of another kind."""
    parts = parse(query)
    if parts is None:
        return []
    own = _script_of(query)
    templates = {name: own(text) for name, text in _lexicon().tables["templates"].items()}
    picture, seen = templates["picture"], parts.viewpoints
    said = "，".join(text for text in (*parts.settings, parts.subject, *seen) if text)
    if not said:
        return [templates["alone"].format(style=parts.style)]
    if parts.style:
        first = templates["painted"].format(style=parts.style, said=said)
    else:
        shown, *more = (text for text in (parts.subject, *parts.settings, *seen) if text)
        rest = "".join(f"，{text}" for text in more)
        first = templates["of"].format(shown=shown, style=picture, more=rest)
    alone = templates["shows"] if parts.subject and not parts.settings else "{said}。"
    return [first, alone.format(said=said)]


def parse(query: str) -> Parts | None:
    """Take a terse Chinese query apart; None where it is not one."""
    lexicon, plain = _lexicon(), query.translate(_simplified())
    if (
        _KANA_OR_HANGUL.search(query)
        or len(_LATIN.sub("x", _SEPARATOR.sub("", plain))) > _MOST_CHARACTERS
        or any(word in plain for word in lexicon.lists["clauses"])
    ):
        return None
    own = _script_of(query)
    written = own(lexicon.tables["templates"]["written"])
    query = _SIGN.sub(lambda m: written.format(word=m[1], on=m[2]), query)
    segments = [list(_items(segment)) for segment in _SEPARATOR.split(query) if segment]
    styles = [phrase for items in segments for phrase in _taken(items, "styles")]
    viewpoints = [phrase for items in segments for phrase in _taken(items, "viewpoints")]
    settings = [phrase for items in segments for phrase in _settings(items)]
    tells = any(item.kind == "在" for items in segments for item in items)
    if tells or len(styles) > 1:  # a clause, or what belongs together can't be told
        return None
    something = lexicon.tables["templates"]["something"]
    subject = _subject([items for items in segments if items], own(something))
    where, seen = tuple(map(own, settings)), tuple(map(own, viewpoints))
    return Parts(subject, where, own("".join(styles)), seen)


def _items(segment: str) -> Iterator[_Item]:
    """Cut a segment at known words, the longest first; what is between them is one word."""
    plain, lexicon = segment.translate(_simplified()), _lexicon()
    start = unknown = 0
    while start < len(plain):
        kind, end = "", start + 1
        if latin := _LATIN.match(plain, start):
            kind, end = "", latin.end()
        else:
            for length in range(min(lexicon.longest, len(plain) - start), 0, -1):
                if kind := _kind(plain[start : start + length]):
                    end = start + length
                    break
        if kind:
            if unknown < start:
                yield _Item("word", segment[unknown:start], plain[unknown:start])
            yield _Item(kind, segment[start:end], plain[start:end])
            unknown = end
        start = end
    if unknown < start:
        yield _Item("word", segment[unknown:], plain[unknown:])


def _kind(entry: str) -> str:
    if entry in ("在", "的"):
        return entry
    return _lexicon().kind_of(entry, ("compounds", *_ATTRIBUTES, "localizers"))


def _taken(items: list[_Item], kind: str) -> list[str]:
    """Take words of a kind off the ends of a segment; return how they read."""
    found = []
    while items and items[0].kind == kind:
        found.append(_lexicon().tables[kind][items.pop(0).entry])
        if items and items[0].kind == "的":
            del items[0]
    while items and items[-1].kind == kind:
        found.append(_lexicon().tables[kind][items.pop().entry])
        if items and items[-1].kind == "的":
            del items[-1]
    return found


def _settings(items: list[_Item]) -> list[str]:
    """Take settings off a segment: all of it, what 的 joins to the rest, what comes after 在."""
    found = []
    while items and (end := _end_of_place(items)):
        if end < len(items) and items[end].kind != "的":
            break
        found.append(_setting(items[:end]))
        del items[: end + 1]
    for start in range(1, len(items)):
        if items[start].kind == "在" and _end_of_place(items[start:]) == len(items) - start:
            found.append(_setting(items[start:]))
            del items[start:]
            break
    return found


def _end_of_place(items: Sequence[_Item]) -> int:
    """Return how many of the first items name a place or time, 0 if they name none."""
    start = end = 1 if items[0].kind == "在" else 0
    if end == len(items) or items[end].kind != "settings":
        return 0
    while end < len(items) and items[end].kind in _PLACES:
        end += 1
    return end if end > start else 0


def _setting(items: Sequence[_Item]) -> str:
    place = [item for item in items if item.kind in _PLACES]
    typed, last = "".join(item.typed for item in place), place[-1]
    phrase = _lexicon().tables["settings"].get(last.entry, "")
    return phrase.replace(last.entry, typed) if last.entry in phrase else f"在{typed}"


def _subject(segments: Sequence[Sequence[_Item]], something: str) -> str:
    """Join segments; the attributes in one belong to the thing in the other if there are two."""
    qualities = [s for s in segments if all(item.kind in _ATTRIBUTES for item in s)]
    things = [_joined(s) for s in segments if s not in qualities]
    if qualities and not things:
        return "、".join(f"{_joined(s)}的{something}" for s in qualities)
    if len(qualities) == len(things) == 1:
        return f"{_joined(qualities[0])}的{things[0]}"
    said = ""
    for text in map(_joined, segments):
        is_latin = text.isascii() or said.isascii()
        said += (" " if is_latin else "、") + text if said else text
    return said


def _joined(items: Sequence[_Item]) -> str:
    """Return a segment with 的 between a colour or size and what has it."""
    text = ""
    for item, following in zip(items, [*items[1:], None], strict=True):
        text += item.typed
        is_thing = following is not None and following.kind not in (*_ATTRIBUTES, "的")
        if item.kind in ("colours", "sizes") and is_thing:
            text += "的"
    return text
