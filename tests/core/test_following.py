"""What precision auto chose for a library's first pictures holds for all that follow."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mcp_vlsearch.contracts import Query
from mcp_vlsearch.core import encoding
from mcp_vlsearch.core.encoding import EncoderSlot
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.progress import Progress, silent
from mcp_vlsearch.errors import EncoderError
from mcp_vlsearch.pins import pin_encoder
from mcp_vlsearch.plugins import BUILT_IN
from mcp_vlsearch.settings import Settings, load_settings
from tests.core.conftest import paint
from tests.core.mosaic import MosaicEncoder


class ChoosingEncoder(MosaicEncoder):
    """Precision auto is whatever fits now; vectors of each precision are a space of their own."""

    fits: ClassVar[str] = "bf16"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.name = "choosing"
        self.precision = self.fits if settings.precision == "auto" else settings.precision
        self.fingerprint = f"{self.model} {self.precision}"


@pytest.fixture(autouse=True)
def choosing(monkeypatch: pytest.MonkeyPatch) -> None:
    target = "tests.core.test_following:ChoosingEncoder"
    monkeypatch.setitem(BUILT_IN["encoders"], "choosing", target)
    monkeypatch.setattr(ChoosingEncoder, "fits", "bf16")


@pytest.fixture
def first(tmp_path: Path, photos: Path) -> Path:
    """A library whose pictures were encoded in bf16, which auto chose; now only int8 fits."""
    with opened(tmp_path) as library:
        library.allow([photos])
        assert library.index().encoded == 10
    ChoosingEncoder.fits = "int8"
    return tmp_path


def opened(folder: Path, **flags: object) -> Library:
    return Library.open(folder / "library", **{"encoder": "choosing", "model": "colours"} | flags)


def precision_of(library: Library) -> str:
    return library.status().encoder.precision


@pytest.mark.parametrize("flags", [{}, {"precision": "auto"}], ids=["unset", "asked for"])
def test_later_runs_keep_what_auto_chose_first_whatever_fits_now(
    first: Path, flags: dict[str, str]
) -> None:
    with opened(first, **flags) as library:
        assert precision_of(library) == "bf16", "known before anything is loaded"
        paint(first / "photos" / "new.png", 99)
        assert library.index().encoded == 1
        assert library.search_by_text("red").total_images == 11
        assert precision_of(library) == "bf16"


def test_a_precision_that_is_asked_for_is_obeyed(first: Path) -> None:
    with opened(first, precision="nf4") as library:
        assert library.index().encoded == 10
        assert precision_of(library) == "nf4"


@pytest.mark.parametrize(("chosen", "asked"), [("bf16", "nf4"), ("nf4", "bf16")])
def test_auto_goes_on_with_the_precision_that_all_was_indexed_in_last(
    tmp_path: Path, photos: Path, chosen: str, asked: str
) -> None:
    ChoosingEncoder.fits = chosen
    with opened(tmp_path) as library:
        library.allow([photos])
        library.index()
    with opened(tmp_path, precision=asked) as library:
        assert library.index().encoded == 10
    with opened(tmp_path) as library:
        assert library.index().encoded == 0
        assert precision_of(library) == asked


def test_a_precision_that_was_tried_on_one_folder_changes_nothing_for_auto(first: Path) -> None:
    with opened(first, precision="nf4") as library:
        assert library.index([first / "photos" / "trip"]).encoded == 5
    with opened(first) as library:
        assert precision_of(library) == "bf16"
        assert library.search_by_text("red").total_images == 10


def test_a_library_that_was_emptied_finds_its_cached_vectors_again(first: Path) -> None:
    photos = first / "photos"
    with opened(first) as library:
        library.remove([photos])
    with opened(first) as library:
        library.allow([photos])
        assert library.index().encoded == 0


def test_another_model_or_encoder_chooses_for_itself(first: Path) -> None:
    with opened(first, model="shapes") as library:
        library.index()
        assert precision_of(library) == "int8"
    with opened(first, encoder="mosaic") as library:
        library.index()
        assert precision_of(library) == "fp32"
    with opened(first) as library:
        assert precision_of(library) == "bf16"


def test_a_server_that_loaded_before_anything_was_indexed_takes_the_precision_of_the_first_index(
    tmp_path: Path, photos: Path
) -> None:
    with opened(tmp_path) as server:
        server.query_vectors(["red"])
        assert precision_of(server) == "bf16"
        ChoosingEncoder.fits = "int8"
        with opened(tmp_path) as other:
            other.allow([photos])
            other.index()
        assert server.search_by_text("red").total_images == 10
        assert precision_of(server) == "int8"
        assert server.index().encoded == 0


def test_a_server_that_loaded_before_anything_was_indexed_takes_the_model_of_the_first_index(
    tmp_path: Path, photos: Path
) -> None:
    settings = load_settings({"library": tmp_path / "library"}, environment={})
    with Library(settings, ChoosingEncoder) as server:
        server.query_vectors(["red"])
        assert server.status().encoder.model == settings.model
        with opened(tmp_path) as other:
            other.allow([photos])
            other.index()
        assert server.search_by_text("red").total_images == 10
        assert server.status().encoder.model == "colours"


def test_what_another_first_indexer_pinned_holds_even_if_it_indexed_nothing(
    tmp_path: Path, photos: Path
) -> None:
    settings = load_settings({"library": tmp_path / "library"}, environment={})
    with Library(settings, ChoosingEncoder) as server:
        server.allow([photos])
        server._encoder.known(silent)
        pin_encoder(opened(tmp_path).settings)
        server.index()
        assert server.status().encoder.model == "colours"


def test_of_two_first_indexers_the_second_takes_the_precision_of_the_first(
    tmp_path: Path, photos: Path
) -> None:
    with opened(tmp_path) as one, opened(tmp_path) as two:
        one.allow([photos])
        one._encoder.known(silent)
        ChoosingEncoder.fits = "int8"
        two._encoder.known(silent)
        one.index()
        assert two.index().encoded == 0
        assert precision_of(two) == "bf16"


def test_no_vector_of_another_encoder_is_taken_for_one_of_the_encoder_that_was_expected(
    tmp_path: Path,
) -> None:
    settings = load_settings({"library": tmp_path, "encoder": "choosing"}, environment={})
    settled = settings
    slot = EncoderSlot(settings, ChoosingEncoder, lambda _: settled)
    before = slot.known(silent).fingerprint
    assert len(slot.encode_queries([Query("red")], silent, before)) == 1
    settled = settings.model_copy(update={"precision": "int8"})
    assert slot.follow()
    with pytest.raises(EncoderError, match=r"went over to .* in int8 meanwhile: try again"):
        slot.encode_queries([Query("red")], silent, before)
    with pytest.raises(EncoderError, match="in int8"):
        slot.encode_images([Image.new("RGB", (8, 8))], silent, before)
    now = slot.known(silent).fingerprint
    assert len(slot.encode_images([Image.new("RGB", (8, 8))], silent, now)) == 1


def test_an_index_run_stores_nothing_once_the_encoder_is_another(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path) as library:
        library.allow([photos])
        slot = library._encoder
        asked = library.settings.model_copy(update={"precision": "int8"})
        plain = ChoosingEncoder.encode_images

        def switch(self: ChoosingEncoder, images: Sequence[Image.Image]) -> NDArray[np.float32]:
            vectors = plain(self, images)
            monkeypatch.setattr(slot, "_follow", lambda: asked)
            slot.follow()
            return vectors

        monkeypatch.setattr(ChoosingEncoder, "encode_images", switch)
        with pytest.raises(EncoderError, match="in int8 meanwhile"):
            library.index()
        assert library.status().images == 4, "the batch that was encoded before"


class SlowEncoder(ChoosingEncoder):
    """Loads in bf16 only when the test lets it."""

    gate = threading.Event()

    def load(self) -> None:
        if self.precision == "bf16":
            assert self.gate.wait(60)


def test_an_encoder_that_is_still_loading_when_another_is_asked_for_does_not_come_back(
    tmp_path: Path,
) -> None:
    settings = load_settings({"library": tmp_path, "encoder": "choosing"}, environment={})
    settled = settings
    slot = EncoderSlot(settings, SlowEncoder, lambda _: settled)
    assert slot.known(silent).precision == "bf16"
    loading = [thread for thread in threading.enumerate() if thread.name == "encoder"]
    settled = settings.model_copy(update={"precision": "int8"})
    assert slot.follow()
    assert slot.ready(silent).precision == "int8"
    SlowEncoder.gate.set()
    for thread in loading:
        thread.join()
    assert slot.ready(silent).precision == "int8"
    assert not slot.follow()


def test_while_the_model_loads_progress_says_its_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "_HEARTBEAT", 0.01)
    settings = load_settings({"library": tmp_path, "encoder": "choosing"}, environment={})
    gate = threading.Event()

    class Waiting(ChoosingEncoder):
        def load(self) -> None:
            assert gate.wait(60)

    said: list[str] = []

    def report(progress: Progress) -> None:
        said.append(progress.message)
        gate.set()

    slot = EncoderSlot(settings, Waiting)
    slot.known(silent)
    slot.ready(report)
    assert said[0] == "loading the encoder choosing in bf16 on cpu, 1 s"
