"""Searching vectors: through a whole library, by FAISS alone, and by engines that people run.

    python -m benchmarks.search

All get the same vectors in the same run. A way is built in one process and searched in another
one. Works on Linux only.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.pool import Pool
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks._engines import OURS, Rows
from benchmarks._library import CAMERAS
from benchmarks._machine import cores, describe
from benchmarks._search_tasks import (
    PEERS,
    Built,
    K,
    Pass,
    Plan,
    Served,
    build,
    camera_asked,
    serve,
)
from benchmarks._tables import RESULTS, Cell, Table, progress, save
from benchmarks._vectors import World

HEADINGS: Final = {
    "way": "",
    "kind": "",
    "effort": "",
    "recall@10": ".3f",
    "of texts": ".3f",
    "p50, ms": ".2f",
    "p99, ms": ".2f",
    "to ours": ".2f",
    "searches/s": ".0f",
    "bytes": ".0f",
    "build, s": ".1f",
    "open, s": ".2f",
    "RSS, MiB": ".0f",
    "without mapped files": ".0f",
}
FILTERED: Final = ("way", "effort", "recall@10", "p50, ms", "p99, ms", "to ours")
ADDED: Final = {
    "vectors": "",
    "FAISS, ms": ".2f",
    "index, ms": ".2f",
    "ours, ms": ".2f",
    "to FAISS": ".2f",
    "to index": ".2f",
    "added, ms": ".2f",
}


T = TypeVar("T")


class Measured(NamedTuple):
    """A way that was built and searched."""

    built: Built
    served: Served


Outcome = Measured | str
"""What was measured, or why nothing was."""


def spawned() -> Pool:
    """Return a process of its own, which can be ended whatever it does."""
    return multiprocessing.get_context("spawn").Pool(1)


def prepare(folder: Path, count: int, dim: int, queries: int, seed: int) -> None:
    """Write vectors, cameras, queries and the right answers; half of the queries are texts."""
    world = World(dim, seed)
    vectors = np.lib.format.open_memmap(
        folder / "vectors.npy", mode="w+", dtype=np.float32, shape=(count, dim)
    )
    done = 0
    for block in world.blocks(count):
        vectors[done : done + len(block)] = block
        done += len(block)
    vectors.flush()
    halves = [world.queries(queries, "picture"), world.queries(queries, "text")]
    np.save(folder / "queries.npy", np.concatenate(halves))
    cameras = np.random.default_rng(seed).integers(0, CAMERAS, count)
    np.save(folder / "cameras.npy", cameras)
    for filtered in (False, True):
        np.save(folder / f"truth-{filtered}.npy", truth(Rows(folder), filtered=filtered))


def truth(rows: Rows, *, filtered: bool) -> NDArray[np.int64]:
    """Return the nearest rows of each query, shape (n, K), by comparing all; -1 where too few."""
    queries = np.array(rows.queries)
    asked = np.array([camera_asked(query) for query in range(len(queries))])
    scores = np.full((len(queries), K), -np.inf, np.float32)
    nearest = np.full((len(queries), K), -1, np.int64)
    for numbers, vectors, cameras in rows.blocks():
        new = queries @ vectors.T
        if filtered:
            new[cameras[None] != asked[:, None]] = -np.inf
        new = np.hstack([scores, new])
        seen = np.hstack([nearest, np.broadcast_to(numbers, (len(queries), len(numbers)))])
        best = np.argpartition(-new, K, axis=1)[:, :K]
        scores, nearest = np.take_along_axis(new, best, 1), np.take_along_axis(seen, best, 1)
    best = np.argsort(-scores, axis=1)
    scores, nearest = np.take_along_axis(scores, best, 1), np.take_along_axis(nearest, best, 1)
    return np.where(np.isfinite(scores), nearest, -1)


def measure(plan: Plan, kind: str, minutes: float, start: Callable[[], Pool]) -> Outcome:
    """Build a way and search it, each in a process of its own and no longer than ``minutes``."""
    built = _alone(build, plan, kind, minutes, start)
    if isinstance(built, str):
        return built
    served = _alone(serve, plan, kind, minutes, start)
    return served if isinstance(served, str) else Measured(built, served)


def _alone(
    task: Callable[[Plan, str], T],
    plan: Plan,
    kind: str,
    minutes: float,
    start: Callable[[], Pool],
) -> T | str:
    with start() as pool:
        try:
            return pool.apply_async(task, (plan, kind)).get(60 * minutes)
        except multiprocessing.TimeoutError:
            return f"no {task.__name__} in {minutes:g} min"


def compare(
    work: Path, dim: int, count: int, options: argparse.Namespace, start: Callable[[], Pool]
) -> dict[str, Outcome]:
    """Measure all ways with the same vectors, ours first."""
    progress(f"making {count} vectors of {dim} dimensions")
    prepare(work, count, dim, options.queries, options.seed)
    found: dict[str, Outcome] = {}
    kind = "Flat"
    for way in (OURS, *options.peers):
        folder = work / "built"
        plan = Plan(way, folder, work, options.recall, options.seconds, options.threads)
        found[way] = outcome = measure(plan, kind, options.minutes, start)
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(outcome, str):
            progress(f"  {way}: {outcome}")
            continue
        progress(f"  {way}: {outcome.served.pictures.ms(0.5):.2f} ms")
        if way == OURS:
            kind = outcome.built.kind
    return found


def plain(title: str, found: Mapping[str, Outcome], count: int) -> Table:
    """Return the table of searches without a filter."""
    rows: list[list[Cell]] = []
    best = _p50(found[OURS])
    for way, outcome in found.items():
        if isinstance(outcome, str):
            rows.append([way, outcome, *[None] * (len(HEADINGS) - 2)])
            continue
        built, served = outcome
        times = _times(served.pictures, best)
        recall = [served.pictures.recall, served.texts.recall]
        sizes = [built.bytes / count, built.seconds, served.open_seconds]
        resident = [served.memory.rss, served.memory.own]
        effort = _effort(served.pictures)
        rows.append([way, built.kind, effort, *recall, *times, served.rate, *sizes, *resident])
    return Table(title, HEADINGS, rows)


def narrowed(title: str, found: Mapping[str, Outcome]) -> Table:
    """Return the table of searches with a filter, without ways that have none."""
    rows: list[list[Cell]] = []
    ours = found[OURS]
    best = (
        None if isinstance(ours, str) or not ours.served.filtered else ours.served.filtered.ms(0.5)
    )
    for way, outcome in found.items():
        passed = None if isinstance(outcome, str) else outcome.served.filtered
        if passed is not None:
            rows.append([way, _effort(passed), passed.recall, *_times(passed, best)])
    return Table(f"{title}, 1 % filter", {name: HEADINGS[name] for name in FILTERED}, rows)


def added(sizes: Mapping[str, Mapping[str, Outcome]]) -> Table:
    """Return the table of what the library adds to its index, and to FAISS."""
    rows: list[list[Cell]] = []
    for title, found in sizes.items():
        ours = found[OURS]
        if isinstance(ours, Measured):
            ms = {name: 1000 * median(seconds) for name, seconds in ours.served.turns.items()}
            faiss, index, whole = ms.get("FAISS"), ms["index"], ms[OURS]
            to_faiss = faiss and whole / faiss
            rows.append([title, faiss, index, whole, to_faiss, whole / index, whole - index])
    return Table("What the library adds to its index", ADDED, rows)


def _p50(outcome: Outcome) -> float | None:
    return None if isinstance(outcome, str) else outcome.served.pictures.ms(0.5)


def _times(passed: Pass, best: float | None) -> list[Cell]:
    middle = passed.ms(0.5)
    return [middle, passed.ms(0.99), middle / best if best else None]


def _effort(passed: Pass) -> str:
    return str(passed.effort or "-")


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--dims", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS)
    parser.add_argument("--queries", type=int, default=200, help="pictures, and as many texts")
    parser.add_argument("--recall", type=float, default=0.97, help="what each way tries to reach")
    parser.add_argument("--seconds", type=float, default=20, help="a pass over the queries at most")
    parser.add_argument("--minutes", type=float, default=30, help="to build, and to search, a way")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "search.json")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None, start: Callable[[], Pool] = spawned) -> None:
    """Measure every way at every size, print the tables and write them."""
    options = arguments(given)
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # of the processes to come
    machine = describe("cpu", options.threads)
    sizes: dict[str, dict[str, Outcome]] = {}
    made: list[Table] = []
    for dim in options.dims:
        for count in options.rows:
            title = f"{count} × {dim}"
            with tempfile.TemporaryDirectory() as name:
                sizes[title] = compare(Path(name), dim, count, options, start)
            made += [plain(title, sizes[title], count), narrowed(title, sizes[title])]
            save(options.out, [*made, added(sizes)], machine, vars(options))


if __name__ == "__main__":
    main()
