"""Trees of many small files, in the shapes that people's folders have."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from mcp_vlsearch.core.scan import ScannedFile

__all__ = ["SHAPES", "plant"]

MONTHS: Final = 120
DEPTH: Final = 100
LEAST_BYTES: Final = 3_000_000


def photos(count: int) -> Iterator[str]:
    """Give the files of ten years with a folder for each month."""
    for number in range(count):
        year, month = divmod(number * MONTHS // count, 12)
        yield f"{2015 + year}/{month + 1:02d}/IMG_{number:06d}.jpg"


def flat(count: int) -> Iterator[str]:
    """Give files that all lie in one folder."""
    for number in range(count):
        yield f"IMG_{number:06d}.jpg"


def deep(count: int) -> Iterator[str]:
    """Give files that lie in folders within folders, as many in each."""
    for number in range(count):
        level = number * DEPTH // count
        yield "".join(f"level {n}/" for n in range(level)) + f"IMG_{number:06d}.jpg"


SHAPES: Final[dict[str, Callable[[int], Iterator[str]]]] = {
    "photos": photos,
    "flat": flat,
    "deep": deep,
}


def plant(folder: Path, shape: str, count: int) -> list[ScannedFile]:
    """Make so many files below a new folder, which take no space; return them as a scan would."""
    files = []
    parent = None
    for number, name in enumerate(SHAPES[shape](count)):
        path = folder / name
        if path.parent != parent:
            parent = path.parent
            parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.truncate(path, LEAST_BYTES + number)
        status = path.stat()
        files.append(ScannedFile(str(path), status.st_size, status.st_mtime_ns))
    return files
