"""A picture that breaks the encoder is left out, and the rest of its batch is not."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mcp_vlsearch.core.apart import encode_apart
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.errors import CancelledError, EncoderError, OutOfMemoryError, UnreachableError
from tests.core.conftest import paint
from tests.core.mosaic import MosaicEncoder, vector_of

Break = Callable[..., list[int]]


@pytest.fixture
def break_for(monkeypatch: pytest.MonkeyPatch) -> Break:
    """Return a function that makes the encoder raise an error at some pictures, or at all.

    It returns a list that gets the size of each batch that is tried.
    """
    works = MosaicEncoder.encode_images

    def break_for(error: Exception, *paths: Path) -> list[int]:
        tried: list[int] = []
        bad = [vector_of(Image.open(path)) for path in paths]

        def encode(self: MosaicEncoder, images: Sequence[Image.Image]) -> NDArray[np.float32]:
            tried.append(len(images))
            vectors = [vector_of(image) for image in images]
            if not paths or any(float(v @ b) > 0.999 for v in vectors for b in bad):
                raise error
            return works(self, images)

        monkeypatch.setattr(MosaicEncoder, "encode_images", encode)
        return tried

    return break_for


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("shapes\ndiffer"), "RuntimeError: shapes differ"),
        (EncoderError("http://there answered 500"), "http://there answered 500"),
    ],
)
def test_a_picture_that_breaks_the_encoder_fails_and_the_rest_is_indexed(
    library: Library, photos: Path, break_for: Break, error: Exception, words: str
) -> None:
    copy = Path(shutil.copy(photos / "trip" / "3.png", photos / "trip" / "3 again.png"))
    break_for(error, photos / "trip" / "3.png")
    report = library.index()
    assert (report.scanned, report.added, report.failed, report.encoded) == (11, 9, 2, 9)
    assert {failure.path for failure in report.failures} == {str(photos / "trip/3.png"), str(copy)}
    said = f"the encoder fails on this picture ({words})"
    assert {failure.error for failure in report.failures} == {said}
    for path in photos.rglob("*.png"):
        hits = library.search_by_text("red", top_k=100).hits
        assert (str(path) in {hit.path for hit in hits}) is ("3" not in path.name)


def test_no_picture_of_such_a_batch_gets_the_vector_of_another(
    library: Library, photos: Path, break_for: Break
) -> None:
    break_for(RuntimeError("no"), photos / "0.png", photos / "4.png")
    assert library.index().added == 8
    for path, (_, vector) in library.image_vectors(photos.rglob("*.png")).items():
        assert float(vector @ vector_of(Image.open(path))) > 0.999


def test_it_is_tried_again_at_the_next_run(
    library: Library, photos: Path, break_for: Break
) -> None:
    break_for(RuntimeError("no"), photos / "0.png")
    for _ in range(2):
        assert library.index().failed == 1
    break_for(RuntimeError("no"), paint(photos.parent / "elsewhere.png", 77))
    report = library.index()
    assert (report.added, report.unchanged, report.failed) == (1, 9, 0)


def test_a_picture_that_cannot_be_prepared_fails_alone_too(
    library: Library, photos: Path, break_for: Break, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = vector_of(Image.open(photos / "0.png"))

    def prepare(_: MosaicEncoder, image: Image.Image) -> Image.Image:
        if float(vector_of(image) @ bad) > 0.999:
            raise RuntimeError("no patches")
        return image

    monkeypatch.setattr(MosaicEncoder, "prepare", prepare, raising=False)
    break_for(RuntimeError("no patches"), photos / "0.png")
    report = library.index()
    assert (report.added, report.failed) == (9, 1)
    assert report.failures[0].path == str(photos / "0.png")


def test_it_keeps_the_vector_that_it_had(library: Library, photos: Path, break_for: Break) -> None:
    library.index()
    break_for(RuntimeError("no"), photos / "0.png")
    report = library.index(force=True)
    assert (report.unchanged, report.failed, report.total_images) == (9, 1, 10)
    assert library.search_by_text("red", top_k=100).total_images == 10


def test_a_file_that_changed_to_such_a_picture_is_no_longer_found_as_its_old_one(
    library: Library, photos: Path, break_for: Break
) -> None:
    library.index()
    break_for(RuntimeError("no"), paint(photos / "0.png", 77))
    for _ in range(2):
        report = library.index()
        assert (report.unchanged, report.failed, report.total_images) == (9, 1, 9)
        hits = library.search_by_text("red", top_k=100).hits
        assert str(photos / "0.png") not in {hit.path for hit in hits}
        assert library.status().failed == 1
    break_for(RuntimeError("no"), paint(photos.parent / "elsewhere.png", 78))
    report = library.index()
    assert (report.added, report.unchanged, report.failed) == (1, 9, 0)


def test_an_encoder_that_fails_at_every_picture_of_a_batch_stops_the_run(
    library: Library, photos: Path, break_for: Break
) -> None:
    library.index([photos / "trip"])
    tried = break_for(RuntimeError("the device is gone"))
    with pytest.raises(RuntimeError, match="the device is gone"):
        library.index()
    assert tried == [4, 1, 1, 1, 1]
    status = library.status()
    assert (status.images, status.failed) == (5, 0)


def test_a_single_picture_is_told_from_a_broken_encoder_by_a_plain_one(
    library: Library, photos: Path, break_for: Break
) -> None:
    tried = break_for(RuntimeError("no"), photos / "0.png")
    report = library.index([photos / "0.png"])
    assert (report.added, report.failed) == (0, 1)
    assert tried == [1, 1, 1]
    break_for(RuntimeError("the device is gone"))
    with pytest.raises(RuntimeError, match="the device is gone"):
        library.index([photos / "2.png"])


@pytest.mark.parametrize("error", [CancelledError("stop"), UnreachableError("nobody answers")])
def test_what_goes_wrong_meanwhile_is_not_taken_for_what_broke_the_encoder(
    error: Exception,
) -> None:
    answers = iter([RuntimeError("no"), RuntimeError("no"), error])

    def encode(_: Sequence[object]) -> NDArray[np.float32]:
        raise next(answers)

    with pytest.raises(type(error), match=str(error)):
        encode_apart([Image.new("RGB", (8, 8))], encode, lambda: (8, 8))


@pytest.mark.parametrize(
    "error",
    [OutOfMemoryError("too large"), UnreachableError("nobody answers"), MemoryError("none left")],
    ids=lambda error: type(error).__name__,
)
def test_what_no_picture_is_to_blame_for_stops_the_run_at_once(
    library: Library, photos: Path, break_for: Break, error: Exception
) -> None:
    tried = break_for(error, photos / "0.png")
    with pytest.raises(type(error), match=str(error)):
        library.index()
    assert tried == [4]


def test_a_model_that_does_not_load_is_not_tried_for_each_picture(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[int] = []

    def fail(_: MosaicEncoder) -> None:
        loads.append(1)
        raise EncoderError("damaged: download it again")

    monkeypatch.setattr(MosaicEncoder, "load", fail)
    with pytest.raises(EncoderError, match="damaged"):
        library.index()
    assert len(loads) <= 2
