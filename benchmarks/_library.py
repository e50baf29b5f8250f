"""A library of any size without pictures: rows go straight into its database."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from mcp_vlsearch.cache.catalog import Catalog, FileRecord, ImageInfo
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.embeddings import Embeddings
from mcp_vlsearch.contracts import Query
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.errors import EncoderError
from mcp_vlsearch.settings import Settings

if TYPE_CHECKING:
    from benchmarks._vectors import Vectors

__all__ = ["CAMERAS", "Ready", "camera_of", "fill", "image_id", "opened"]

CAMERAS: Final = 100
"""Every camera took one picture in so many: a filter by camera keeps one per cent."""
FOLDERS: Final = 1000
SIZES: Final = ((4000, 3000), (3000, 4000), (1920, 1080), (1024, 1024))
START: Final = datetime(2015, 1, 1)


class Ready:
    """An encoder whose vectors are there: the text ``"7"`` stands for row 7 of ``queries``."""

    name, model, precision, device = "ready", "ready", "fp32", "cpu"
    fingerprint = "ready"
    batch_size = 1024

    def __init__(self, dim: int, queries: Vectors | None = None) -> None:
        self.dim = dim
        self._queries = queries

    def target_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the size as it is."""
        return width, height

    def load(self) -> None:
        """Nothing is to be loaded."""

    def encode_images(self, images: Sequence[object]) -> Vectors:
        """Raise :class:`EncoderError`: there are no pictures."""
        raise EncoderError(f"{len(images)} pictures can't be encoded: give vectors")

    def encode_queries(self, queries: Sequence[Query]) -> Vectors:
        """Return the rows that the texts name, shape (len(queries), dim)."""
        assert self._queries is not None
        return self._queries[[int(query.text) for query in queries]]


def opened(folder: Path, dim: int, queries: Vectors | None = None, **settings: str) -> Library:
    """Open the library in a folder with the encoder :class:`Ready`."""
    given = Settings.model_validate({"library": folder, **settings})
    return Library(given, lambda _: Ready(dim, queries))


def fill(folder: Path, blocks: Iterable[Vectors], cameras: np.ndarray) -> None:
    """Let pictures with these vectors be found, row 0 as seq 1; each has a file of its own.

    The files do not exist; a search looks only for copies. ``cameras`` has a number for each row.
    """
    database = Database(folder / "library.db")
    catalog, embeddings, first = Catalog(database), None, 0
    for block in blocks:
        embeddings = embeddings or Embeddings(database, Ready(block.shape[1]))
        numbers = range(first, first + len(block))
        ids = [image_id(number) for number in numbers]
        with database.write():
            for number, name in zip(numbers, ids, strict=True):
                catalog.put_image(name, _info(number, int(cameras[number])))
            embeddings.put(ids, block)
            catalog.put_files(
                (_path(n), _file(n, name)) for n, name in zip(numbers, ids, strict=True)
            )
            embeddings.publish(ids)
        first += len(block)
    catalog.add_root("/pictures")
    database.close()


def image_id(number: int) -> str:
    """Return a row's image id: as random as one of a file's bytes."""
    return hashlib.sha256(str(number).encode()).hexdigest()[:16]


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


def _path(number: int) -> str:
    return f"/pictures/{number % FOLDERS:03d}/{number:07d}.jpg"


def _file(number: int, name: str) -> FileRecord:
    return FileRecord(3_000_000 + number, 1_600_000_000 * 10**9 + number * 10**9, name)
