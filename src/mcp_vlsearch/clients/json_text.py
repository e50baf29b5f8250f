"""Servers in a JSON file: put in and taken out by cutting the text, so that all else stays."""

import json
from collections.abc import Iterator
from itertools import takewhile
from typing import Any, Final, NamedTuple

__all__ = ["find", "put", "shown", "take_out"]

_SPACE: Final = " \t\n\r"
_BOM: Final = "\ufeff"
_INDENT: Final = "  "


class _Member(NamedTuple):
    key: str
    start: int
    value: int
    end: int


def find(text: str, key: str) -> dict[str, Any]:
    """Return the servers in a file, by name; none in an empty file.

    Raises :class:`ValueError` if it is no strict JSON, names something twice, or if the file or
    what ``key`` names is no object.
    """
    body = text.removeprefix(_BOM).strip()
    document = json.loads(body, object_pairs_hook=_without_repeats) if body else {}
    servers = document.get(key, {}) if isinstance(document, dict) else None
    if not isinstance(servers, dict):
        raise ValueError(f"{key} is no object" if servers is not None else "it is no object")
    return servers


def put(text: str, key: str, name: str, entry: dict[str, Any]) -> str:
    """Return the text with a server in it, in place of one of the same name."""
    find(text, key)
    if not text.removeprefix(_BOM).strip():
        return shown(key, name, entry)
    top = _start(text)
    outer = {member.key: member for member in _members(text, top)}
    if key not in outer:
        return _added(text, top, 1, key, {name: entry})
    inner = {member.key: member for member in _members(text, outer[key].value)}
    if name not in inner:
        return _added(text, outer[key].value, 2, name, entry)
    _, _, value, end = inner[name]
    return text[:value] + _written(text, entry, 2) + text[end:]


def take_out(text: str, key: str, name: str) -> str:
    """Return the text without a server that is in it."""
    outer = next(m for m in _members(text, _start(text)) if m.key == key)
    members = list(_members(text, outer.value))
    place = next(i for i, member in enumerate(members) if member.key == name)
    if len(members) == 1:
        return text[: outer.value] + "{}" + text[outer.end :]
    if place == 0:
        return text[: members[0].start] + text[members[1].start :]
    return text[: members[place - 1].end] + text[members[place].end :]


def shown(key: str, name: str, entry: dict[str, Any]) -> str:
    """Return a file that holds this server only."""
    return json.dumps({key: {name: entry}}, indent=_INDENT, ensure_ascii=False) + "\n"


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice in one object")
    return found


def _start(text: str) -> int:
    return _after_space(text, len(_BOM) if text.startswith(_BOM) else 0)


def _after_space(text: str, position: int) -> int:
    while text[position] in _SPACE:
        position += 1
    return position


def _members(text: str, start: int) -> Iterator[_Member]:
    """Yield what an object of strict JSON holds, whose brace is at ``start``."""
    decoder = json.JSONDecoder()
    position = _after_space(text, start + 1)
    while text[position] != "}":
        key, after = decoder.raw_decode(text, position)
        value = _after_space(text, _after_space(text, after) + 1)
        _, end = decoder.raw_decode(text, value)
        yield _Member(key, position, value, end)
        position = _after_space(text, end)
        if text[position] == ",":
            position = _after_space(text, position + 1)


def _added(text: str, start: int, depth: int, name: str, value: dict[str, Any]) -> str:
    """Return the text with one more member at the end of an object."""
    line = _line_end(text)
    unit = _unit(text)
    member = f"{json.dumps(name, ensure_ascii=False)}: {_written(text, value, depth)}"
    members = list(_members(text, start))
    if members:
        end = members[-1].end
        return f"{text[:end]},{line}{unit * depth}{member}{text[end:]}"
    end = _after_space(text, start + 1)
    inside = f"{line}{unit * depth}{member}{line}{unit * (depth - 1)}"
    return text[: start + 1] + inside + text[end:]


def _written(text: str, value: dict[str, Any], depth: int) -> str:
    lines = json.dumps(value, indent=_unit(text), ensure_ascii=False).split("\n")
    return (_line_end(text) + _unit(text) * depth).join(lines)


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _unit(text: str) -> str:
    """Return by what the file's own lines are set in."""
    for line in text.splitlines():
        if line.strip() and line[0] in " \t":
            return "".join(takewhile(lambda character: character in " \t", line))
    return _INDENT
