"""A server under mixed calls while pictures come and go: are all answered, is its memory flat?

    python -m benchmarks.soak --minutes 10

The built-in model storybook encodes. Needs Linux, whose /proc tells memory.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

from benchmarks._churn import Churn
from benchmarks._mixed import WEIGHTS, Mix, what_is_wrong
from benchmarks._server import Answer, Caller, Running, run_over_http
from benchmarks._tables import RESULTS, Cell, Table, progress
from benchmarks._trend import Sample, sample, trend

__all__ = ["main"]

_MINUTE: Final = 60.0
_FEWEST: Final = 3
"""Samples that a trend needs."""

MINUTES: Final = {
    "minute": "",
    "calls": "d",
    "errors": "d",
    "lost": "d",
    "p50, ms": ".0f",
    "p99, ms": ".0f",
    "index runs": "d",
    "encoded": "d",
    "RSS, MiB": ".0f",
    "own memory, MiB": ".0f",
    "threads": "d",
    "descriptors": "d",
}
TOOLS: Final = {
    "tool": "",
    "calls": "d",
    "errors": "d",
    "lost": "d",
    "p50, ms": ".0f",
    "p99, ms": ".0f",
    "longest, ms": ".0f",
}
TRENDS: Final = {
    "figure": "",
    "mean": ".1f",
    "slope an hour": "+.1f",
    "standard error": ".1f",
    "verdict": "",
}


@dataclass(frozen=True)
class Call:
    """A call that has ended, ``at`` so many seconds after the start, and what was wrong with it."""

    at: float
    tool: str
    seconds: float
    why: str
    is_lost: bool
    encoded: int = 0


@dataclass
class Soak:
    """What is noted of a server while it runs."""

    server: Running
    seconds: float
    began: float = field(default_factory=time.perf_counter)
    calls: list[Call] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)

    @property
    def at(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.began

    @property
    def goes_on(self) -> bool:
        """Whether there is time left."""
        return self.at < self.seconds

    async def call(self, caller: Caller, tool: str, arguments: dict[str, Any]) -> Answer:
        """Call a tool, and note what came of it."""
        answer = await caller.call(tool, **arguments)
        why, encoded = answer.why, 0
        if answer.result is not None and tool == "index_images":
            report = answer.result["structuredContent"]
            encoded = report["encoded"]
            why = "" if report["complete"] else "the run was not complete"
        elif answer.result is not None:
            why = what_is_wrong(tool, arguments, answer.result)
        self.calls.append(Call(self.at, tool, answer.seconds, why, answer.is_lost, encoded))
        return answer

    async def ask(self, caller: Caller, mix: Mix) -> None:
        """Make one call after the other."""
        while self.goes_on:
            await self.call(caller, *mix.draw())

    async def index(self, caller: Caller, churn: Churn) -> None:
        """Let files come and go, and index, again and again."""
        while self.goes_on:
            await asyncio.to_thread(churn.turn)
            await self.call(caller, "index_images", {})

    async def watch(self, every: float) -> None:
        """Look at the server's process again and again, and say how it is each minute."""
        told = 0
        while self.goes_on:
            self.samples.append(sample(self.server.process, self.at))
            if int(self.at / _MINUTE) > told:
                told += 1
                progress(f"minute {told}: {len(self.calls)} calls, {self.samples[-1]}")
            await asyncio.sleep(every)


async def soaked(server: Running, folder: Path, options: argparse.Namespace) -> Soak:
    """Let callers call and files change until the time is over; return what was noted."""
    kept = sorted(folder.glob("*.png"))
    churn = Churn(folder / "changing", kept, options.changing)
    async with AsyncExitStack() as stack:
        indexer, *callers = [
            await stack.enter_async_context(Caller(server)) for _ in range(options.callers + 1)
        ]
        await _begin(indexer)
        soak = Soak(server, options.minutes * _MINUTE)
        mixes = [Mix(kept, seed) for seed in range(len(callers))]
        await asyncio.gather(
            soak.watch(options.every),
            soak.index(indexer, churn),
            *(soak.ask(*each) for each in zip(callers, mixes, strict=True)),
        )
        status = await indexer.call("library_status")
        wanted = options.rows + len(kept) + len(churn)
        if status.result is None or status.result["structuredContent"]["files"] != wanted:
            sys.exit(f"at the end there should be {wanted} files: {status}")
    return soak


async def _begin(caller: Caller) -> None:
    """Load the model and index what is there, before time counts."""
    for tool, arguments in (("index_images", {}), ("search_by_text", {"query": "a red cat"})):
        first = await caller.call(tool, **arguments)
        if first.result is None:
            sys.exit(f"the first call failed: {first.why}")


def by_minute(soak: Soak) -> Table:
    """Return what was called and held in each minute; times are those of searches by text."""
    rows: list[list[Cell]] = []
    count = ceil(soak.seconds / _MINUTE)
    for minute in range(count):
        calls = [c for c in soak.calls if min(int(c.at / _MINUTE), count - 1) == minute]
        held = [s for s in soak.samples if int(s.at / _MINUTE) == minute]
        runs = [call for call in calls if call.tool == "index_images"]
        rows.append(
            [
                str(minute + 1),
                *_counts(calls),
                *_times([call for call in calls if call.tool == "search_by_text"])[:2],
                len(runs),
                sum(call.encoded for call in runs),
                median(one.rss for one in held),
                median(one.own for one in held),
                max(one.threads for one in held),
                max(one.descriptors for one in held),
            ]
        )
    return Table("By minute", MINUTES, rows)


def by_tool(soak: Soak) -> Table:
    """Return how the calls of each tool went, with what was wrong as notes."""
    rows: list[list[Cell]] = []
    for tool in (*WEIGHTS, "index_images"):
        calls = [call for call in soak.calls if call.tool == tool]
        rows.append([tool, *_counts(calls), *_times(calls)])
    rows.append(["all", *_counts(soak.calls), *_times(soak.calls)])
    whys = Counter(f"{call.tool}: {call.why}" for call in soak.calls if call.why)
    return Table("By tool", TOOLS, rows, [f"{n} times {why}" for why, n in whys.most_common(5)])


def trends(soak: Soak) -> Table:
    """Return whether what the server holds rose in the second half."""
    held = [one for one in soak.samples if one.at >= soak.seconds / 2]
    if len(held) < _FEWEST:
        sys.exit(f"{len(held)} samples are no trend: give more --minutes, or less for --every")
    figures: dict[str, list[float]] = {
        "RSS, MiB": [one.rss for one in held],
        "own memory, MiB": [one.own for one in held],
        "threads": [one.threads for one in held],
        "descriptors": [one.descriptors for one in held],
    }
    rows: list[list[Cell]] = []
    for name, values in figures.items():
        found = trend([one.at for one in held], values)
        rows.append([name, found.mean, found.slope, found.error, found.verdict])
    return Table("Second half", TRENDS, rows)


def _counts(calls: Sequence[Call]) -> list[Cell]:
    lost = sum(call.is_lost for call in calls)
    wrong = sum(bool(call.why) for call in calls)
    return [len(calls), wrong - lost, lost]


def _times(calls: Sequence[Call]) -> list[Cell]:
    if not calls:
        return [None, None, None]
    times = np.array([call.seconds for call in calls]) * 1000
    return [float(value) for value in np.percentile(times, (50, 99, 100))]


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print the tables and write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--callers", type=int, default=4, help="beside the one that indexes")
    parser.add_argument("--rows", type=int, default=10_000, help="vectors in the library")
    parser.add_argument("--pictures", type=int, default=200, help="that stay as they are")
    parser.add_argument("--changing", type=int, default=200, help="files at a time that do not")
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two samples")
    parser.add_argument("--out", type=Path, default=RESULTS / "soak.json")
    options = parser.parse_args(given)

    async def measure(server: Running, folder: Path) -> list[Table]:
        soak = await soaked(server, folder, options)
        return [by_minute(soak), by_tool(soak), trends(soak)]

    run_over_http(options, measure)


if __name__ == "__main__":
    main()
