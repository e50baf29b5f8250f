"""Several processes keep one collection up, while another one writes to the library."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.embeddings import Embeddings
from mcp_vlsearch.core.lookup import IndexSlot
from mcp_vlsearch.core.progress import silent
from mcp_vlsearch.settings import Settings
from tests.cache.conftest import DIM, Promise, Shelf, unit
from tests.milvus_server import milvus_server

READERS = 3
IMAGES = 150


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    with milvus_server(tmp_path / "data") as uri:
        yield Settings(library=tmp_path / "library", index="milvus", milvus_uri=uri)


def shelf_of(settings: Settings) -> Shelf:
    database = Database(settings.library / "library.db")
    return Shelf(database, Catalog(database), Embeddings(database, Promise()))


def read(uri: str, library: Path) -> None:
    """Keep the index up until the writer is done, then print what is found."""
    settings = Settings(library=library, index="milvus", milvus_uri=uri)
    shelf = shelf_of(settings)
    slot = IndexSlot(settings, shelf.embeddings, DIM)
    while True:
        is_last = (library / "done").exists()
        index = slot.current(silent)
        if is_last:
            break
    found = index.search(unit(1), len(index) + 10)[1][0]
    print(json.dumps(sorted(found[found > 0].tolist())))  # noqa: T201


def test_readers_find_what_is_there_and_nothing_twice_however_they_meet(
    settings: Settings,
) -> None:
    shelf, vectors = shelf_of(settings), unit(IMAGES)
    shelf.add("/0", "image0", vectors[0])
    call = f"from {__name__} import read; from pathlib import Path; "
    call += f"read({settings.milvus_uri!r}, Path({str(settings.library)!r}))"
    readers = [
        subprocess.Popen([sys.executable, "-c", call], stdout=subprocess.PIPE, text=True)
        for _ in range(READERS)
    ]
    for number in range(1, IMAGES):
        shelf.add(f"/{number}", f"image{number}", vectors[number])
        if number % 3 == 0:
            with shelf.database.write():
                shelf.catalog.forget([f"/{number - 1}", f"/{number // 2}"])
    (settings.library / "done").touch()
    there = [int(seq) for seq in shelf.embeddings.changes(0, 0, IMAGES)[0]]
    for reader in readers:
        with reader:
            assert json.loads(reader.communicate(timeout=120)[0]) == there
    assert 0 < len(there) < IMAGES
    last = IndexSlot(settings, shelf.embeddings, DIM).current(silent)
    assert len(last) == len(there), "no row came back, or is counted twice"
    scores, seqs = last.search(vectors[[IMAGES - 1]], 1)
    assert (seqs[0, 0], scores[0, 0]) == (there[-1], pytest.approx(1, abs=1e-3))
    assert np.isin(seqs, there).all()
