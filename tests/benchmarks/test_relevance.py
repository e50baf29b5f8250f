"""What relevance is worth is measured on libraries that have, or lack, what is asked for."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from benchmarks._relevance_tasks import Judge, Judged, Scenes, world_asked
from benchmarks._scenes import Storybook
from benchmarks.relevance import main, row
from mcp_vlsearch.core.likeness import LookAlikes
from mcp_vlsearch.core.relevance import Background, judge
from mcp_vlsearch.storybook.captions import facts_of
from tests.benchmarks.conftest import tables

pytestmark = pytest.mark.usefixtures("here")


@cache
def scenes() -> Scenes:
    return Scenes(Storybook(1), largest=20, queries=4, seed=5)


def test_a_library_without_what_is_asked_for_has_no_scene_with_a_named_object() -> None:
    made = scenes()
    by_vector = {v.tobytes(): facts_of(s) for v, s in zip(made._rows, made._scenes, strict=True)}
    asked = list(made.asked(8))
    texts = [a for a in asked if a.kind.startswith("en terse")]
    captions = made._captions["en terse"]
    assert len(texts) == 2 * len(captions)
    for number, stated in enumerate(captions):
        present, absent = texts[2 * number : 2 * number + 2]
        named = {fact for fact in stated.facts if fact[0] == "is"} or stated.facts
        for vector in absent.library:
            assert not named & by_vector[vector.tobytes()]
        assert present.right is not None
        for vector, is_right in zip(present.library, present.right, strict=True):
            assert is_right == (stated.facts <= by_vector[vector.tobytes()])
        assert present.right.any()
    assert {len(a.library) for a in asked if a.right is not None} == {8}


def test_a_composed_query_asks_for_the_changed_scene_where_the_given_one_was() -> None:
    made = scenes()
    asked = [a for a in made.composed(8) if a.kind == "zh composed"]
    assert len(asked) == 2 * len(made._changed)
    for number, (present, absent) in enumerate(zip(asked[::2], asked[1::2], strict=True)):
        assert present.right is not None
        assert absent.right is None
        (wanted,) = present.library[present.right]
        assert (wanted == made._changed[number]).all()
        assert present.picture is not None
        assert (present.picture == made._rows[number]).all()
        assert not (present.library == made._rows[number]).all(axis=1).any()
        assert float(present.vector @ wanted) > float(absent.vector @ absent.library.T.mean(axis=1))


def test_a_query_is_judged_as_the_library_does_it() -> None:
    (asked, *_) = world_asked(64, 200, 3, 1)
    judged = Judge(0)(asked)
    scores = np.sort(asked.library @ asked.vector)[::-1]
    background = Background.of(scores, 200, LookAlikes(asked.library, 200).of_pictures)
    assert judged.right is not None
    assert len(judged.right) == 10
    expected = judge(scores[:10], background)
    assert sum(a != b for a, b in zip(judged.relevances, expected, strict=True)) <= 1, "the sample"


def test_shares_are_of_queries_without_pictures_and_of_right_hits() -> None:
    flags = np.array([True, True, False])
    judged = [
        Judged("a", ["strong", "likely", "weak"], None),
        Judged("a", ["weak", "weak", "weak"], None),
        Judged("a", ["strong", "weak", "strong"], flags),
        Judged("a", ["likely", "likely", "weak"], flags),
    ]
    assert row(50, "a", judged) == [50, "a", 2, 0.5, 0.5, 4, 0.25, 0.75, 2, 0.5]


def test_in_a_made_up_space_few_absent_themes_are_strong_and_right_pictures_likely() -> None:
    judge = Judge(1)
    judged = [judge(asked) for asked in world_asked(256, 400, 60, 9)]
    _, _, absent, strong, _, right, _, likely, *_ = row(400, "text", judged)
    assert absent == 60
    assert isinstance(strong, float)
    assert strong <= 0.05
    assert isinstance(right, int)
    assert isinstance(likely, float)
    assert right >= 55
    assert likely >= 0.95


def test_every_kind_of_query_is_measured_at_every_size(tmp_path: Path) -> None:
    out = tmp_path / "relevance.json"
    sizes = ["--sizes", "20", "24", "--queries", "2", "--dims", "32", "--workers", "1"]
    main([*sizes, "--seed", "4", "--out", str(out)])
    found = tables(out)
    for title in ("Storybook", "Storybook, composed", "Made-up vectors of 32 dimensions"):
        assert [str(size) for size in found[title]] == ["20", "24"]
