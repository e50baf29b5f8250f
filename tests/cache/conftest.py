"""An empty library in a file, and a way to fill it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mcp_vlsearch.cache.catalog import Catalog, FileRecord, ImageInfo
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.embeddings import Embeddings
from mcp_vlsearch.contracts import Query

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Vectors

DIM = 24
PICTURE = ImageInfo(40, 30, "JPEG", 1000)


@dataclass
class Promise:
    """An encoder that only says what it is."""

    fingerprint: str = "one"
    name: str = "promise"
    model: str = "none"
    precision: str = "fp32"
    device: str = "cpu"
    dim: int = DIM
    batch_size: int = 8

    def target_size(self, width: int, height: int) -> tuple[int, int]:
        raise NotImplementedError

    def load(self) -> None:
        raise NotImplementedError

    def encode_images(self, images: Sequence[object]) -> Vectors:
        raise NotImplementedError

    def encode_queries(self, queries: Sequence[Query]) -> Vectors:
        raise NotImplementedError


@dataclass
class Shelf:
    """One library's storage under one fingerprint."""

    database: Database
    catalog: Catalog
    embeddings: Embeddings

    def under(self, fingerprint: str) -> Shelf:
        """Return the same library as another encoder sees it."""
        embeddings = Embeddings(self.database, Promise(fingerprint))
        return Shelf(self.database, self.catalog, embeddings)

    def add(self, path: str, image_id: str, vector: Vectors | None = None) -> None:
        """Record a file that holds an image, and let it be found."""
        with self.database.write():
            self.catalog.put_image(image_id, PICTURE)
            self.embeddings.put([image_id], unit(1) if vector is None else vector[None])
            self.catalog.put_files([(path, FileRecord(1, 2, image_id))])
            self.embeddings.publish([image_id])

    def found(self) -> list[str]:
        """Return the images that an index made now would find, in the order of their seqs."""
        seqs, *_ = self.embeddings.changes(0, 0, 1000)
        return [record.image_id for record in self.catalog.describe(seqs.tolist())]


def unit(count: int, seed: int = 0) -> Vectors:
    """Return random unit-norm rows, shape (count, DIM)."""
    rows = np.random.default_rng(seed).standard_normal((count, DIM)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pictures & more?" / "library.db"


@pytest.fixture
def shelf(file: Path) -> Iterator[Shelf]:
    database = Database(file)
    yield Shelf(database, Catalog(database), Embeddings(database, Promise()))
    database.close()


@pytest.fixture
def open_anew(file: Path) -> Iterator[Callable[[], Shelf]]:
    """What opens the shelf's library once more, as another process would."""
    opened: list[Database] = []

    def again() -> Shelf:
        opened.append(Database(file))
        return Shelf(opened[0], Catalog(opened[0]), Embeddings(opened[0], Promise()))

    yield again
    for database in opened:
        database.close()
