"""A library of ten mosaics, with something beside it that nobody may see."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_vlsearch.core.library import Library
from tests.core.conftest import mosaic, paint

__all__ = ["library", "mosaic", "photos", "secret"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A root with four pictures, two of them in a folder."""
    folder = tmp_path / "photos"
    for seed in range(4):
        paint(folder / ("trip" if seed % 2 else "") / f"{seed}.png", seed)
    return folder


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A picture outside the roots, in a folder of its own."""
    return paint(tmp_path / "private" / "1.png", 99)


@pytest.fixture
def library(tmp_path: Path, photos: Path) -> Iterator[Library]:
    """A library with the photos indexed; the root is a fence, as that of a server is."""
    with Library.open(
        tmp_path / "library", encoder="mosaic", model="colours", roots=(photos,)
    ) as opened:
        opened.index()
        yield opened
