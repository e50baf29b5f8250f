"""Relevance tells a hit that stands out from one that any library would give."""

from statistics import NormalDist

import numpy as np
import pytest

from mcp_vlsearch.core.likeness import FEWEST, Likeness
from mcp_vlsearch.core.relevance import Background, judge, reaches

LIKE = Likeness(lowest=3, most=4, usual=0.067)
"""Of a library in which a picture's scores have a deviation of 0.05."""


def background(
    seed: int, images: int = 10_000, middle: float = 0.3, like: Likeness = LIKE
) -> Background:
    """Fit the scores of a thousand random pictures."""
    scores = np.random.default_rng(seed).normal(middle, 0.05, 1000).astype(np.float32)
    found = Background.of(scores, images, like)
    assert found is not None
    return found


def test_the_bulk_is_fitted_whatever_a_tenth_of_right_answers_score() -> None:
    rng = np.random.default_rng(0)
    bulk, right = rng.normal(0.3, 0.05, 900), rng.normal(0.8, 0.02, 100)
    found = Background.of(np.append(bulk, right).astype(np.float32), 1000)
    assert found is not None
    assert found.middle == pytest.approx(0.3, abs=0.02)
    assert found.spread == pytest.approx(0.05, abs=0.01)


def judged(background: Background, *scores: float) -> list[str]:
    """Judge hits, best first."""
    return list(judge(np.array(scores, np.float32), background))


@pytest.mark.parametrize("middle", [0.1, 0.6])
def test_a_score_is_judged_against_the_library_and_not_by_itself(middle: float) -> None:
    found = background(1, middle=middle)
    scores = middle + np.array([0.35, 0.24, 0.05])
    assert judged(found, *scores) == ["strong", "likely", "weak"]


def test_a_larger_library_asks_for_a_higher_score() -> None:
    assert judged(background(1, images=1000), 0.54) == ["likely"]
    assert judged(background(1, images=10_000_000), 0.54) == ["weak"]


def test_false_shares_are_those_expected_of_a_normal_bulk_by_those_found() -> None:
    found = background(3, images=2000)
    scores = np.array([0.56, 0.51, 0.42, 0.36], np.float32)
    by_chance = NormalDist(found.middle, found.spread)
    expected = [2000 * (1 - by_chance.cdf(float(score))) for score in scores]
    counted = [2 * int(np.count_nonzero(found.ordered >= score)) for score in scores]
    shares = [e / max(c, n) for n, (e, c) in enumerate(zip(expected, counted, strict=True), 1)]
    smallest = [min(shares[place:]) for place in range(4)]
    assert found.false_shares(scores) == pytest.approx(smallest, rel=1e-3)


def test_the_best_of_nothing_but_noise_is_rarely_likely() -> None:
    likely = 0
    for seed in range(200):
        noise = np.sort(np.random.default_rng(1000 + seed).normal(0.3, 0.05, 10_000))[::-1]
        likely += "weak" not in judged(background(seed), *noise[:1])
    assert likely <= 30


def test_right_hits_are_likely_where_a_third_of_the_library_is_right() -> None:
    rng = np.random.default_rng(0)
    bulk, right = rng.normal(0.3, 0.05, 667), rng.normal(0.5, 0.02, 333)
    found = Background.of(np.append(bulk, right).astype(np.float32), 5000, LIKE)
    assert found is not None
    assert set(judged(found, *np.sort(right)[:-100:-1])) <= {"likely", "strong"}
    assert judged(found, *np.sort(right)[:-100:-1], 0.33)[-1] == "weak"


def test_a_hit_is_no_worse_than_one_that_comes_after_it() -> None:
    order = ["strong", "likely", "weak"]
    for seed in range(50):
        rng = np.random.default_rng(seed)
        hits = np.sort(rng.normal(0.45, 0.06, 10))[::-1]
        found = [order.index(relevance) for relevance in judged(background(seed), *hits)]
        assert found == sorted(found)


def test_the_querys_own_picture_is_strong_whatever_the_library_holds() -> None:
    assert judged(background(0, middle=0.9, like=Likeness(0, 100)), 0.997, 0.99)[0] == "strong"
    assert list(judge(np.array([0.999, 0.9], np.float32), None)) == ["strong", "likely"]


def test_a_query_whose_bulk_is_narrow_needs_more_to_stand_out() -> None:
    rng = np.random.default_rng(0)
    wide, narrow = (rng.normal(0.3, spread, 1000).astype(np.float32) for spread in (0.05, 0.01))
    found = [Background.of(scores, 1000, LIKE) for scores in (wide, narrow)]
    far = [one.standing_out(np.array([0.4], np.float32))[0] for one in found if one]
    assert far[0] < far[1] < 3 * far[0], "five times as far, were there no usual spread"


def test_few_hits_that_stand_out_less_than_any_look_alike_are_weak() -> None:
    found = background(1, like=Likeness(lowest=6, most=7, usual=0.067))
    assert judged(found, 0.56) == ["weak"]
    assert judged(background(1), 0.56) == ["likely"]


def test_a_best_hit_that_stands_out_as_most_look_alikes_do_is_likely_by_that_alone() -> None:
    scores = np.array([0.42, 0.42, 0.42, 0.36], np.float32)
    assert judged(background(1), *scores) == ["weak"] * 4
    common = Likeness(lowest=1, most=6, usual=0.067, common=1.5)
    likely = judged(background(1, like=common), *scores)
    assert likely == ["likely", "likely", "weak", "weak"], "two, as the given picture may be first"
    assert judged(background(1, like=common), 0.36, 0.35) == ["weak", "weak"]


def test_too_few_pictures_have_no_bulk() -> None:
    assert Background.of(np.ones(FEWEST - 1, np.float32), 19) is None


def test_least_relevance_lets_the_better_ones_through() -> None:
    assert [reaches("weak", least) for least in ("any", "likely", "strong")] == [True, False, False]
    assert [reaches("likely", least) for least in ("any", "likely", "strong")] == [
        True,
        True,
        False,
    ]
    assert [reaches("strong", least) for least in ("any", "likely", "strong")] == [True] * 3


@pytest.mark.parametrize("count", [20, 21, 1000])
def test_middle_and_spread_are_those_of_numpys_quantiles(count: int) -> None:
    scores = np.random.default_rng(count).normal(0.3, 0.1, count).astype(np.float32)
    found = Background.of(scores, 5)
    low, middle = np.quantile(scores, (0.1587, 0.5))
    assert found is not None
    assert (found.middle, found.spread) == pytest.approx((middle, middle - low), abs=1e-6)
