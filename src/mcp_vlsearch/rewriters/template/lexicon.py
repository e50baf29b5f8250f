"""Words that are known of a language: lists, and how terse ones read in a sentence."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

__all__ = ["PARTS", "Lexicon", "Parts", "read_lexicon"]

PARTS: Final = ("viewpoints", "styles", "settings", "counts")
"""Tables that say how their words read in a sentence."""


@dataclass(frozen=True)
class Parts:
    """What a terse query says, each part as it reads in a sentence; any may be missing."""

    subject: str = ""
    settings: tuple[str, ...] = ()
    style: str = ""
    viewpoints: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lexicon:
    """The words of one language; ``longest`` is the most words, or characters, of an entry."""

    lists: Mapping[str, frozenset[str]]
    tables: Mapping[str, Mapping[str, str]]
    longest: int

    def kind_of(self, entry: str, lists: Sequence[str]) -> str:
        """Return the table, or one of these lists, that has an entry; empty if none has."""
        for name in lists:
            if entry in self.lists[name]:
                return name
        return next((name for name in PARTS if entry in self.tables.get(name, {})), "")


def read_lexicon(language: str, *, spaced: bool) -> Lexicon:
    """Read ``LANGUAGE.toml``, where a list is a text with spaces between its words, or a list.

    Entries are measured in words where these are ``spaced``, else in characters.
    """
    text = files(__package__).joinpath(f"{language}.toml").read_text("utf-8")
    data: dict[str, Any] = tomllib.loads(text)
    lists = {
        name: frozenset(value.split() if isinstance(value, str) else value)
        for name, value in data.items()
        if not isinstance(value, dict)
    }
    tables = {name: value for name, value in data.items() if isinstance(value, dict)}
    entries = [entry for words in (*lists.values(), *tables.values()) for entry in words]
    longest = max(len(entry.split()) if spaced else len(entry) for entry in entries)
    return Lexicon(lists, tables, longest)
