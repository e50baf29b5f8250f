"""The benchmark of rewriters counts as a plain loop does, on scenes that no training saw."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from benchmarks import rewriting
from benchmarks.rewriting import Asked, Gallery, queries_of, scenes_of
from mcp_vlsearch.contracts import Query
from mcp_vlsearch.storybook.captions import facts_of
from mcp_vlsearch.storybook.scene import held_out

from .conftest import tables


class Encoder:
    """Knows the vectors of a few texts."""

    known: ClassVar = {"east": (1, 0), "north": (0, 1), "south": (0, -1)}

    def encode_queries(self, queries: list[Query]) -> rewriting.Vectors:
        return np.array([self.known[query.text] for query in queries], np.float32)


class Adds:
    """A rewriter that knows one thing to add."""

    name = "adds"

    def rewrite(self, query: str) -> list[str]:
        return {"east": ["north"], "north": ["south"]}.get(query, [])


def test_rows_are_those_of_a_plain_count() -> None:
    pictures = np.array([(1, 0), (0.6, 0.8), (0, 1), (-1, 0)], np.float32)
    facts = [frozenset({("is", name)}) for name in "abca"]
    gallery = Gallery(Encoder(), pictures, facts)  # type: ignore[arg-type]
    asked = [Asked("east", facts[1]), Asked("east", facts[0]), Asked("south", facts[2])]
    # alone: b comes second, a first, c last; with north added: b first, a second
    count, changed, *values = rewriting.measure(gallery, Adds(), asked)
    assert (count, changed) == (3, 2)
    mrr = (1 / 2 + 1 + 1 / 4) / 3, (1 + 1 / 2 + 1 / 4) / 3
    expected = [1 / 3, 1 / 3, 0, *mrr, mrr[1] - mrr[0], 1, 1]
    assert values == pytest.approx(expected)


def test_queries_are_true_of_the_scene_that_they_are_made_for_and_colours_are_new() -> None:
    scenes = scenes_of(30)
    assert all(any(held_out(i.kind, i.colour) for i in scene.items) for scene in scenes)
    facts = [facts_of(scene) for scene in scenes]
    for language in rewriting.LANGUAGES:
        kinds = dict(queries_of(scenes, language))
        assert list(kinds) == ["noun", "terse", "phrase", "full"]
        for kind in rewriting.DETAILS:
            assert all(q.facts <= own for q, own in zip(kinds[kind], facts, strict=True))
        assert all(any(q.facts <= own for own in facts) for q in kinds["noun"])


def test_every_kind_of_query_gets_a_row(tmp_path: Path) -> None:
    out = tmp_path / "rewriting.json"
    rewriting.main(["--scenes", "12", "--out", str(out)])
    found = tables(out)["template"]
    assert list(found) == [f"{language}, {kind}" for language in ("en", "zh") for kind in (
        "noun", "terse", "phrase", "full"
    )]  # fmt: skip
    for row in found.values():
        assert row["first, gain"] == pytest.approx(row["first, on"] - row["first, off"])
        assert row["better"] + row["worse"] <= row["rewritten"] <= row["count"]
    assert found["en, full"]["rewritten"] == 0
    assert found["en, noun"]["rewritten"] == found["en, noun"]["count"]
