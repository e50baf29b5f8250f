"""What one process does to one way to search: build it, or open and time it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks._engine_peers import Chroma, LanceDB, Milvus, Qdrant, Usearch
from benchmarks._engines import OURS, Engine, Faiss, Flat, Ours, Rows
from benchmarks._library import CAMERAS
from benchmarks._processes import Memory, children, memory

__all__ = ["PEERS", "Built", "K", "Pass", "Plan", "Served", "build", "camera_asked", "serve"]

T = TypeVar("T")

K: Final = 10
WARM_UP: Final = 10
FLAT: Final = "FAISS Flat"
SAME: Final = "FAISS, same kind"

MAKERS: Final[dict[str, Callable[[str], Engine]]] = {
    OURS: lambda _: Ours(),
    FLAT: lambda _: Flat(),
    SAME: Faiss,
    "Milvus Lite": lambda _: Milvus(),
    "Qdrant local": lambda _: Qdrant(),
    "Chroma": lambda _: Chroma(),
    "LanceDB": lambda _: LanceDB(),
    "USearch": lambda _: Usearch(),
}
PEERS: Final = tuple(MAKERS)[1:]


@dataclass(frozen=True)
class Plan:
    """How a way is measured: ``recall`` is what it tries to reach, ``seconds`` bounds a pass."""

    way: str
    folder: Path
    rows: Path
    recall: float
    seconds: float
    threads: int


@dataclass(frozen=True)
class Built:
    """Seconds of building, bytes on disk, and how the way searches."""

    seconds: float
    bytes: int
    kind: str


@dataclass(frozen=True)
class Pass:
    """Searches one after the other: with what effort, how long each took, and their recall."""

    effort: int
    recall: float
    seconds: tuple[float, ...]

    def ms(self, quantile: float) -> float:
        """Return a quantile of the milliseconds."""
        return float(np.quantile(self.seconds, quantile)) * 1000


@dataclass(frozen=True)
class Served:
    """What a process took to open a way and to search it.

    ``turns`` are the seconds of searches of the library, of its index and of FAISS, which took
    turns, for ours only. ``filtered`` is None where there is no filter.
    """

    open_seconds: float
    pictures: Pass
    texts: Pass
    filtered: Pass | None
    rate: float | None
    memory: Memory
    turns: Mapping[str, Sequence[float]]


def build(plan: Plan, kind: str) -> Built | str:
    """Build a way; return why where that is not possible. ``kind`` is how ours searches."""

    def work() -> Built:
        engine = MAKERS[plan.way](kind)
        plan.folder.mkdir(parents=True)
        started = time.perf_counter()
        engine.build(plan.folder, Rows(plan.rows))
        seconds = time.perf_counter() - started
        files = [path for path in plan.folder.rglob("*") if path.is_file()]
        return Built(seconds, sum(path.stat().st_size for path in files), engine.kind)

    return _attempt(work)


def serve(plan: Plan, kind: str) -> Served | str:
    """Open and search what :func:`build` has made; return why where that is not possible."""
    return _attempt(lambda: _served(plan, MAKERS[plan.way](kind)))


def camera_asked(query: int) -> int:
    """Return the camera that a query's filter names: all in turn, so that none is remembered."""
    return query % CAMERAS


def _served(plan: Plan, engine: Engine) -> Served:
    rows = Rows(plan.rows)
    started = time.perf_counter()
    engine.open(plan.folder, rows)
    engine.effort = engine.efforts[0]
    engine.search(0, K, None)
    open_seconds = time.perf_counter() - started
    half = len(rows.queries) // 2
    pictures, texts = range(half), range(half, 2 * half)
    for query in pictures[:WARM_UP]:
        engine.search(query, K, None)
    found = _climb(engine, rows, pictures, plan, filtered=False)
    found_texts = _pass(engine, rows, texts, plan.seconds, filtered=False)
    rate = _rate(engine, pictures[: len(found.seconds)], plan.threads)
    return Served(
        open_seconds,
        found,
        found_texts,
        _climb(engine, rows, pictures, plan, filtered=True) if engine.can_filter else None,
        rate,
        memory=sum(map(memory, children()), start=memory(os.getpid())),
        turns=_turns(engine, pictures, plan.seconds) if isinstance(engine, Ours) else {},
    )


def _climb(
    engine: Engine,
    rows: Rows,
    queries: Sequence[int],
    plan: Plan,
    *,
    filtered: bool,
) -> Pass:
    """Try harder until the recall is reached; return the last pass."""
    for effort in engine.efforts:
        engine.effort = effort
        found = _pass(engine, rows, queries, plan.seconds, filtered=filtered)
        if found.recall >= plan.recall:
            break
    return found


def _pass(
    engine: Engine,
    rows: Rows,
    queries: Sequence[int],
    limit: float,
    *,
    filtered: bool,
) -> Pass:
    """Search one after the other, at least a few and no longer than ``limit`` seconds."""
    truth: NDArray[np.int64] = np.load(rows.folder / f"truth-{filtered}.npy")
    seconds: list[float] = []
    shares: list[float] = []
    until = time.perf_counter() + limit
    for query in queries:
        if len(seconds) >= WARM_UP and time.perf_counter() > until:
            break
        camera = camera_asked(query) if filtered else None
        spent, found = _timed(partial(engine.search, query, K, camera))
        seconds.append(spent)
        right = set(truth[query].tolist()) - {-1}
        shares.append(len(right & set(found)) / max(len(right), 1))
    return Pass(engine.effort, float(np.mean(shares)), tuple(seconds))


def _turns(engine: Ours, queries: Sequence[int], limit: float) -> dict[str, list[float]]:
    """Search in turn through the library, its index and FAISS, each for the same query."""
    ways: dict[str, Callable[[int, int], Sequence[int]]] = engine.inside()
    ways[OURS] = partial(engine.search, camera=None)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    until = time.perf_counter() + limit
    for count, query in enumerate(queries):
        if count >= WARM_UP and time.perf_counter() > until:
            break
        for name, search in ways.items():
            seconds[name].append(_timed(partial(search, query, K))[0])
    return seconds


def _timed(work: Callable[[], Sequence[int]]) -> tuple[float, Sequence[int]]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def _rate(engine: Engine, queries: Sequence[int], threads: int) -> float | None:
    """Return searches a second where several threads search at once; None if that fails."""
    with ThreadPoolExecutor(threads) as pool:
        started = time.perf_counter()
        searches = [pool.submit(engine.search, query, K, None) for query in queries]
        failed = any(search.exception() for search in searches)
        return None if failed else len(queries) / (time.perf_counter() - started)


def _attempt(work: Callable[[], T]) -> T | str:
    try:
        return work()
    except ModuleNotFoundError:
        return "not installed"
    except Exception as error:
        return f"failed: {' '.join(str(error).split())[:60] or type(error).__name__}"
