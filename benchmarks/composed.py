"""How queries of several parts are best answered: picture and text, exclusions, phrasings.

    python -m benchmarks.composed

Storybook scenes that no training saw. Every way that was weighed is a row; what the library does is
named in ``docs/search.md``. Figures do not depend on the machine.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks import _excluding_tasks as excluding
from benchmarks import _phrasing_tasks as phrasing
from benchmarks._composed_tasks import KINDS, Composed, composed_queries, composed_ways
from benchmarks._machine import cores, describe
from benchmarks._scenes import Storybook, Vectors
from benchmarks._tables import RESULTS, Cell, Table, save
from mcp_vlsearch.core.evaluation import ranks
from mcp_vlsearch.storybook.captions import Language, facts_of
from mcp_vlsearch.storybook.scene import Scene, sample_scene

SEED: Final = 6089
LANGUAGES: Final[dict[Language, str]] = {"en": "English", "zh": "Chinese"}


def composed_tables(model: Storybook, queries: Sequence[Composed], others: Vectors) -> list[Table]:
    """Return, by language, how often each way finds the wanted scene."""
    scenes = [q.given for q in queries] + [q.wanted for q in queries]
    scenes += [scene for q in queries for scene in q.near]
    gallery = np.concatenate([model.pictures(scenes), others])
    columns = {"way": "", "@1, given kept": ".2f"}
    columns |= {f"{kind} @1": ".2f" for kind in KINDS} | {f"all @{n}": ".2f" for n in (1, 5, 10)}
    return [
        Table(
            f"Composed queries, {name}",
            columns,
            [
                found(way, queries, scores)
                for way, scores in composed_ways(model, queries, gallery, language).items()
            ],
            [f"- {len(queries)} queries among {len(gallery)} pictures."],
        )
        for language, name in LANGUAGES.items()
    ]


def found(way: str, queries: Sequence[Composed], scores: Vectors) -> list[Cell]:
    """Return how often a way has the wanted scene first, and among the first five and ten."""
    own = np.arange(len(queries))
    wanted = own + len(queries)
    kept = ranks(scores, wanted)
    scores = scores.copy()
    scores[own, own] = -np.inf
    places = ranks(scores, wanted)
    of_kind = [np.array([query.kind == kind for query in queries]) for kind in KINDS]
    return [
        way,
        float(np.mean(kept <= 1)),
        *(float(np.mean(places[of] <= 1)) for of in of_kind),
        *(float(np.mean(places <= first)) for first in (1, 5, 10)),
    ]


def excluding_tables(
    model: Storybook,
    queries: Sequence[excluding.Excluding],
    scenes: Sequence[Scene],
    gallery: Vectors,
) -> list[Table]:
    """Return, by language, how many of the first ten show what is excluded and what is wanted."""
    facts = [facts_of(scene) for scene in scenes]
    columns = {"way": ""}
    for thing in excluding.THINGS:
        columns |= {f"{thing} shown": ".2f", f"{thing} wanted": ".2f"}
    tables = []
    for language, name in LANGUAGES.items():
        wanted = model.texts([query.wish(language) for query in queries])
        unwanted = model.texts([query.words[language] for query in queries])
        rows: list[list[Cell]] = []
        for way, hits_of in excluding.WAYS.items():
            counts: dict[str, list[int]] = {column: [] for column in columns}
            for query, wish, against in zip(queries, wanted, unwanted, strict=True):
                hits = [facts[row] for row in hits_of(wish, against, gallery)]
                counts[f"{query.thing} shown"].append(sum(query.unwanted in f for f in hits))
                counts[f"{query.thing} wanted"].append(sum(("is", query.wanted) in f for f in hits))
            rows.append([way, *(float(np.mean(counts[c])) for c in list(columns)[1:])])
        notes = [f"- {len(queries)} queries among {len(gallery)} pictures."]
        tables.append(Table(f"Excluding, {name}", columns, rows, notes))
    return tables


def phrasing_table(
    model: Storybook, scenes: Sequence[Scene], gallery: Vectors, count: int, seed: int
) -> Table:
    """Return how often each way finds a scene by three phrases, the last of them perhaps wrong."""
    columns = {"way": ""} | {
        f"{language}{off} @{first}": ".2f"
        for off in ("", ", one wrong")
        for language in LANGUAGES
        for first in (1, 10)
    }
    asked = [
        phrasing.phrased(model, scenes[:count], language, random.Random(seed), wrong)
        for wrong in (0, 1)
        for language in LANGUAGES
    ]
    rows: list[list[Cell]] = []
    for way, scores_of in phrasing.WAYS.items():
        row: list[Cell] = [way]
        for phrasings in asked:
            places = ranks(scores_of(phrasings, gallery), np.arange(count))
            row += [float(np.mean(places <= first)) for first in (1, 10)]
        rows.append(row)
    notes = [f"- {count} queries among {len(gallery)} pictures."]
    return Table("Several phrasings", columns, rows, notes)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--each", type=int, default=30, help="queries of each kind")
    parser.add_argument("--others", type=int, default=400, help="scenes at random beside")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--workers", type=int, default=cores())
    parser.add_argument("--out", type=Path, default=RESULTS / "composed.json")
    options = parser.parse_args(arguments)
    machine = describe()
    rng = random.Random(f"storybook composed queries {options.seed}")
    model = Storybook(options.workers)
    queries = excluding.excluding_queries(rng, options.each)
    scenes = excluding.excluding_gallery(rng, queries)
    others = [sample_scene(rng) for _ in range(options.others)]
    gallery = model.pictures([*others, *scenes])
    tables = [
        *composed_tables(model, composed_queries(rng, options.each), gallery[: len(others)]),
        *excluding_tables(model, queries, [*others, *scenes], gallery),
        phrasing_table(model, others, gallery, min(200, len(others)), options.seed),
    ]
    save(options.out, tables, machine, vars(options))


if __name__ == "__main__":
    main()
