"""Relevance tells a hit that stands out from one that any library would give."""

import numpy as np
import pytest

from mcp_vlsearch.core.relevance import FEWEST, Background, reaches


def background(seed: int, images: int = 10_000, middle: float = 0.3) -> Background:
    """Fit the scores of a thousand random pictures."""
    scores = np.random.default_rng(seed).normal(middle, 0.05, 1000).astype(np.float32)
    found = Background.of(scores, images)
    assert found is not None
    return found


def test_the_bulk_is_fitted_whatever_a_tenth_of_right_answers_score() -> None:
    rng = np.random.default_rng(0)
    bulk, right = rng.normal(0.3, 0.05, 900), rng.normal(0.8, 0.02, 100)
    found = Background.of(np.append(bulk, right).astype(np.float32), 1000)
    assert found is not None
    assert found.middle == pytest.approx(0.3, abs=0.02)
    assert found.spread == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("middle", [0.1, 0.6])
def test_a_score_is_judged_against_the_library_and_not_by_itself(middle: float) -> None:
    found = background(1, middle=middle)
    assert found.judge(middle + 0.35) == "strong"
    assert found.judge(middle + 0.2) == "likely"
    assert found.judge(middle + 0.05) == "weak"


def test_the_best_of_nothing_but_noise_is_rarely_strong() -> None:
    strong = 0
    for seed in range(200):
        best = np.random.default_rng(1000 + seed).normal(0.3, 0.05, 10_000).max()
        strong += background(seed).judge(float(best)) == "strong"
    assert strong <= 10


def test_a_larger_library_asks_for_a_higher_score() -> None:
    assert background(1, images=100).judge(0.52) == "strong"
    assert background(1, images=10_000_000).judge(0.52) == "weak"


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
