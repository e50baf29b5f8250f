"""Words for people: what to give instead of a wrong value, and long paths and lists in short."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

__all__ = ["in_words", "listed", "on_a_line", "showable", "shown"]

_LONGEST: Final = 160
"""Characters of a path that are shown."""
_LISTED: Final = 5

_BREAKS: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""What ends a line, turns the direction of what follows, or is no character."""

Limits = Mapping[str, Any]

_WORDS: Final[dict[str, Callable[[Limits], str]]] = {
    "missing": lambda _: "is missing: give it",
    "extra_forbidden": lambda _: "is not known: leave it out",
    "greater_than": lambda limits: f"give more than {limits['gt']:g}",
    "greater_than_equal": lambda limits: f"give at least {limits['ge']:g}",
    "less_than": lambda limits: f"give less than {limits['lt']:g}",
    "less_than_equal": lambda limits: f"give at most {limits['le']:g}",
    "literal_error": lambda limits: f"give {limits['expected']}",
    "string_too_short": lambda limits: f"give at least {_counted(limits, 'character')}",
    "string_too_long": lambda limits: f"give at most {_counted(limits, 'character')}",
    "too_short": lambda limits: f"give at least {_counted(limits, 'item')}",
    "too_long": lambda limits: f"give at most {_counted(limits, 'item')}",
}
_KINDS: Final = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a number",
    "decimal": "a number",
    "bool": "true or false",
    "string": "a text",
    "datetime": "a date, such as 2024-12-31 or 2024-12-31T18:00",
    "date": "a date, such as 2024-12-31",
    "list": "a list",
    "tuple": "a list",
    "path": "a path",
    "model": "an object with named fields",
    "dict": "an object with named fields",
}
"""By the first word of a problem's type."""


def in_words(problem: Mapping[str, Any]) -> str:
    """Say what to give, for one of the ``errors()`` of pydantic's ``ValidationError``."""
    kind, limits = str(problem["type"]), problem.get("ctx", {})
    if kind in _WORDS:
        return _WORDS[kind](limits)
    wanted = _KINDS.get(kind.partition("_")[0])
    return f"give {wanted}" if wanted else str(problem["msg"])


def _counted(limits: Limits, thing: str) -> str:
    count = limits.get("min_length", limits.get("max_length"))
    return f"{count} {thing}{'' if count == 1 else 's'}"


def shown(text: str, limit: int = _LONGEST) -> str:
    """Return a path of at most so many characters; what its middle leaves out is a …."""
    if len(text) <= limit:
        return text
    head = limit // 3
    return f"{text[:head]}…{text[len(text) - (limit - head - 1) :]}"


def on_a_line(text: str) -> str:
    """Return a text without what would break or turn its line, or can't be printed: escaped."""
    return _BREAKS.sub(lambda found: ascii(found[0])[1:-1], text)


def showable(path: str) -> str:
    """Return a path as it can be written to JSON: bytes that are no UTF-8 are escaped."""
    return path.encode("utf-8", "backslashreplace").decode()


def listed(paths: Sequence[str]) -> str:
    """Return some of the paths, each in short, and how many more there are."""
    some = ", ".join(map(shown, paths[:_LISTED]))
    more = len(paths) - _LISTED
    return f"{some} and {more} more" if more > 0 else some
