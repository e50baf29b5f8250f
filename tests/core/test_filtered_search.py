"""However few pictures a filter keeps, the best of them are found."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks._filled import opened
from benchmarks._library import START, fill
from benchmarks._vectors import World
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.types import Filters

ROWS, DIM, QUERIES = 4000, 32, 40
WORLD = World(DIM, seed=5)


def at(number: float) -> datetime:
    """Return when the picture of a row was taken."""
    return START + timedelta(minutes=5 * number)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("library")
    fill(folder, WORLD.blocks(ROWS), np.arange(ROWS) % 100)
    queries = [WORLD.queries(QUERIES // 2, kind) for kind in ("picture", "text")]
    with opened(folder, DIM, np.concatenate(queries)) as library:
        yield library


NUMBERS = np.arange(ROWS)
KEPT: dict[str, tuple[Filters, Any]] = {
    "0.1 %": (Filters(folder="/pictures/017"), NUMBERS % 1000 == 17),
    "1 %": (Filters(camera="model 042"), NUMBERS % 100 == 42),
    "10 %": (Filters(format="PNG"), NUMBERS % 10 == 0),
    "90 %": (Filters(taken_after=at(ROWS / 10)), NUMBERS >= ROWS / 10),
}


@pytest.mark.parametrize("share", KEPT)
def test_a_filtered_search_finds_what_an_exact_comparison_of_the_rest_finds(
    library: Library, share: str
) -> None:
    filters, kept = KEPT[share]
    rows, right = WORLD.pictures(ROWS), 0
    queries = np.concatenate([WORLD.queries(QUERIES // 2, kind) for kind in ("picture", "text")])
    for number, query in enumerate(queries):
        result = library.search_by_text(str(number), filters=filters)
        scores = np.where(kept, rows @ query, -np.inf)
        count = min(10, int(kept.sum()))
        expected = np.argsort(-scores)[:count]
        found = [int(Path(hit.path).stem) for hit in result.hits]
        assert result.searched_images == kept.sum()
        assert len(found) == count
        assert kept[found].all()
        np.testing.assert_allclose([h.score for h in result.hits], scores[found], atol=1e-3)
        right += len(set(found) & set(expected.tolist()))
    assert right >= 0.98 * QUERIES * min(10, int(kept.sum()))
