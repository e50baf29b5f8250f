"""What is excluded is taken out of the query, and out of the candidates."""

import numpy as np
import pytest

from mcp_vlsearch.core.excluding import candidates, shows, turned_away
from mcp_vlsearch.core.relevance import Background
from mcp_vlsearch.errors import QueryError


def test_a_query_that_is_turned_away_keeps_all_but_the_part_along_what_is_unwanted() -> None:
    rng = np.random.default_rng(0)
    wanted, unwanted = (v / np.linalg.norm(v) for v in rng.standard_normal((2, 16), np.float32))
    left = turned_away(wanted, unwanted)
    assert left @ unwanted == pytest.approx(0, abs=1e-6)
    assert np.linalg.norm(left) == pytest.approx(1, abs=1e-6)
    plane = np.linalg.lstsq(np.stack([wanted, unwanted]).T, left, rcond=None)
    assert plane[1] == pytest.approx(0, abs=1e-6), "nothing is added"
    assert left @ wanted > 0


def test_texts_that_differ_by_rounding_only_ask_for_the_same() -> None:
    wanted = np.full(16, 0.25, np.float32)
    noisy = wanted + 0.01 * np.random.default_rng(1).standard_normal(16)
    rough = np.asarray(noisy / np.linalg.norm(noisy), np.float32)
    with pytest.raises(QueryError, match="asks for what it excludes"):
        turned_away(wanted, rough)


def test_pictures_show_what_stands_out_by_two_spreads_in_the_library() -> None:
    library = np.random.default_rng(2).normal(0.3, 0.05, 1000).astype(np.float32)
    low, middle = np.quantile(library, (0.1587, 0.5))
    border = middle + 2 * (middle - low)
    scores = np.array([border + 0.001, border - 0.001, 0.3], np.float32)
    wanted = np.array([0.9, 0.1, 0.1], np.float32)
    assert shows(scores, wanted, Background.of(library, 5000)).tolist() == [True, False, False]
    assert shows(scores, wanted, None).tolist() == [False, True, True]


@pytest.mark.parametrize(("top_k", "looked_at"), [(1, 200), (10, 200), (100, 1000)])
def test_many_more_pictures_are_looked_at_than_are_asked_for(top_k: int, looked_at: int) -> None:
    assert candidates(top_k) == looked_at
