"""What a run of watching did, and in a line for people."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from mcp_vlsearch.types import IndexReport

__all__ = ["COUNTED", "Change", "counts_of", "told"]

COUNTED: Final = ("added", "updated", "moved", "unchanged", "removed", "failed")
"""What becomes of files, as reports count it."""
_NAMED: Final = 3
"""Files that are named."""


@dataclass(frozen=True)
class Change:
    """The report of a run, and the files that it was about, sorted."""

    report: IndexReport
    paths: list[str]


def counts_of(report: IndexReport) -> str:
    """Return what became of files, such as "2 added, 1 moved"."""
    counts = {name: getattr(report, name) for name in COUNTED}
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def told(change: Change) -> str:
    """Return a change on one line, with the names of some of its files."""
    return f"{counts_of(change.report)} in {change.report.seconds:.1f} s: {_names(change.paths)}"


def _names(paths: Sequence[str]) -> str:
    names = [PurePath(path).name for path in paths[:_NAMED]]
    more = len(paths) - len(names)
    return ", ".join([*names, f"{more} more"] if more else names)
