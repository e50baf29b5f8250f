"""How time and memory grow with the library, from a thousand images to a million.

    python -m benchmarks.growth
    python -m benchmarks.growth --sizes 1000 10000 100000

For each size a tree of files is made, and a library that knows them. All is measured in a process
of its own. An exponent of 1 means: ten times the images, ten times the cost; of 0: the same cost.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
from PIL import Image

from benchmarks._columns import spawned
from benchmarks._filled import fill, image_id_of, opened
from benchmarks._machine import describe
from benchmarks._processes import memory
from benchmarks._tables import RESULTS, Cell, Table, progress, save
from benchmarks._trees import plant
from benchmarks._vectors import World
from mcp_vlsearch.plugins import resolve

COLUMNS: Final = {
    "open, s": ".3f",
    "search, ms": ".2f",
    "status, ms": ".2f",
    "rescan, s": ".3f",
    "add 1,000, s": ".3f",
    "search after, ms": ".2f",
    "remove 1,000, s": ".3f",
    "database, bytes an image": ",.0f",
    "resident, MiB": ".0f",
}
BATCH: Final = 1000
"""Images that are added, and removed."""
SEARCHES: Final = 50
TOP_K: Final = 10
SIDE: Final = 8
"""Of the pictures that are added, in pixels."""


def prepare(folder: Path, size: int, dim: int, runs: int) -> list[str]:
    """Make a tree and a library that knows it, and pictures to add in each run.

    Returns images to search for.
    """
    progress(f"making a library of {size:,} images")
    planted = plant(folder / "photos", "photos", size)
    fill(folder / "library", folder / "photos", planted, World(dim).blocks(size))
    with opened(folder / "library", dim) as library:
        library.index()  # stores the index, as the run that adds pictures does
    rng = np.random.default_rng(1)
    for run in range(runs):
        more = folder / f"more {run}"
        more.mkdir()
        for number, pixels in enumerate(rng.integers(0, 256, (BATCH, SIDE, SIDE, 3), np.uint8)):
            Image.fromarray(pixels).save(more / f"{number:04d}.png")
    return [image_id_of(planted[i].path) for i in rng.integers(0, size, SEARCHES)]


def measured(folder: Path, images: Sequence[str], dim: int, runs: int) -> list[float]:
    """Return a figure for each of :data:`COLUMNS`; the process must be a fresh one."""
    resolve("indexes", "faiss")  # whose import takes the same time at any size
    photos = folder / "photos"
    changes = [folder / f"more {run}" for run in range(runs)]
    with opened(folder / "library", dim) as library:

        def search(image: str) -> None:
            found = library.search_by_image(image, top_k=TOP_K)
            if found.hits[0].image_id != image:
                raise RuntimeError(f"{image} was not found by its own vector")

        opening = seconds(partial(search, images[0]))
        searching = [seconds(partial(search, image)) for image in images]
        resident = memory(os.getpid()).rss
        size = library.status().images
        database_bytes = library.status().database_bytes / size
        statuses = [seconds(library.status) for _ in images]
        rescans = [seconds(partial(library.index, [photos])) for _ in range(runs)]
        library.allow(changes)
        adding, after, removing = [], [], []
        for number, more in enumerate(changes, 1):
            progress(f"  adding and removing: {number} of {runs}")
            adding.append(seconds(partial(library.index, [more])))
            after.append(seconds(partial(search, images[0])))
            removing.append(seconds(partial(library.remove, [more])))
        if library.status().images != size:
            raise RuntimeError("not all that was added was removed")
    return [
        opening,
        1000 * median(searching),
        1000 * median(statuses),
        *map(median, (rescans, adding)),
        1000 * median(after),
        median(removing),
        database_bytes,
        resident,
    ]


def seconds(work: Callable[[], object]) -> float:
    """Return how long work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def exponent(sizes: Sequence[int], figures: Sequence[float]) -> float:
    """Return the slope of a straight line through the logarithms, by least squares."""
    return float(np.polyfit(np.log(sizes), np.log(figures), 1)[0])


def table(found: dict[int, list[float]]) -> Table:
    """Return the figures by size, and the exponents over all sizes and the last two."""
    rows: list[list[Cell]] = [[f"{size:,}", *figures] for size, figures in found.items()]
    sizes = list(found)
    for name, last in (("exponent", len(sizes)), ("exponent of the last step", 2)):
        columns = zip(*found.values(), strict=True)
        slopes = (exponent(sizes[-last:], column[-last:]) for column in columns)
        rows.append([name, *(f"{slope:.2f}" for slope in slopes)])
    return Table("From small to large", {"images": "", **COLUMNS}, rows)


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    sizes = [1000, 10_000, 100_000, 1_000_000]
    parser.add_argument("--sizes", type=int, nargs="+", default=sizes, help="two at least")
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--runs", type=int, default=3, help="of what takes long; the median counts")
    parser.add_argument("--out", type=Path, default=RESULTS / "growth.json")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None, start: Callable[[], Executor] = spawned) -> None:
    """Measure every size, print the table and write it."""
    options = arguments(given)
    machine = describe()
    found = {}
    for size in sorted(options.sizes):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name).resolve()
            images = prepare(folder, size, options.dim, options.runs)
            with start() as process:
                work = process.submit(measured, folder, images, options.dim, options.runs)
                found[size] = work.result()
    save(options.out, [table(found)], machine, vars(options))


if __name__ == "__main__":
    main()
