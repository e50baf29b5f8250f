"""Ways to answer queries of several parts are compared on scenes that are what they claim to be."""

import random
from pathlib import Path

import numpy as np
import pytest

from benchmarks import _excluding_tasks as excluding
from benchmarks import _phrasing_tasks as phrasing
from benchmarks._composed_tasks import KINDS, composed_queries, kind_of, reciprocal, standardised
from benchmarks.composed import found, main
from mcp_vlsearch.storybook.captions import facts_of
from tests.benchmarks.conftest import tables

pytestmark = pytest.mark.usefixtures("here")


def test_a_composed_query_wants_what_differs_in_one_thing_of_its_kind() -> None:
    queries = composed_queries(random.Random(1), 8)
    assert [query.kind for query in queries] == [kind for kind in KINDS for _ in range(8)]
    for query in queries:
        assert kind_of(query.given, query.wanted) == query.kind
        given, wanted = query.given, query.wanted
        assert (given.setting == wanted.setting) == (query.kind != "setting")
        colours, others = (sorted(i.colour for i in s.items) for s in (given, wanted))
        assert (colours == others) == (query.kind != "colour")
        before, after = ({i.kind: i.place for i in s.items} for s in (given, wanted))
        assert (before == after) == (query.kind != "position")
        assert len({query.wanted, *query.near}) == 4


def test_half_of_the_scenes_with_what_is_wanted_show_what_is_excluded() -> None:
    rng = random.Random(2)
    queries = excluding.excluding_queries(rng, 3)
    scenes = excluding.excluding_gallery(rng, queries)
    assert len(scenes) == 2 * excluding.EACH * len(queries)
    for number, query in enumerate(queries):
        own = scenes[2 * excluding.EACH * number :][: 2 * excluding.EACH]
        assert all(("is", query.wanted) in facts_of(scene) for scene in own)
        shown = [query.unwanted in facts_of(scene) for scene in own]
        assert shown == [True] * excluding.EACH + [False] * excluding.EACH


def test_places_count_with_the_given_picture_and_without_it() -> None:
    queries = composed_queries(random.Random(3), 1)
    scores = np.full((3, 9), 0.1, np.float32)
    scores[range(3), range(3)] = 0.9  # the given ones
    scores[range(3), range(3, 6)] = 0.8, 0.8, 0.5
    scores[2, 8] = 0.7
    assert found("way", queries, scores) == ["way", 0, 1, 1, 0, pytest.approx(2 / 3), 1, 1]
    scores[0, 0] = 0.2
    assert found("way", queries, scores)[1] == pytest.approx(1 / 3)


def test_standardised_scores_and_reciprocal_ranks_are_what_their_names_say() -> None:
    scores = np.random.default_rng(0).random((4, 7)).astype(np.float32)
    for row, made in zip(scores, standardised(scores), strict=True):
        np.testing.assert_allclose(made, (row - np.mean(row)) / np.std(row), rtol=1e-4)
    for row, made in zip(scores, reciprocal(scores), strict=True):
        order = sorted(range(7), key=lambda place: -row[place])
        expected = [-1 / (61 + order.index(place)) for place in range(7)]
        np.testing.assert_allclose(made, expected, rtol=1e-6)


def test_every_way_is_measured_in_both_languages(tmp_path: Path) -> None:
    out = tmp_path / "composed.json"
    main(["--each", "1", "--others", "8", "--workers", "1", "--seed", "3", "--out", str(out)])
    found = tables(out)
    for name in ("English", "Chinese"):
        assert len(found[f"Composed queries, {name}"]) == 11
        counts = found[f"Excluding, {name}"]
        assert list(counts) == list(excluding.WAYS)
        for row in counts.values():
            assert all(0 <= value <= excluding.TOP for value in row.values() if value != row["way"])
        assert counts["left out"]["object shown"] <= counts["nothing excluded"]["object shown"]
    assert list(found["Several phrasings"]) == list(phrasing.WAYS)
