"""What it takes to see that nothing has changed, against a bare walk with a stat of each file.

    python -m benchmarks.rescan

Trees of 100,000 small files are made first, and libraries that know them all. Then each is walked,
and indexed with nothing to do, in turn.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks._columns import Column, Way, rounds, seconds_of, spawned
from benchmarks._filled import Ready, fill, noise, opened
from benchmarks._machine import describe
from benchmarks._tables import RESULTS, Cell, Table, progress, save
from benchmarks._trees import SHAPES, plant
from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.listing import Listing
from mcp_vlsearch.core.comparing import Comparer
from mcp_vlsearch.core.progress import silent
from mcp_vlsearch.core.roots import Roots
from mcp_vlsearch.core.scan import Scan

BARE: Final = "walk + stat"
OURS: Final = "ours"
DIM: Final = 8
"""Vectors play no part here."""
STAGES: Final = ("scan", "catalog", "compare", "index")


class Task(NamedTuple):
    """Go through a tree: one of :data:`STAGES`, :data:`BARE`, or either's ``memory``."""

    shape: str
    kind: str

    def __str__(self) -> str:
        return f"{self.kind} {self.shape}"


def make(way: str, folder: Path, files: int) -> Way:
    """Return what does a :class:`Task` one way; runs in the process that is measured."""
    return Ours(folder, files) if way == OURS else Bare(folder, files)


class Bare:
    """A walk by os.scandir, with a stat of every entry."""

    def __init__(self, folder: Path, files: int) -> None:
        self._folder = folder
        self._files = files

    def __call__(self, task: Task) -> Callable[[], object]:
        """Return the work of a task."""
        walk = partial(self._walk, str(self._folder / task.shape))
        return partial(peak, walk) if task.kind == "memory" else walk

    def _walk(self, root: str) -> None:
        found = 0
        folders = [root]
        while folders:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    entry.stat()
                    if entry.is_dir():
                        folders.append(entry.path)
                    else:
                        found += 1
        check(found, self._files)


class Ours:
    """A library for each tree, opened once."""

    def __init__(self, folder: Path, files: int) -> None:
        self._folder = folder
        self._files = files
        self._libraries = {shape: opened(library(folder, shape), DIM) for shape in SHAPES}

    def __call__(self, task: Task) -> Callable[[], object]:
        """Return the work of a task."""
        work = {
            "scan": self._scan,
            "catalog": self._catalog,
            "compare": self._compare,
            "index": self._index,
            "memory": self._memory,
        }
        return partial(work[task.kind], task.shape)

    def _index(self, shape: str) -> None:
        report = self._libraries[shape].index()
        check(report.unchanged, self._files)

    def _memory(self, shape: str) -> int:
        return peak(partial(self._index, shape))

    def _scan(self, shape: str) -> None:
        root = str(self._folder / shape)
        check(sum(len(files) for _, files in Scan(root, True, [root])), self._files)

    def _catalog(self, shape: str) -> None:
        database = Database(library(self._folder, shape) / "library.db")
        listing = Listing(database, Ready.fingerprint)
        check(length(listing.below(str(self._folder / shape), True)), self._files)
        database.close()

    def _compare(self, shape: str) -> None:
        database = Database(library(self._folder, shape) / "library.db")
        root = str(self._folder / shape)
        listing = Listing(database, Ready.fingerprint)
        comparer = Comparer(Roots([root]), Catalog(database), listing, silent)
        check(comparer.compare([root], True, False).unchanged, self._files)
        database.close()


def library(folder: Path, shape: str) -> Path:
    """Return the folder of a tree's library."""
    return folder / f"{shape} library"


def length(items: Iterable[object]) -> int:
    """Return how many there are, without keeping them."""
    numbered = deque(enumerate(items, 1), maxlen=1)
    return numbered[0][0] if numbered else 0


def check(found: int, files: int) -> None:
    """Raise RuntimeError if not every file was found as it is."""
    if found != files:
        raise RuntimeError(f"{found} of {files} files were found")


def peak(work: Callable[[], object]) -> int:
    """Return the bytes of Python's memory that work takes at its peak."""
    tracemalloc.start()
    work()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def prepare(folder: Path, files: int) -> None:
    """Make the trees, and libraries that know them."""
    for shape in SHAPES:
        progress(f"making the tree: {shape}")
        planted = plant(folder / shape, shape, files)
        fill(library(folder, shape), folder / shape, planted, noise(files, DIM))


def measure(columns: Mapping[str, Column], runs: int, until: float) -> None:
    """Run all ways over all trees in turn."""
    for _ in rounds(runs, until):
        for shape in SHAPES:
            bare = columns[BARE]
            bare.run(Task(shape, BARE))
            for stage in STAGES:
                columns[OURS].run(Task(shape, stage))
            ratio = (
                columns[OURS].seconds[Task(shape, "index")][-1]
                / bare.seconds[Task(shape, BARE)][-1]
            )
            progress(f"  {shape}: {ratio:.2f} times the walk")


def table(columns: Mapping[str, Column], files: int) -> Table:
    """Return the time and memory of both ways over all trees."""
    headings = {
        "tree": "",
        "walk + stat, s": ".3f",
        "rescan, s": ".3f",
        "rescan / walk": ".2f",
        "files/s": ",.0f",
        "walk, bytes a file": ".0f",
        "rescan, bytes a file": ".0f",
    }
    rows: list[list[Cell]] = []
    for shape in SHAPES:
        walk = columns[BARE].median(Task(shape, BARE))
        rescan = columns[OURS].median(Task(shape, "index"))
        held = [columns[way].run(Task(shape, "memory")) / files for way in (BARE, OURS)]
        rows.append([shape, walk, rescan, rescan / walk, files / rescan, *held])
    return Table(f"{files:,} files, unchanged", headings, rows)


def stages(columns: Mapping[str, Column]) -> Table:
    """Return where ours spends its time."""
    headings = {"tree": "", **{f"{stage}, s": ".3f" for stage in STAGES}}
    rows: list[list[Cell]] = [
        [shape, *(columns[OURS].median(Task(shape, stage)) for stage in STAGES)] for shape in SHAPES
    ]
    return Table("Stages of ours", headings, rows)


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--files", type=int, default=100_000, help="in each tree")
    parser.add_argument("--runs", type=int, default=15, help="rounds at most")
    parser.add_argument("--minutes", type=float, default=5, help="no round begins that ends later")
    parser.add_argument("--out", type=Path, default=RESULTS / "rescan.json")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None, start: Callable[[], Executor] = spawned) -> None:
    """Measure both ways, print the tables and write them."""
    options = arguments(given)
    machine = describe()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(os.path.realpath(name))
        prepare(folder, options.files)
        until = time.monotonic() + 60 * options.minutes
        columns = {}
        for way in (BARE, OURS):
            columns[way] = Column(way, partial(make, way, folder, options.files), start=start)
            stack.callback(columns[way].close)
        for column in columns.values():
            column.ready()
        measure(columns, options.runs, until)
        seconds = seconds_of(columns)
        made = [table(columns, options.files), stages(columns)]
    save(options.out, made, machine, vars(options), seconds=seconds)


if __name__ == "__main__":
    main()
