"""Pictures that are mended first lie in a space of their own, and the encoder sees them mended."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mcp_vlsearch.contracts import Prepared, PreparingEncoder, Query
from mcp_vlsearch.core import scans
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.mending import MendedPicture, MendingEncoder, mended
from mcp_vlsearch.errors import MissingExtraError
from mcp_vlsearch.settings import Settings, load_settings
from tests.core.conftest import paint
from tests.core.mosaic import MosaicEncoder, vector_of
from tests.core.test_indexing import changes


@pytest.fixture
def negative(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let mending turn pictures into their negatives, which a vector shows."""
    monkeypatch.setattr(scans, "mend", lambda image: image.point(lambda value: 255 - value))


def settings(tmp_path: Path, prepare: str = "scans") -> Settings:
    return load_settings({"library": tmp_path, "encoder": "mosaic", "prepare": prepare}, {})


def picture(seed: int, folder: Path) -> Image.Image:
    return Image.open(paint(folder / f"{seed}.png", seed)).convert("RGB")


class _Packed:
    nbytes = 7

    def __init__(self, image: Image.Image) -> None:
        self.image = image


class AheadEncoder(MosaicEncoder):
    """Takes pictures in a form of its own."""

    def prepare(self, image: Image.Image) -> _Packed:
        assert image.size == self.target_size(*image.size)
        return _Packed(image)

    def encode_images(self, images: Sequence[Image.Image | _Packed]) -> NDArray[np.float32]:
        return super().encode_images([i.image if isinstance(i, _Packed) else i for i in images])


@pytest.mark.usefixtures("negative")
@pytest.mark.parametrize("kind", [MosaicEncoder, AheadEncoder])
def test_the_encoder_behind_sees_what_was_mended_once(
    tmp_path: Path, kind: type[MosaicEncoder]
) -> None:
    encoder = mended(kind)(settings(tmp_path))
    assert isinstance(encoder, PreparingEncoder)
    image = picture(1, tmp_path)
    negative = Image.fromarray(255 - np.asarray(image))
    ready: Prepared = encoder.prepare(image)
    assert isinstance(ready, MendedPicture)
    assert ready.nbytes > 0
    vectors = encoder.encode_images([ready, image])
    assert np.allclose(vectors, vector_of(negative), atol=0.02)
    composed = encoder.encode_queries([Query("", image), Query("red")])
    assert np.allclose(composed[0], vector_of(negative), atol=0.02)
    assert np.array_equal(composed[1], kind(settings(tmp_path)).encode_queries([Query("red")])[0])


def test_pictures_are_mended_finer_than_they_are_looked_at_and_not_larger_than_they_are(
    tmp_path: Path,
) -> None:
    encoder = MendingEncoder(MosaicEncoder(settings(tmp_path)))
    assert encoder.target_size(1000, 1000) == (128, 128)
    assert encoder.target_size(100, 80) == (100, 80)
    assert encoder.target_size(20, 10) == (20, 10)


def test_it_has_a_fingerprint_of_its_own(tmp_path: Path) -> None:
    own = MosaicEncoder(settings(tmp_path))
    assert mended(MosaicEncoder)(settings(tmp_path, "off")).fingerprint == own.fingerprint
    first, second = (mended(MosaicEncoder)(settings(tmp_path)).fingerprint for _ in range(2))
    assert first == second != own.fingerprint


@pytest.mark.usefixtures("negative")
def test_a_library_goes_over_to_mended_pictures_and_back(library: Library, photos: Path) -> None:
    library.index()
    folder = library.settings.library
    with Library.open(folder, prepare="scans") as other:
        assert changes(other.index()) == {"unchanged": 10, "encoded": 10}
        hit = other.search_by_image(str(photos / "0.png")).hits[0]
        assert hit.path == str(photos / "0.png")
    assert 'prepare = "scans"' in (folder / "config.toml").read_text()
    with Library.open(folder) as later:  # nobody tells it
        assert changes(later.index()) == {"unchanged": 10}
        assert {s.state: s.vectors for s in later.status().spaces} == {"searched": 10, "old": 10}
    with Library.open(folder, prepare="off") as back:
        assert changes(back.index()) == {"unchanged": 10}
    assert "prepare" not in (folder / "config.toml").read_text()
    with Library.open(folder) as last:
        spaces = [(s.state, s.prepare) for s in last.status().spaces]
        assert spaces == [("searched", "off"), ("old", "scans")]
    assert sum(MosaicEncoder.encoded) == 20


def test_without_opencv_it_says_what_to_install(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.delitem(sys.modules, "mcp_vlsearch.core.scans", raising=False)
    monkeypatch.delattr("mcp_vlsearch.core.scans", raising=False)
    with (
        Library.open(library.settings.library, encoder="mosaic", prepare="scans") as other,
        pytest.raises(MissingExtraError, match=r"pip install 'mcp-vlsearch\[scans\]'"),
    ):
        other.index()
