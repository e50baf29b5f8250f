"""Filters and lists of seqs as Milvus expressions.

Conditions on an image are pushed down to the columns that stand beside its vector; those on files
come as the seqs that they allow.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mcp_vlsearch.cache.conditions import sortable
from mcp_vlsearch.contracts import ImageFacts
from mcp_vlsearch.formats import format_name
from mcp_vlsearch.types import Filters

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs

__all__ = ["LONGEST_LIST", "Expression", "among", "columns_of", "meeting", "pushed"]

LONGEST_LIST: Final = 200_000
"""Seqs in one expression: about 1 MB of a request, of which a server takes 64 MB."""

_NEVER: Final = -1
"""When a picture was taken that does not say so."""

_SPECIAL: Final = frozenset("%_\\\"'{}")
"""What means something in a pattern, its quotes or a template."""


@dataclass(frozen=True)
class Expression:
    """A condition on rows, with the values that it names; the empty text is met by all."""

    text: str = ""
    values: dict[str, Any] = field(default_factory=dict)

    def __and__(self, other: "Expression") -> "Expression":
        texts = [f"({e.text})" for e in (self, other) if e.text]
        return Expression(" and ".join(texts), self.values | other.values)

    def inlined(self) -> str:
        """Return the condition with its values in place of their names."""
        return self.text.format_map({k: json.dumps(v) for k, v in self.values.items()})


def pushed(filters: Filters) -> Filters:
    """Return what of the filters the columns can answer."""
    camera = (filters.camera or "").strip()
    return Filters(
        format=filters.format,
        taken_after=filters.taken_after,
        taken_before=filters.taken_before,
        min_width=filters.min_width,
        min_height=filters.min_height,
        orientation=filters.orientation,
        camera=camera if camera.isprintable() and camera and not _SPECIAL & set(camera) else None,
    )


def columns_of(facts: ImageFacts) -> dict[str, Any]:
    """Return what stands beside a vector."""
    return {
        "format": facts.format,
        "taken": _NEVER if facts.taken_sort is None else _microseconds(facts.taken_sort),
        "width": facts.width,
        "height": facts.height,
        "orientation": facts.orientation,
        "camera": _lower(facts.camera or ""),
    }


def meeting(filters: Filters) -> Expression:
    """Return what the columns of an image must be that meets pushed filters."""
    terms: list[str] = []
    values: dict[str, Any] = {}

    def add(column: str, operator: str, value: Any) -> None:
        name = f"v{len(values)}"
        terms.append(f"{column} {operator} {{{name}}}")
        values[name] = value

    if filters.format is not None:
        add("format", "==", format_name(filters.format) or "")
    if filters.taken_after is not None:
        add("taken", ">=", _microseconds(sortable(filters.taken_after)))
    if filters.taken_before is not None:
        add("taken", "<", _microseconds(sortable(filters.taken_before)))
        add("taken", ">", _NEVER)
    if filters.min_width is not None:
        add("width", ">=", filters.min_width)
    if filters.min_height is not None:
        add("height", ">=", filters.min_height)
    if filters.orientation is not None:
        add("orientation", "==", filters.orientation)
    if filters.camera is not None:
        terms.append(f'camera like "%{_lower(filters.camera)}%"')
    return Expression(" and ".join(terms), values)


def among(allowed: "Seqs", longest: int = LONGEST_LIST) -> Iterator[Expression]:
    """Yield expressions that each of the (sorted, distinct) seqs meets one of, and no other seq.

    An expression lists what it allows or, where that is fewer, what it leaves out of a range.
    """
    if not len(allowed):
        return
    low, high = int(allowed[0]), int(allowed[-1])
    left_out = high - low + 1 - len(allowed)
    if len(allowed) <= min(longest, max(left_out, 1)):
        yield Expression("seq in {seqs}", {"seqs": allowed.tolist()})
    elif not left_out:
        yield Expression("seq >= {low} and seq <= {high}", {"low": low, "high": high})
    elif left_out <= longest:
        inside = Expression("seq >= {low} and seq <= {high}", {"low": low, "high": high})
        yield inside & Expression("seq not in {gaps}", {"gaps": list(_gaps(allowed))})
    else:
        middle = len(allowed) // 2
        yield from among(allowed[:middle], longest)
        yield from among(allowed[middle:], longest)


def _gaps(allowed: "Seqs") -> Iterator[int]:
    for before in np.flatnonzero(np.diff(allowed) > 1).tolist():
        yield from range(int(allowed[before]) + 1, int(allowed[before + 1]))


def _microseconds(moment: str) -> int:
    """Return a sortable time as a number that sorts as it does."""
    return (datetime.fromisoformat(moment) - datetime.min) // timedelta(microseconds=1)


def _lower(text: str) -> str:
    """Lower the letters of ASCII, as SQLite compares."""
    return text.encode().lower().decode()
