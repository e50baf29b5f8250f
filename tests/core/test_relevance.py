"""Relevance tells a hit that stands out from one that any library would give."""

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mcp_vlsearch.core.relevance import FEWEST, Background, judge, reach, reaches

if TYPE_CHECKING:
    from numpy.typing import NDArray


def background(
    seed: int, images: int = 10_000, middle: float = 0.3, reach: float = 5
) -> Background:
    """Fit the scores of a thousand random pictures."""
    scores = np.random.default_rng(seed).normal(middle, 0.05, 1000).astype(np.float32)
    found = Background.of(scores, images, reach)
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
    found = background(1, middle=middle, reach=5)
    scores = middle + np.array([0.35, 0.23, 0.05])
    assert judged(found, *scores) == ["strong", "likely", "weak"]


def test_a_larger_library_asks_for_a_higher_score() -> None:
    assert judged(background(1, images=1000), 0.52) == ["likely"]
    assert judged(background(1, images=10_000_000), 0.52) == ["weak"]


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
    assert likely <= 40


def test_right_hits_are_likely_where_a_third_of_the_library_is_right() -> None:
    rng = np.random.default_rng(0)
    bulk, right = rng.normal(0.3, 0.05, 667), rng.normal(0.5, 0.02, 333)
    found = Background.of(np.append(bulk, right).astype(np.float32), 5000)
    assert found is not None
    assert set(judged(found, *np.sort(right)[:-100:-1])) <= {"likely", "strong"}
    assert judged(found, *np.sort(right)[:-100:-1], 0.33)[-1] == "weak"


def test_a_hit_is_no_worse_than_one_that_comes_after_it() -> None:
    order = ["strong", "likely", "weak"]
    for seed in range(50):
        rng = np.random.default_rng(seed)
        hits = np.sort(rng.normal(0.45, 0.06, 10))[::-1]
        found = [order.index(relevance) for relevance in judged(background(seed, reach=4), *hits)]
        assert found == sorted(found)


def test_the_querys_own_picture_is_strong_whatever_the_library_holds() -> None:
    assert judged(background(0, middle=0.9, reach=100), 0.997, 0.99)[0] == "strong"
    assert list(judge(np.array([0.999, 0.9], np.float32), None)) == ["strong", "likely"]


def rows(seed: int, count: int, dim: int = 32) -> "NDArray[np.float32]":
    """Return random unit-norm rows."""
    found = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    unit: NDArray[np.float32] = found / np.linalg.norm(found, axis=1, keepdims=True)
    return unit


def deviations_by_hand(pictures: "NDArray[np.float32]") -> "NDArray[np.float64]":
    """Return how far the nearest other picture stands out of all others, for each picture."""
    found = []
    for number, picture in enumerate(pictures):
        others = np.delete(pictures, number, axis=0) @ picture
        low, middle = np.quantile(others, (0.1587, 0.5))
        found.append((others.max() - middle) / (middle - low))
    return np.array(found)


def test_reach_lies_above_the_nearest_other_picture_of_nearly_every_picture() -> None:
    pictures = rows(0, 150)
    lowest, middle = np.quantile(deviations_by_hand(pictures), (0.05, 0.5))
    assert reach(pictures, 150) == pytest.approx(middle + 2.5 * (middle - lowest), rel=1e-4)
    assert (deviations_by_hand(pictures) < reach(pictures, 150)).mean() > 0.95


def test_reach_is_farther_in_a_library_that_is_larger_than_its_sample() -> None:
    sample = rows(1, 1000)
    known = reach(sample, 1000)
    assert reach(sample, 10_000) - known == pytest.approx(reach(sample, 100_000) / 2 - known / 2)
    grown = np.median(deviations_by_hand(rows(2, 1000))) - np.median(
        np.concatenate([deviations_by_hand(rows(3 + seed, 250)) for seed in range(4)])
    )
    assert reach(sample, 4000) - known == pytest.approx(grown, abs=0.15)


def test_copies_of_pictures_are_no_look_alikes() -> None:
    pictures = rows(5, 200)
    twice = np.concatenate([pictures, pictures])
    assert reach(twice, 400) < reach(pictures, 200) + 1


def test_too_few_pictures_have_no_bulk() -> None:
    assert Background.of(np.ones(FEWEST - 1, np.float32), 19) is None
    assert reach(rows(0, FEWEST - 1), 19) == 0


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
