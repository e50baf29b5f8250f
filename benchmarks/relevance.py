"""What relevance is worth: of queries that the library has no picture for, and of right hits.

    python -m benchmarks.relevance
    python -m benchmarks.relevance --sizes 50 500      # quicker

Storybook scenes that no training saw, asked for by captions of every length in both languages, by
the same scene drawn anew, by a scene and a text that changes one thing of it, by words that no
scene shows and by nonsense; and vectors that are spread as a larger encoder's may be
(``_vectors.py``). Figures do not depend on the machine.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks._machine import cores, describe
from benchmarks._relevance_tasks import Asked, Judge, Judged, Scenes, world_asked
from benchmarks._scenes import Storybook
from benchmarks._tables import RESULTS, Cell, Table, progress, save
from mcp_vlsearch.types import Relevance

SIZES: Final = (50, 500, 5000)
DIMS: Final = (256, 1024)
SEED: Final = 5317
ALL: Final = "all"

COLUMNS: Final = {
    "pictures": "d",
    "query": "",
    "absent": "d",
    "any strong": ".1%",
    "any likely": ".1%",
    "right hits": "d",
    "strong": ".1%",
    "likely or strong": ".1%",
    "other hits": "d",
    "of these strong": ".1%",
}


def row(size: int, kind: str, judged: Sequence[Judged]) -> list[Cell]:
    """Return the figures of one kind of query."""
    absent = [query.relevances for query in judged if query.right is None]
    right: list[Relevance] = []
    other: list[Relevance] = []
    for query in judged:
        if query.right is not None:
            for relevance, is_right in zip(query.relevances, query.right, strict=True):
                (right if is_right else other).append(relevance)
    return [
        size,
        kind,
        len(absent),
        share("strong" in found for found in absent),
        share(set(found) != {"weak"} for found in absent),
        len(right),
        share(relevance == "strong" for relevance in right),
        share(relevance != "weak" for relevance in right),
        len(other),
        share(relevance == "strong" for relevance in other),
    ]


def share(flags: Iterable[bool]) -> float | None:
    """Return the share that is true, None of nothing."""
    found = list(flags)
    return float(np.mean(found)) if found else None


def rows(size: int, queries: Iterable[Asked], judge: Judge) -> list[list[Cell]]:
    """Return a row for all kinds of query together, and one for each."""
    judged = [judge(asked) for asked in queries]
    kinds = dict.fromkeys(query.kind for query in judged)
    each = [row(size, kind, [q for q in judged if q.kind == kind]) for kind in kinds]
    return [row(size, ALL, judged), *each]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="of libraries")
    parser.add_argument("--dims", type=int, nargs="+", default=DIMS, help="of made-up vectors")
    parser.add_argument("--queries", type=int, default=200, help="of each kind")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--workers", type=int, default=cores())
    parser.add_argument("--out", type=Path, default=RESULTS / "relevance.json")
    options = parser.parse_args(arguments)
    machine = describe()
    scenes = Scenes(Storybook(options.workers), max(options.sizes), options.queries, options.seed)
    judge = Judge(options.seed)
    tables = []
    for title, asked in (("Storybook", scenes.asked), ("Storybook, composed", scenes.composed)):
        progress(title)
        found = [rows(size, asked(size), judge) for size in options.sizes]
        tables.append(Table(title, COLUMNS, list(chain(*found))))
    for dim in options.dims:
        progress(f"made-up vectors of {dim} dimensions")
        each = [
            rows(size, world_asked(dim, size, options.queries, options.seed), judge)[:1]
            for size in options.sizes
        ]
        tables.append(Table(f"Made-up vectors of {dim} dimensions", COLUMNS, list(chain(*each))))
    save(options.out, tables, machine, vars(options))


if __name__ == "__main__":
    main()
