"""The Milvus index keeps the contract, in this process and over a server of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_vlsearch.contracts import FilteringIndex, SharedIndex, Space
from mcp_vlsearch.indexes.milvus import MilvusIndex
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.testing import check_index
from tests.milvus_server import milvus_server

DIM = 16
numbers_of_libraries = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of a server for all tests."""
    with milvus_server(tmp_path_factory.mktemp("server") / "data") as uri:
        yield uri


@pytest.fixture(params=["file", "server"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of a library whose vectors lie in a file of its own, or in the server."""
    uri = request.getfixturevalue("server") if request.param == "server" else None
    return Settings(library=tmp_path, milvus_uri=uri)


@pytest.fixture
def make(settings: Settings) -> Iterator[Callable[..., MilvusIndex]]:
    """Make an index, by default of a library that is new."""
    made: list[MilvusIndex] = []

    def make(space: Space | None = None, **changes: Any) -> MilvusIndex:
        space = space or Space("0123456789abcdef", DIM)
        library = space.library or f"library{next(numbers_of_libraries)}"
        new = Space(space.fingerprint, space.dim, library)
        made.append(MilvusIndex(settings.model_copy(update=changes), new))
        return made[-1]

    yield make
    for index in made:
        index.close()


def test_the_index_keeps_the_contract(make: Callable[..., MilvusIndex]) -> None:
    assert isinstance(make(), SharedIndex)
    assert isinstance(make(), FilteringIndex)
    check_index(make)
