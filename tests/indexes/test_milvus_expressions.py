"""Expressions say what filters and lists of seqs say, no more and no less."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_vlsearch.indexes.milvus.expressions import Expression, among, meeting, pushed
from mcp_vlsearch.types import Filters, Near

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs


def met_by(expression: Expression, seq: int) -> bool:
    """Read an expression as Python, which it also is."""
    return bool(eval(expression.inlined(), {"seq": seq}))


def numbers(values: set[int]) -> Seqs:
    return np.array(sorted(values), np.int64)


@given(st.sets(st.integers(1, 60)), st.integers(1, 12))
def test_every_allowed_seq_meets_exactly_one_expression_and_no_other_meets_any(
    allowed: set[int], longest: int
) -> None:
    expressions = list(among(numbers(allowed), longest))
    for seq in range(62):
        assert sum(met_by(one, seq) for one in expressions) == (seq in allowed)


@given(st.sets(st.integers(1, 500), max_size=200), st.integers(1, 20))
def test_no_expression_lists_more_than_the_longest_list(allowed: set[int], longest: int) -> None:
    for one in among(numbers(allowed), longest):
        assert all(len(v) <= longest for v in one.values.values() if isinstance(v, list))


def test_almost_all_of_a_large_library_is_one_expression_that_lists_what_is_left_out() -> None:
    allowed = np.setdiff1d(np.arange(1, 1_000_001), np.arange(500, 1_000_000, 1000))
    [one] = among(allowed)
    assert one.values["gaps"] == list(range(500, 1_000_000, 1000))
    assert (one.values["low"], one.values["high"]) == (1, 1_000_000)


def test_what_the_columns_can_not_tell_is_left_to_the_library() -> None:
    filters = Filters(
        folder="/pictures",
        format="jpg",
        taken_after=datetime(2020, 1, 1),
        modified_before=datetime(2021, 1, 1),
        min_width=100,
        orientation="square",
        camera=" Canon ",
        near=Near(latitude=1, longitude=2, km=3),
    )
    assert pushed(filters) == Filters(
        format="jpg",
        taken_after=datetime(2020, 1, 1),
        min_width=100,
        orientation="square",
        camera="Canon",
    )


@pytest.mark.parametrize("camera", ["100%", "a_b", "back\\slash", "it's", 'the "one"', " ", "a\nb"])
def test_a_camera_that_means_something_in_a_pattern_is_left_to_the_library(camera: str) -> None:
    assert pushed(Filters(camera=camera)) == Filters()


def test_values_go_beside_the_text_so_that_nothing_given_is_read_as_an_expression() -> None:
    expression = meeting(Filters(format="png", min_width=7, min_height=8, orientation="portrait"))
    assert set(expression.values.values()) == {"PNG", 7, 8, "portrait"}
    assert "PNG" not in expression.text


@pytest.mark.parametrize("camera", ["{x", "x}", "100%", "a_b", 'a"b'])
def test_what_means_something_in_a_pattern_or_template_is_left_to_the_database(camera: str) -> None:
    assert pushed(Filters(camera=camera)).camera is None
