"""Many processes search one library while another one indexes into it.

    python -m tests.readers --pictures 5000 --readers 8

No search may fail. Every hit must be the picture that its score says, by the vector of the file at
its path; what was found once must be found again; and in the end every reader must find every
picture by its own vector.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mcp_vlsearch.core.library import Library
from tests.core.conftest import paint
from tests.core.mosaic import vector_of
from tests.crashes import opened
from tests.processes import Child

SAME = 2e-3
"""How far a score may be from the cosine of the vectors."""


@dataclass
class Reader:
    """What one process has seen; ``wrong`` says what must not be."""

    searches: int = 0
    during: int = 0
    """Searches that were over before the indexing was."""
    sizes: set[int] = field(default_factory=set)
    """Images in the library, as the searches told."""
    wrong: list[str] = field(default_factory=list)

    def search(self, library: Library, path: Path, expected: bool) -> bool:
        """Search for a picture by its file; return whether it is found first."""
        result = library.search_by_image(str(path), top_k=5)
        self.searches += 1
        self.sizes.add(result.total_images)
        for hit in result.hits:
            cosine = float(vector_at(str(path)) @ vector_at(hit.path))
            if abs(cosine - hit.score) > SAME:
                self.wrong.append(f"{hit.path} has {hit.score}, not {cosine}")
        is_first = bool(result.hits) and result.hits[0].path == str(path)
        if expected and not is_first:
            self.wrong.append(f"{path} is not found by its own vector")
        return is_first


@cache
def vector_at(path: str) -> NDArray[np.float32]:
    """Return the vector of a file's picture, by the encoder's own definition."""
    with Image.open(path) as image:
        return vector_of(image)


def read(connection: Connection, folder: Path, photos: Path, seed: int) -> None:
    """Search until told that the indexing is over, then for every picture once."""
    reader, chosen = Reader(), random.Random(seed)
    paths = sorted(photos.iterdir())
    found: set[Path] = set()
    with opened(folder) as library:
        connection.send("begun")
        while not connection.poll():
            path = chosen.choice(paths)
            if reader.search(library, path, expected=path in found):
                found.add(path)
        reader.during = reader.searches
        for path in paths:
            reader.search(library, path, expected=True)
    connection.send(reader)


def read_while_indexing(folder: Path, pictures: int, readers: int, seed: int) -> list[Reader]:
    """Index so many pictures while so many processes search; return what they have seen."""
    photos = folder / "photos"
    for number in range(pictures):
        paint(photos / f"{number:05}.png", seed * pictures + number)
    with opened(folder / "library") as library:
        library.allow([photos])
        children = [
            Child(read, folder / "library", photos, seed + number) for number in range(readers)
        ]
        for child in children:
            assert child.receive() == "begun"
        assert library.index().added == pictures
    for child in children:
        child.send("over")
    seen = [child.receive() for child in children]
    assert [child.join() for child in children] == [0] * readers
    return seen


def main(given: Sequence[str] | None = None) -> None:
    """Run it and print what the readers have seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--readers", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(given)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        seen = read_while_indexing(Path(folder), options.pictures, options.readers, options.seed)
    print(f"{'reader':>6} {'searches':>8} {'meanwhile':>9} {'sizes seen':>10} {'wrong':>5}")
    for number, reader in enumerate(seen, 1):
        sizes, wrong = len(reader.sizes), len(reader.wrong)
        print(f"{number:>6} {reader.searches:>8} {reader.during:>9} {sizes:>10} {wrong:>5}")
    for what in [what for reader in seen for what in reader.wrong][:20]:
        print(what)
    print(f"{options.pictures} pictures, seed {options.seed}, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
