"""Rows and queries that no index can take are refused; hits from several places become one list."""

from typing import Any

import numpy as np
import pytest

from mcp_vlsearch.errors import QueryError
from mcp_vlsearch.indexes.boundary import check_queries, check_rows, merged

DIM = 4


def numbers(*values: float) -> Any:
    return np.array(values, np.float32)


@pytest.mark.parametrize("seqs", [[3, 4], [5, 5], [6, 5]])
def test_seqs_that_do_not_grow_are_refused(seqs: list[int]) -> None:
    with pytest.raises(ValueError, match="seqs must grow, from 4 on"):
        check_rows(np.array(seqs), np.zeros((2, DIM), np.float32), 3, DIM)


@pytest.mark.parametrize("shape", [(1, DIM), (2, DIM + 1), (2,)])
def test_rows_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="vectors have the shape"):
        check_rows(np.array([4, 5]), np.zeros(shape, np.float32), 3, DIM)


def test_rows_that_are_right_come_back_as_whole_numbers_of_64_bits() -> None:
    seqs = check_rows(np.array([4, 9], np.int32), np.zeros((2, DIM), np.float32), 3, DIM)
    assert seqs.tolist() == [4, 9]
    assert seqs.dtype == np.int64


@pytest.mark.parametrize(
    ("queries", "k"),
    [
        (np.zeros((1, DIM + 1)), 1),
        (np.zeros(DIM), 1),
        (np.zeros((1, DIM)), 0),
        (np.full((1, DIM), np.nan), 1),
        (np.full((1, DIM), np.inf), 1),
    ],
)
def test_queries_that_are_no_vectors_of_the_space_are_refused(queries: Any, k: int) -> None:
    with pytest.raises(QueryError):
        check_queries(queries, k, DIM)
    doubles: Any = np.zeros((2, DIM))
    assert check_queries(doubles, 1, DIM).dtype == np.float32


def test_the_best_of_all_places_come_first_and_gaps_last() -> None:
    one = numbers(0.5, 0.1, 0.9)[None], np.array([[1, 2, -1]])
    other = numbers(0.7, 0.2)[None], np.array([[3, 4]])
    scores, seqs = merged([one, other], 1, 3)
    assert seqs.tolist() == [[3, 1, 4]]
    assert scores.tolist() == [numbers(0.7, 0.5, 0.2).tolist()]
    scores, seqs = merged([one, other], 1, 6)
    assert seqs.tolist() == [[3, 1, 4, 2, -1, -1]]
    assert scores[0, 4:].tolist() == [-np.inf, -np.inf]


@pytest.mark.parametrize("queries", [0, 2])
def test_nothing_found_is_told_in_full(queries: int) -> None:
    scores, seqs = merged([], queries, 3)
    assert (scores.shape, seqs.shape) == ((queries, 3), (queries, 3))
    assert scores.dtype == np.float32
    assert seqs.dtype == np.int64
    assert (seqs == -1).all()
