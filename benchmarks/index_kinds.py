"""Kinds of the index ``faiss``: time, recall, disk and memory of each, at several sizes.

    python -m benchmarks.index_kinds

FAISS's ``Flat``, in memory, is the measure. An index is built in one process and searched in
another one, which says what opening costs and how much is resident. Works on Linux only.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple, TypeVar

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks._machine import describe
from benchmarks._processes import memory
from benchmarks._tables import RESULTS, Cell, Table, progress, save
from benchmarks._vectors import Vectors, World
from mcp_vlsearch.contracts import Space
from mcp_vlsearch.indexes.faiss import FaissIndex
from mcp_vlsearch.settings import Settings

K: Final = 10
FLAT: Final = "Flat"
KINDS: Final = ("auto", "exact", "ivf", "ivfflat", "hnsw", "rabitq")
SHARES: Final = (0.001, 0.01, 0.1, 0.9)
"""What filters leave."""
BLOCK: Final = 8192
WARM: Final = 10
"""Searches that don't count, at the beginning."""

COLUMNS: Final = {
    "kind": "",
    "became": "",
    "recall@10": ".3f",
    "of texts": ".3f",
    "p50, ms": ".2f",
    "p99, ms": ".2f",
    "of Flat": ".3f",
    "bytes": ".0f",
    "build, s": ".1f",
    "open, s": ".3f",
    "RSS, MiB": ".0f",
}

Seqs = NDArray[np.int64]


class Served(NamedTuple):
    """What a process that opened an index and searched it says.

    ``seconds`` and ``found`` are those of each query, ``filtered`` the same for each share that a
    filter leaves.
    """

    became: str
    opened: float
    rss: float
    seconds: list[float]
    found: Seqs
    filtered: list[tuple[list[float], Seqs]]


def allowed(count: int, share: float) -> Seqs:
    """Return the seqs that a filter leaves, which have nothing to do with what pictures show."""
    random = np.random.default_rng(round(1000 * share))
    return np.sort(random.choice(count, max(1, round(share * count)), replace=False)) + 1


def prepare(folder: Path, count: int, dim: int, queries: int) -> None:
    """Write vectors, queries (first pictures, then as many texts) and the right answers."""
    world = World(dim)
    shape = count, dim
    vectors = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float32, shape)
    done = 0
    for block in world.blocks(count):
        vectors[done : done + len(block)] = block
        done += len(block)
    asked = np.concatenate([world.queries(queries, "picture"), world.queries(queries, "text")])
    np.save(folder / "queries.npy", asked)
    for number, share in enumerate((1.0, *SHARES)):
        np.save(folder / f"truth-{number}.npy", nearest(vectors, asked, allowed(count, share)))


def nearest(vectors: Vectors, queries: Vectors, seqs: Seqs) -> Seqs:
    """Return the seqs of the nearest rows by comparing all, shape (len(queries), up to K)."""
    scores = np.empty((len(queries), 0), np.float32)
    best = np.empty((len(queries), 0), np.int64)
    for start in range(0, len(seqs), BLOCK):
        some = seqs[start : start + BLOCK]
        scores = np.hstack([scores, queries @ vectors[some - 1].T])
        best = np.hstack([best, np.broadcast_to(some, (len(queries), len(some)))])
        order = np.argsort(-scores, axis=1)[:, :K]
        scores, best = np.take_along_axis(scores, order, 1), np.take_along_axis(best, order, 1)
    return best


def blocks(vectors: Vectors) -> Iterator[tuple[Seqs, Vectors]]:
    """Yield rows as the library gives them to an index."""
    for start in range(0, len(vectors), BLOCK):
        some = vectors[start : start + BLOCK]
        yield np.arange(start + 1, start + len(some) + 1), np.array(some)


def opened(folder: Path, kind: str, dim: int) -> FaissIndex:
    """Return the index of a kind, as a library has it."""
    settings = Settings(library=folder / kind.replace(",", "-"), index_kind=kind)
    return FaissIndex(settings, Space("benchmark", dim))


def build(folder: Path, kind: str) -> tuple[float, float]:
    """Store an index of a kind; return seconds, and bytes a vector on disk."""
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    index = opened(folder, kind, vectors.shape[1])
    started = time.perf_counter()
    index.store(blocks(vectors), len(vectors), 0, lambda _: None)
    seconds = time.perf_counter() - started
    files = (folder / kind.replace(",", "-")).rglob("*")
    size = sum(file.stat().st_size for file in files if file.is_file())
    return seconds, size / len(vectors)


def serve(folder: Path, kind: str, count: int) -> Served:
    """Open an index and search it, one query at a time."""
    queries = np.load(folder / "queries.npy")
    index = opened(folder, kind, queries.shape[1])
    started = time.perf_counter()
    index.refresh()
    took = time.perf_counter() - started
    seconds, found = timed(partial(index.search, k=K), queries)
    rss = memory(os.getpid()).rss
    filters = [allowed(count, share) for share in SHARES]
    filtered = [timed(partial(index.search, k=K, allowed=seqs), queries) for seqs in filters]
    return Served(index.kind, took, rss, seconds, found, filtered)


def serve_flat(folder: Path) -> Served:
    """Search FAISS's ``Flat`` in memory."""
    queries, vectors = np.load(folder / "queries.npy"), np.load(folder / "vectors.npy", "r")
    started = time.perf_counter()
    index = faiss.IndexFlatIP(vectors.shape[1])
    for _, some in blocks(vectors):
        index.add(some)
    took = time.perf_counter() - started

    def search(query: Vectors) -> tuple[Vectors, Seqs]:
        scores, rows = index.search(query, K)
        return scores, rows + 1

    seconds, found = timed(search, queries)
    return Served("in memory", took, memory(os.getpid()).rss, seconds, found, [])


def timed(
    search: Callable[[Vectors], tuple[Vectors, Seqs]], queries: Vectors
) -> tuple[list[float], Seqs]:
    """Search each query; return seconds and seqs of each."""
    for query in queries[:WARM]:
        search(query[None])
    seconds, found = [], []
    for query in queries:
        started = time.perf_counter()
        _, seqs = search(query[None])
        seconds.append(time.perf_counter() - started)
        found.append(seqs[0])
    return seconds, np.array(found)


def recall(found: Seqs, right: Seqs) -> float:
    """Return which part of the right seqs was found."""
    hits = [len(np.intersect1d(row, best)) for row, best in zip(found, right, strict=True)]
    return float(np.sum(hits)) / right.size


T = TypeVar("T")


def apart(work: Callable[..., T], *given: object) -> T:
    """Return what work returns in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, given)


def measure(folder: Path, kinds: Sequence[str], count: int, dim: int, queries: int) -> list[Table]:
    """Return the tables of one size."""
    progress(f"{count} vectors of {dim}: making them")
    apart(prepare, folder, count, dim, queries)
    truth = [np.load(folder / f"truth-{n}.npy") for n in range(len(SHARES) + 1)]
    flat = apart(serve_flat, folder)
    rows = [row(FLAT, flat, flat, truth[0], (None, 4.0 * dim))]
    filtered: list[list[Cell]] = []
    for kind in kinds:
        progress(f"{count} vectors of {dim}: {kind}")
        built = apart(build, folder, kind)
        served = apart(serve, folder, kind, count)
        rows.append(row(kind, served, flat, truth[0], built))
        per_share = list(zip(served.filtered, truth[1:], strict=True))
        filtered.append(
            [
                kind,
                *(recall(found, right) for (_, found), right in per_share),
                *(1e3 * median(seconds) for (seconds, _), _ in per_share),
            ]
        )
    shares = [f"{100 * share:g} %" for share in SHARES]
    columns = {"kind": ""}
    columns |= {f"recall, {share}": ".3f" for share in shares}
    columns |= {f"p50 of {share}, ms": ".2f" for share in shares}
    title = f"{count:,} vectors of {dim} dimensions"
    return [Table(title, COLUMNS, rows), Table(f"{title}, filtered", columns, filtered)]


def row(
    kind: str, served: Served, flat: Served, truth: Seqs, built: tuple[float | None, float]
) -> list[Cell]:
    """Return a row of the first table."""
    half = len(truth) // 2
    seconds, size = built
    middle = median(served.seconds)
    return [
        kind,
        served.became,
        recall(served.found[:half], truth[:half]),
        recall(served.found[half:], truth[half:]),
        1e3 * middle,
        1e3 * float(np.quantile(served.seconds, 0.99)),
        middle / median(flat.seconds),
        size,
        seconds,
        served.opened,
        served.rss,
    ]


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--dims", type=int, nargs="+", default=[512])
    parser.add_argument("--kinds", nargs="+", default=KINDS, help="as the setting index_kind")
    parser.add_argument("--queries", type=int, default=200, help="pictures, and as many texts")
    parser.add_argument("--folder", type=Path, help="for vectors and indexes; by default in /tmp")
    parser.add_argument("--out", type=Path, default=RESULTS / "index_kinds.json")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print the tables and write them."""
    options = arguments(given)
    if sys.platform != "linux":
        sys.exit("this benchmark reads memory from /proc, which only Linux has")
    machine = describe()
    tables = []
    for dim in options.dims:
        for count in options.rows:
            with tempfile.TemporaryDirectory(dir=options.folder) as name:
                tables += measure(Path(name), options.kinds, count, dim, options.queries)
    save(options.out, tables, machine, vars(options))


if __name__ == "__main__":
    main()
