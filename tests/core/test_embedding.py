"""One vector to look at is the one that the index holds, or that a search looks up."""

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.errors import ImageError, QueryError, RootError
from tests.core.conftest import paint
from tests.core.mosaic import MosaicEncoder, vector_of


def test_a_picture_has_the_vector_of_the_index_known_or_not(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    library.index()
    path = photos / "0.png"
    encoded = len(MosaicEncoder.encoded)
    [(image_id, vector)] = library.image_vectors([path]).values()
    for given in (str(path), image_id):
        made = library.embed(image=given)
        np.testing.assert_array_equal(made.vector, vector)
    assert len(MosaicEncoder.encoded) == encoded, "it is not encoded again"
    other = paint(tmp_path / "other.png", 77)
    made = library.embed(image=base64.b64encode(other.read_bytes()).decode())
    np.testing.assert_allclose(made.vector, vector_of(Image.open(other)), atol=1e-6)
    assert (made.encoder, made.model, made.precision, made.device) == (
        *("mosaic", "colours", "fp32", "cpu"),
    )
    assert made.fingerprint == library.status().spaces[0].fingerprint


def test_a_text_has_the_vector_of_a_search_also_in_an_empty_library(library: Library) -> None:
    made = library.embed("red")
    [expected] = library.query_vectors(["red"])
    np.testing.assert_allclose(made.vector, expected, atol=1e-6)
    assert abs(float(np.linalg.norm(made.vector)) - 1) < 1e-6


@pytest.mark.parametrize("composes", [True, False])
def test_a_text_and_a_picture_have_the_vector_by_which_they_are_searched_together(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch, composes: bool
) -> None:
    monkeypatch.setattr(MosaicEncoder, "composes", composes, raising=False)
    for module in ("embedding", "searching"):
        monkeypatch.setattr(f"mcp_vlsearch.core.{module}.ANYTHING", "gray")
    library.index()
    path = str(photos / "0.png")
    made = library.embed("red", image=path)
    for hit in library.search_by_image(path, text="red").hits:
        [(_, vector)] = library.image_vectors([Path(hit.path)]).values()
        assert hit.score == pytest.approx(float(vector @ made.vector), abs=1e-3)


def test_what_can_t_be_embedded_is_told(library: Library, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="give a text, a picture, or both"):
        library.embed("  ")
    with pytest.raises(RootError):
        library.embed(image=str(paint(tmp_path / "outside.png", 1)))
    with pytest.raises(ImageError):
        library.embed(image=base64.b64encode(b"no picture" * 20).decode())


def test_files_that_failed_are_listed_by_path_within_the_roots_of_the_settings(
    photos: Path, tmp_path: Path
) -> None:
    inside, outside = photos / "trip" / "a.png", photos / "z.png"
    for broken in (outside, inside):
        broken.write_bytes(b"no picture")
    flags: dict[str, Any] = {"encoder": "mosaic", "model": "colours"}
    with Library.open(tmp_path / "library", roots=(photos,), **flags) as library:
        library.index()
        failed = library.failures()
        assert [one.path for one in failed] == [str(inside), str(outside)]
        assert all(one.error for one in failed)
        assert library.failures(limit=1) == failed[:1]
    with Library.open(tmp_path / "library", roots=(inside.parent,), **flags) as fenced:
        assert fenced.failures() == failed[:1]
