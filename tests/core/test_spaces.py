"""Two fingerprints side by side: the old one is searched until the new one is complete."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.progress import Progress, silent
from mcp_vlsearch.errors import CancelledError, EncoderChangedError, EncoderError, LibraryError
from mcp_vlsearch.plugins import BUILT_IN
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.types import SpaceStatus
from tests.core.conftest import paint
from tests.core.mosaic import MosaicEncoder, vector_of


class ModelEncoder(MosaicEncoder):
    """Every model and every choice makes a space of its own; some pictures can be refused."""

    refused: ClassVar[list[NDArray[np.float32]]] = []

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.name = "models"
        self.precision = "fp32" if settings.precision == "auto" else settings.precision
        self.fingerprint = f"{self.model} {self.precision} {settings.max_pixels}"

    def encode_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        vectors = super().encode_images(images)
        if self.model == "new" and any((vectors @ other > 0.999).any() for other in self.refused):
            raise EncoderError("this picture is too odd")
        return vectors


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BUILT_IN["encoders"], "models", "tests.core.test_spaces:ModelEncoder")
    monkeypatch.setattr(ModelEncoder, "refused", [])


def opened(folder: Path, **flags: object) -> Library:
    return Library.open(folder / "library", **flags)


@pytest.fixture
def old(tmp_path: Path, photos: Path) -> Path:
    """A library of ten pictures that the model "old" has encoded, with choices of its own."""
    with opened(tmp_path, encoder="models", model="old", max_pixels=8192) as library:
        library.allow([photos])
        assert library.index().encoded == 10
    return tmp_path


def index_anew(folder: Path, *paths: Path, model: str = "new") -> int:
    """Index with another model; return how many pictures it encoded."""
    with opened(folder, model=model) as library:
        return library.index(paths).encoded


def told(folder: Path) -> dict[str, SpaceStatus]:
    """Return by model what status says of each space, where nobody asks for a model."""
    with opened(folder) as library:
        return {space.model: space for space in library.status().spaces}


def found(folder: Path, **flags: object) -> tuple[str, int]:
    """Return which model a search runs with, and how many pictures it looks at."""
    with opened(folder, **flags) as library:
        total = library.search_by_text("red").total_images
        return library.status().encoder.model, total


def test_the_old_model_is_searched_until_the_new_one_has_every_picture(old: Path) -> None:
    assert index_anew(old, old / "photos" / "trip") == 5
    assert found(old) == ("old", 10)
    assert index_anew(old) == 5
    assert found(old) == ("new", 10)


def test_a_model_that_grows_is_searched_by_those_who_ask_for_it(old: Path) -> None:
    index_anew(old, old / "photos" / "trip")
    assert found(old, model="new") == ("new", 5)


def test_status_tells_both_and_how_far_the_new_one_is(old: Path) -> None:
    def brief() -> dict[str, tuple[str, int, int]]:
        return {name: (s.state, s.vectors, s.missing) for name, s in told(old).items()}

    assert brief() == {"old": ("searched", 10, 0)}
    index_anew(old, old / "photos" / "trip")
    assert brief() == {"old": ("searched", 10, 0), "new": ("growing", 5, 5)}
    index_anew(old)
    assert brief() == {"old": ("old", 10, 0), "new": ("searched", 10, 0)}
    space = told(old)["old"]
    assert (space.fingerprint, space.encoder) == ("old fp32 8192", "models")
    assert (space.precision, space.dim) == ("fp32", 49)


def test_status_of_a_server_with_roots_counts_only_what_lies_below_them(old: Path) -> None:
    index_anew(old, old / "photos" / "trip")
    with opened(old, roots=[old / "photos" / "trip"]) as library:
        new = library.status().spaces[1]
        assert (new.vectors, new.missing) == (5, 5), "the library's own roots count, too"
        library.remove([old / "photos"])
        library.index()
        assert [space.vectors for space in library.status().spaces] == [5, 5]


def test_a_run_that_was_stopped_goes_on_and_the_library_goes_over_when_it_is_done(
    old: Path,
) -> None:
    def stop(progress: Progress) -> None:
        if progress.total and progress.done >= 4:
            raise CancelledError("stopped")

    with opened(old, model="new") as library, pytest.raises(CancelledError):
        library.index(report=stop)
    assert found(old) == ("old", 10)
    assert index_anew(old) == 6
    assert found(old) == ("new", 10)


def test_a_picture_that_fails_in_the_new_model_holds_nothing_up(old: Path) -> None:
    with Image.open(old / "photos" / "0.png") as odd:
        ModelEncoder.refused.append(vector_of(odd))
    assert index_anew(old) == 9
    assert found(old) == ("new", 9)
    assert (told(old)["new"].missing, told(old)["old"].missing) == (0, 0)


def test_pictures_that_are_offline_are_waited_for(old: Path) -> None:
    trip = old / "photos" / "trip"
    with opened(old) as library:
        library.allow([trip])
    trip.rename(old / "unplugged")
    assert index_anew(old) == 5
    assert found(old) == ("old", 10)
    assert told(old)["new"].missing == 5
    (old / "unplugged").rename(trip)
    assert index_anew(old) == 5
    assert found(old) == ("new", 10)


def test_each_model_learns_of_new_pictures_when_it_is_indexed_with(old: Path) -> None:
    index_anew(old, old / "photos" / "trip")
    paint(old / "photos" / "trip" / "by-new.png", 90)
    assert index_anew(old, old / "photos" / "trip") == 1
    assert found(old) == ("old", 10), "the old model has not seen it"
    assert told(old)["old"].missing == 1
    paint(old / "photos" / "by-old.png", 91)
    with opened(old) as library:
        assert library.index().encoded == 2
    assert found(old) == ("old", 12)
    assert told(old)["new"].missing == 6
    assert index_anew(old) == 6
    assert found(old) == ("new", 12)


def test_a_server_follows_to_the_new_model_when_that_is_complete(old: Path) -> None:
    photo = str(old / "photos" / "0.png")
    with opened(old) as server, opened(old, model="old") as asked, opened(old) as idle:
        for library in (server, asked):
            assert library.search_by_text("red").total_images == 10
        index_anew(old, old / "photos" / "trip")
        assert server.search_by_text("red").total_images == 10
        assert server.status().encoder.model == "old"
        index_anew(old)
        assert server.search_by_image(photo).hits[0].path == photo
        assert server.search_by_text("red").total_images == 10
        assert asked.search_by_text("red").total_images == 10
        models = [library.status().encoder.model for library in (server, asked, idle)]
        assert models == ["new", "old", "new"]
        assert server.index().encoded == 0


def test_a_search_that_meets_the_change_is_done_again(old: Path) -> None:
    with opened(old) as library:
        seen: list[str] = []

        def work(_: object) -> str:
            seen.append(library.status().encoder.model)
            if len(seen) == 1:
                raise EncoderChangedError("the library went over")
            return "done"

        assert library._spaces.run(work, silent) == "done"
        assert len(seen) == 2


def test_going_back_encodes_nothing_and_restores_the_choices_of_the_old_model(old: Path) -> None:
    index_anew(old)
    with opened(old) as library:
        assert (library.settings.model, library.settings.max_pixels) == ("new", None)
    assert index_anew(old, model="old") == 0
    with opened(old) as library:
        assert (library.settings.model, library.settings.max_pixels) == ("old", 8192)
    assert told(old)["new"].state == "old"


def test_a_fingerprint_is_gone_back_to_by_its_name(old: Path) -> None:
    index_anew(old)
    with opened(old) as server:
        server.search_by_text("red")
        status = server.cache.use("old")
        assert (status.state, status.missing) == ("searched", 0)
        server.search_by_text("red")
        assert server.status().encoder.model == "old"
    assert found(old) == ("old", 10)
    with opened(old) as library:
        assert library.settings.precision == "fp32"
        with pytest.raises(LibraryError, match="no fingerprint begins with 'other'"):
            library.cache.use("other")


def test_another_precision_of_the_same_model_is_gone_over_to_when_it_is_complete(
    old: Path,
) -> None:
    with opened(old, precision="bf16") as library:
        library.index([old / "photos" / "trip"])
    paint(old / "photos" / "new.png", 77)
    with opened(old) as library:
        assert library.index().encoded == 1
        assert library.status().encoder.precision == "fp32"
    with opened(old, precision="bf16") as library:
        assert library.index().encoded == 6
    with opened(old) as library:
        assert library.search_by_text("red").total_images == 11
        assert library.status().encoder.precision == "bf16"


def test_a_precision_that_grows_is_not_searched_for_having_more_pictures(old: Path) -> None:
    for seed in range(60, 72):
        paint(old / "more" / f"{seed}.png", seed)
    with opened(old, precision="bf16") as library:
        library.allow([old / "more"])
        assert library.index([old / "more"]).encoded == 12
    with opened(old) as library:
        assert library.search_by_text("red").total_images == 10
        assert library.status().encoder.precision == "fp32"


def test_what_people_wrote_into_the_config_stays(old: Path) -> None:
    config = old / "library" / "config.toml"
    config.write_text(f"# mine\nrewrite = 'template'\n{config.read_text()}")
    index_anew(old)
    assert config.read_text().startswith("# mine\nrewrite = 'template'\n")
    with opened(old) as library:
        assert (library.settings.rewrite, library.settings.model) == ("template", "new")


def test_a_library_that_was_emptied_goes_over_at_once(old: Path) -> None:
    with opened(old) as library:
        library.remove([old / "photos"])
        library.allow([old / "photos"])
    with opened(old, model="new") as library:
        library.index([old / "photos" / "trip"])
    assert found(old) == ("new", 5)


def test_choices_of_the_pinned_model_say_nothing_about_another_one(old: Path) -> None:
    with opened(old, model="new") as library:
        assert library.settings.max_pixels is None
    with opened(old, model="old") as library:
        assert library.settings.max_pixels == 8192
