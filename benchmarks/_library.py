"""A library of pictures that differ in all that filters look at."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from benchmarks._filled import fill as filled
from benchmarks._filled import image_id_of
from mcp_vlsearch.cache.catalog import ImageInfo
from mcp_vlsearch.core.scan import ScannedFile

if TYPE_CHECKING:
    from benchmarks._vectors import Vectors

__all__ = ["CAMERAS", "START", "camera_of", "fill", "image_id"]

CAMERAS: Final = 100
"""Every camera took one picture in so many: a filter by camera keeps one per cent."""
FOLDERS: Final = 1000
SIZES: Final = ((4000, 3000), (3000, 4000), (1920, 1080), (1024, 1024))
START: Final = datetime(2015, 1, 1)


def fill(folder: Path, blocks: Iterable[Vectors], cameras: np.ndarray) -> None:
    """Let pictures with these vectors be found, row 0 as seq 1; each has a file of its own.

    The files do not exist; a search looks only for copies. ``cameras`` has a number for each row.
    """
    filled(
        folder,
        "/pictures",
        map(_file, count()),
        blocks,
        lambda number: _info(number, int(cameras[number])),
    )


def image_id(number: int) -> str:
    """Return a row's image id."""
    return image_id_of(_file(number).path)


def camera_of(number: int) -> str:
    """Return the name of a camera; none is part of another's."""
    return f"Maker Model {number:03d}"


def _info(number: int, camera: int) -> ImageInfo:
    width, height = SIZES[number % len(SIZES)]
    return ImageInfo(
        width,
        height,
        "PNG" if number % 10 == 0 else "JPEG",
        3_000_000 + number,
        taken_at=(START + timedelta(minutes=5 * number)).isoformat(),
        camera=camera_of(camera),
        latitude=number * 0.7548776662 % 1 * 180 - 90,  # spread evenly
        longitude=number * 0.5698402910 % 1 * 360 - 180,
    )


def _file(number: int) -> ScannedFile:
    path = f"/pictures/{number % FOLDERS:03d}/{number:07d}.jpg"
    return ScannedFile(path, 3_000_000 + number, (1_600_000_000 + number) * 10**9)
