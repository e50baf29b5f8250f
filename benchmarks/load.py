"""Many searches at once over HTTP, with and without indexing, beside one at a time.

The built-in model storybook encodes texts that are all different, over a library of made vectors.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks._processes import cpu_seconds, memory
from benchmarks._server import Answer, Caller, Running, run_over_http
from benchmarks._tables import RESULTS, Cell, Table, progress

__all__ = ["main"]

COLUMNS = {
    "way": "",
    "searches": "d",
    "lost": "d",
    "p50, ms": ".0f",
    "p95, ms": ".0f",
    "p99, ms": ".0f",
    "searches/s": ".1f",
    "to alone": ".2f",
    "server CPU, ms": ".1f",
    "client CPU, ms": ".1f",
    "indexed meanwhile": "d",
    "RSS, MiB": ".0f",
    "own memory, MiB": ".0f",
}


@dataclass(frozen=True)
class Times:
    """Seconds: by the clock, and of the processors for server and client."""

    clock: float
    server: float
    client: float

    @classmethod
    def now(cls, server: Running) -> Times:
        """Read all clocks."""
        return cls(time.perf_counter(), cpu_seconds(server.process), time.process_time())

    def __sub__(self, other: Times) -> Times:
        return Times(
            self.clock - other.clock, self.server - other.server, self.client - other.client
        )


@dataclass(frozen=True)
class Outcome:
    """What came of some searches, what they took, and how many images were indexed meanwhile."""

    answers: Sequence[Answer]
    took: Times
    indexed: int = 0


async def alone(caller: Caller, server: Running, count: int) -> Outcome:
    """Search one after the other."""
    began = Times.now(server)
    answers = [await _search(caller, "alone", number) for number in range(count)]
    return Outcome(answers, Times.now(server) - began)


async def at_once(caller: Caller, server: Running, count: int, name: str = "at once") -> Outcome:
    """Search all at the same time."""
    began = Times.now(server)
    answers = await asyncio.gather(*(_search(caller, name, number) for number in range(count)))
    return Outcome(answers, Times.now(server) - began)


async def indexing(caller: Caller, server: Running, count: int, folder: Path) -> Outcome:
    """Search all at the same time while pictures are indexed."""
    run = asyncio.create_task(caller.call("index_images", paths=[str(folder)]))
    before = await _images(caller)
    while (now := await _images(caller)) == before and not run.done():
        await asyncio.sleep(0.05)
    outcome = await at_once(caller, server, count, "while indexing")
    indexed = await _images(caller) - now
    if run.done():
        progress("indexing ended before the searches did: give more --pictures")
    run.cancel()
    return replace(outcome, indexed=indexed)


async def measured(server: Running, folder: Path, count: int) -> Table:
    """Return the table of all ways."""
    rows: list[list[Cell]] = []
    async with Caller(server) as caller:
        first = await _search(caller, "first", 0)
        if first.result is None:
            sys.exit(f"the first search failed: {first.why}")
        one = await alone(caller, server, count)
        rows.append(_row("one at a time, idle", one, one, server))
        progress("at once")
        outcome = await at_once(caller, server, count)
        rows.append(_row("all at once, idle", outcome, one, server))
        progress("while indexing")
        outcome = await indexing(caller, server, count, folder)
        rows.append(_row("all at once, indexing", outcome, one, server))
    return Table(f"{count} searches by text over HTTP", COLUMNS, rows)


def _row(way: str, outcome: Outcome, one: Outcome, server: Running) -> list[Cell]:
    answers, took = outcome.answers, outcome.took
    lost = [answer for answer in answers if answer.result is None]
    for why in sorted({answer.why for answer in lost})[:5]:
        progress(f"{way}: lost: {why}")
    times = np.array([answer.seconds for answer in answers]) * 1000
    p50, p95, p99 = (float(value) for value in np.percentile(times, (50, 95, 99)))
    rate = (len(answers) - len(lost)) / took.clock
    to_alone = rate / len(one.answers) * one.took.clock
    each = 1000 / len(answers)
    held = memory(server.process)
    counts: list[Cell] = [way, len(answers), len(lost), p50, p95, p99, rate, to_alone]
    return [*counts, each * took.server, each * took.client, outcome.indexed, held.rss, held.own]


async def _search(caller: Caller, name: str, number: int) -> Answer:
    return await caller.call("search_by_text", query=f"a red cat, {name} {number}")


async def _images(caller: Caller) -> int:
    answer = await caller.call("library_status")
    assert answer.result is not None, answer.why
    return int(answer.result["structuredContent"]["images"])


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--searches", type=int, default=500)
    parser.add_argument("--rows", type=int, default=10_000, help="vectors in the library")
    parser.add_argument("--pictures", type=int, default=3_000, help="to be indexed meanwhile")
    parser.add_argument("--out", type=Path, default=RESULTS / "load.json")
    options = parser.parse_args(given)

    async def measure(server: Running, folder: Path) -> list[Table]:
        return [await measured(server, folder, options.searches)]

    run_over_http(options, measure)


if __name__ == "__main__":
    main()
