"""A library of ten mosaics, with something beside it that nobody may see."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.plugins import BUILT_IN
from tests.core.conftest import paint
from tests.core.mosaic import MosaicEncoder


@pytest.fixture(autouse=True)
def mosaic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the encoder ``mosaic`` known."""
    monkeypatch.setitem(BUILT_IN["encoders"], "mosaic", "tests.core.mosaic:MosaicEncoder")
    monkeypatch.setattr(MosaicEncoder, "encoded", [])


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
