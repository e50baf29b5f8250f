"""The sample that relevance is judged by is kept, and follows the library."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mcp_vlsearch.core.sample import Sample


class Rows:
    """Stands in for the embedding cache; each sample is told apart."""

    def __init__(self) -> None:
        self.taken = 0
        self.seeds: set[int] = set()

    def sample(self, count: int, seed: int) -> Any:
        self.seeds.add(seed)
        self.taken += 1
        return np.full((count, 2), self.taken, np.float32)


class Index(SimpleNamespace):
    """As much of an index as a sample looks at."""

    def __len__(self) -> int:
        return int(self.size)


@pytest.mark.parametrize(
    ("size", "last_seq", "last_removal", "renewed"),
    [
        (100, 100, 0, False),
        (110, 110, 0, False),
        (112, 112, 0, True),
        (95, 100, 5, False),
        (85, 100, 15, True),
        (100, 106, 6, True),
        (10, 10, 0, True),
    ],
)
def test_a_sample_is_renewed_once_a_tenth_has_changed(
    size: int, last_seq: int, last_removal: int, renewed: bool
) -> None:
    rows: Any = Rows()
    sample, query = Sample(rows), np.array([1, 0], np.float32)
    before: Any = Index(size=100, last_seq=100, last_removal=0)

    def middle(index: Any) -> float:
        background = sample.background(query, index)
        assert background is not None
        assert background.images == len(index)
        return background.middle

    assert middle(before) == 1
    after: Any = Index(size=size, last_seq=last_seq, last_removal=last_removal)
    assert middle(after) == (2 if renewed else 1)
    assert middle(after) == rows.taken
    assert len(rows.seeds) == 1, "every process judges by the same sample"
