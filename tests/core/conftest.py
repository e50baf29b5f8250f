"""A library over a folder of random mosaics."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.plugins import BUILT_IN
from tests.core.mosaic import MosaicEncoder


def paint(path: Path, seed: int) -> Path:
    """Write a picture of 4 × 4 random colours."""
    colours = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(colours).resize((64, 64), Image.Resampling.NEAREST).save(path)
    return path


@pytest.fixture(autouse=True)
def mosaic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the encoder ``mosaic`` known and forget what it has encoded."""
    monkeypatch.setitem(BUILT_IN["encoders"], "mosaic", "tests.core.mosaic:MosaicEncoder")
    monkeypatch.setattr(MosaicEncoder, "encoded", [])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A root with ten pictures, some in a folder."""
    folder = tmp_path / "photos"
    for seed in range(10):
        paint(folder / ("trip" if seed % 2 else "") / f"{seed}.png", seed)
    return folder


@pytest.fixture
def library(tmp_path: Path, photos: Path) -> Iterator[Library]:
    """A library that may read the photos, with nothing indexed."""
    with Library.open(tmp_path / "library", encoder="mosaic", model="colours") as opened:
        opened.allow([photos])
        yield opened


@pytest.fixture
def indexed(library: Library, photos: Path) -> Library:
    """Thirty pictures, so that there is a bulk to stand out from."""
    for seed in range(10, 30):
        paint(photos / f"{seed}.png", seed)
    library.index()
    return library
