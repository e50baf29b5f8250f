"""A library of any size without a model: rows go straight into its database."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mcp_vlsearch.cache.catalog import Catalog, FileRecord, ImageInfo
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.embeddings import Embeddings
from mcp_vlsearch.contracts import Encoder, Query
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.scan import ScannedFile
from mcp_vlsearch.settings import Settings

__all__ = ["Ready", "fill", "image_id_of", "noise", "opened"]

Vectors = NDArray[np.float32]

BLOCK: Final = 2000
"""Rows in a transaction."""
PICTURE: Final = ImageInfo(4000, 3000, "JPEG", 3_000_000, "2024-05-06T07:08:09", "Maker Model")


class Ready:
    """An encoder whose vectors are there: the text ``"7"`` stands for row 7 of ``queries``.

    Pictures get vectors at random, always the same ones.
    """

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

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """Return unit-norm rows, shape (len(images), dim)."""
        seeds = (zlib.crc32(image.tobytes()) for image in images)
        return np.concatenate([next(noise(1, self.dim, seed)) for seed in seeds])

    def encode_queries(self, queries: Sequence[Query]) -> Vectors:
        """Return the rows that the texts name, shape (len(queries), dim)."""
        assert self._queries is not None
        return self._queries[[int(query.text) for query in queries]]


def opened(folder: Path, dim: int, queries: Vectors | None = None, **settings: str) -> Library:
    """Open the library in a folder with the encoder :class:`Ready`."""
    given = Settings.model_validate({"library": folder, **settings})
    return Library(given, lambda _: Ready(dim, queries))


def fill(
    folder: Path,
    root: str | Path,
    files: Iterable[ScannedFile],
    vectors: Iterable[Vectors],
    info: Callable[[int], ImageInfo] = lambda _: PICTURE,
    encoder: Encoder | None = None,
) -> None:
    """Let files below a root be known, each with an image and a vector, as if they were indexed.

    ``vectors`` gives blocks of rows, as many as there are files, or fewer; row 0 becomes seq 1.
    ``info`` describes the image of a row, ``encoder`` is whose vectors they are, of the class
    :class:`Ready` by default. Nothing is opened: the files need not exist.
    """
    database = Database(folder / "library.db")
    catalog, rest, first = Catalog(database), iter(files), 0
    catalog.add_root(str(root))
    for block in vectors:
        some = list(islice(rest, len(block)))
        ids = [image_id_of(file.path) for file in some]
        records = (
            FileRecord(file.size, file.mtime_ns, i) for file, i in zip(some, ids, strict=True)
        )
        embeddings = Embeddings(database, encoder or Ready(block.shape[1]))
        with database.write():
            for number, image_id in enumerate(ids, first):
                catalog.put_image(image_id, info(number))
            embeddings.put(ids, block)
            catalog.put_files(zip((file.path for file in some), records, strict=True))
            embeddings.publish(ids)
        first += len(block)
    database.close()


def image_id_of(path: str) -> str:
    """Return the image that :func:`fill` says a file holds: as random as a digest of its bytes."""
    return hashlib.sha256(path.encode()).hexdigest()[:16]


def noise(count: int, dim: int, seed: int = 0) -> Iterator[Vectors]:
    """Give blocks of random unit-norm rows, ``count`` in all."""
    rng = np.random.default_rng(seed)
    for start in range(0, count, BLOCK):
        rows = rng.standard_normal((min(BLOCK, count - start), dim), np.float32)
        yield rows / np.linalg.norm(rows, axis=1, keepdims=True)
