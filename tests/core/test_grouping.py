"""Grouping by file gives as many files as there are, the best image of each, in order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mcp_vlsearch.core.grouping import best_of_each_file


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1000)), max_size=60), st.integers(1, 8))
def test_it_is_what_sorting_all_images_would_give(
    images: list[tuple[int, int]], wanted: int
) -> None:
    order = sorted(range(len(images)), key=lambda seq: -images[seq][1])
    asked = []

    def search(k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        asked.append(k)
        best = [*order[:k], *[-1] * (k - len(order))]
        scores = [images[seq][1] if seq >= 0 else -np.inf for seq in best]
        return np.array(scores, np.float32), np.array(best, np.int64)

    def sources(seqs: list[int]) -> dict[int, str]:
        return {seq: str(images[seq][0]) for seq in seqs}

    scores, seqs = best_of_each_file(search, sources, wanted, max(len(images), 1))
    expected: dict[int, int] = {}
    for seq in order:
        expected.setdefault(images[seq][0], seq)
    assert seqs.tolist() == list(expected.values())[:wanted]
    assert scores.tolist() == [images[seq][1] for seq in seqs]
    assert asked == sorted(set(asked))


def test_no_more_is_searched_than_needed() -> None:
    def search(k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        if k > 3:
            pytest.fail("three files were found with three images")
        return np.arange(k, 0, -1).astype(np.float32), np.arange(k)

    _, seqs = best_of_each_file(search, lambda s: {n: str(n) for n in s}, 3, 1000)
    assert seqs.tolist() == [0, 1, 2]
