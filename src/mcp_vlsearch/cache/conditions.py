"""Conditions on files and images, as SQL with its values."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

__all__ = ["BELOW", "Condition", "below", "between", "inside", "sortable", "within"]

BELOW: Final = "path >= ? AND path < ?"
"""What holds for the paths between the bounds of :func:`below`."""


@dataclass(frozen=True)
class Condition:
    """An SQL expression over a row of ``images`` or ``files``, with its parameters.

    Where ``files`` is given, most files may meet it, and ``wide`` is then the same in other words,
    which leave the first choice to what else must hold.
    """

    sql: str
    parameters: tuple[str | int | float, ...]
    files: "Condition | None" = None
    wide: str = ""


def below(folder: str) -> tuple[str, str]:
    """Return the bounds of all paths below a folder: at least the first, less than the second."""
    low = folder.rstrip(os.sep) + os.sep
    return low, low[:-1] + chr(ord(os.sep) + 1)


def inside(folders: Sequence[str]) -> Condition:
    """Return what holds for the files at or below one of the folders.

    The + keeps SQLite from joining the folders' ranges, which takes it longer than reading through.
    """
    conditions = [f"+files.path = ? OR ({BELOW})"] * len(folders)
    parameters = [text for folder in folders for text in (folder, *below(folder))]
    return Condition(f"({' OR '.join(conditions) or '0'})", tuple(parameters))


def within(folders: Sequence[str] | None) -> Condition:
    """Return what holds for the files at or below one of the folders; for all where none is given.

    No folders at all hold nothing.
    """
    return Condition("1", ()) if folders is None else inside(folders)


def between(folders: Sequence[str]) -> Condition:
    """Return a query for the files that lie below none of the folders, and are none of them.

    It looks into the gaps between the folders, so what lies below them costs nothing.
    """
    bounds = sorted(b for folder in folders for b in ((folder, f"{folder}\0"), below(folder)))
    queries, parameters, end = [], [], ""
    for low, high in bounds:
        if end < low:
            queries.append(f"SELECT 1 FROM files WHERE {BELOW}")
            parameters += [end, low]
        end = max(end, high)
    queries.append("SELECT 1 FROM files WHERE path >= ?")
    return Condition(" UNION ALL ".join(queries), (*parameters, end))


def sortable(moment: datetime) -> str:
    """Return a time by the camera's clock as text that sorts by time."""
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds")
