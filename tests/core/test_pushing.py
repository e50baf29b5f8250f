"""An index that filters gets what it can tell of the filters, and the result is the same."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.indexes.milvus import MilvusIndex
from mcp_vlsearch.types import Filters, Near
from tests.core.conftest import paint
from tests.pictures import exif


@pytest.fixture
def pair(tmp_path: Path, photos: Path) -> Iterator[tuple[Library, Library]]:
    """One library, opened over FAISS and over a file of Milvus Lite."""
    for seed in range(10, 40):
        path = paint(photos / ("trip" if seed % 3 else "home") / f"{seed}.png", seed)
        picture = Image.open(path).resize((60 + seed % 4, 60 + seed % 3))
        tags = {271: "Canon" if seed % 2 else "NIKON", 36867: f"2020:01:{seed - 9:02} 12:00:00"}
        place = {1: "N", 2: (seed % 5, 0, 0), 3: "E", 4: (10, 0, 0)}
        picture.save(path, exif=exif(tags, place) if seed % 4 else b"")
    given: dict[str, Any] = {
        "library": tmp_path / "library",
        "encoder": "mosaic",
        "model": "colours",
    }
    with Library.open(**given, index="faiss") as one, Library.open(**given, **MILVUS) as other:
        one.allow([photos])
        one.index()
        yield one, other


MILVUS: dict[str, Any] = {"index": "milvus", "milvus_uri": ""}

FILTERS = {
    "size": Filters(min_width=62, min_height=61),
    "shape": Filters(orientation="portrait"),
    "format": Filters(format="PNG", camera="canon"),
    "time": Filters(taken_after=datetime(2020, 1, 5), taken_before=datetime(2020, 1, 20, 12)),
    "camera": Filters(camera="nik"),
    "a camera that SQL understands better": Filters(camera="n_k"),
    "nothing": Filters(min_width=5000),
    "place": Filters(near=Near(latitude=2, longitude=10, km=150)),
    "place and time": Filters(
        near=Near(latitude=2, longitude=10, km=150), taken_before=datetime(2020, 1, 20)
    ),
}


@pytest.mark.parametrize("root", ["", "trip"], ids=["whole", "fenced"])
def test_filters_find_the_same_over_either_index(
    pair: tuple[Library, Library], photos: Path, root: str
) -> None:
    roots = (photos / root,) if root else ()
    ours, other = (Library(one.settings.model_copy(update={"roots": roots})) for one in pair)
    with ours, other:
        for name, filters in FILTERS.items():
            for folder in (None, str(photos / "trip")):
                both = filters.model_copy(update={"folder": folder})
                one = ours.search_by_text("red", top_k=25, filters=both)
                two = other.search_by_text("red", top_k=25, filters=both)
                assert one.total_images == two.total_images
                assert one.searched_images == two.searched_images, name
                assert [hit.path for hit in one.hits] == [hit.path for hit in two.hits], name
                scores = [hit.score for hit in one.hits]
                assert [hit.score for hit in two.hits] == pytest.approx(scores, abs=1e-3)


def test_what_the_index_can_tell_is_not_asked_of_the_database(
    pair: tuple[Library, Library], photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    allowed = Catalog.allowed

    def spy(self: Catalog, condition: Any, fingerprint: str) -> Any:
        asked.append(condition.sql)
        return allowed(self, condition, fingerprint)

    monkeypatch.setattr(Catalog, "allowed", spy)
    for library in pair:
        library.search_by_text("red", filters=Filters(format="PNG", min_width=3))
    assert len(asked) == 1, "FAISS knows nothing of pictures"
    pair[1].search_by_text("red", filters=Filters(format="PNG", folder=str(photos)))
    assert "format" not in asked[1]


def test_pictures_that_come_change_and_go_are_found_alike(
    pair: tuple[Library, Library], photos: Path
) -> None:
    def found() -> list[list[tuple[str, int]]]:
        results = [library.search_by_text("lime", top_k=100) for library in pair]
        return [[(hit.path, hit.width) for hit in result.hits] for result in results]

    assert found()[0] == found()[1]
    (photos / "0.png").unlink()
    paint(photos / "home" / "12.png", 900)
    paint(photos / "new.png", 901)
    pair[0].index()
    ours, other = found()
    assert ours == other
    assert len(ours) == 40
    pair[0].index(force=True)
    ours, other = found()
    assert ours == other
    pair[0].remove([photos / "trip"])
    ours, other = found()
    assert ours == other


@pytest.mark.end_to_end
def test_the_index_is_the_one_that_was_chosen(
    library: Library, request: pytest.FixtureRequest
) -> None:
    library.index()
    library.search_by_text("red")
    assert library.status().index.name == request.config.getoption("--index")


def test_no_search_asks_for_more_than_the_index_can_find(
    pair: tuple[Library, Library], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MilvusIndex, "max_k", 15)
    ours, limited = pair
    for top_k, group in ((10, False), (100, False), (100, True)):
        whole, found = (
            [
                hit.image_id
                for hit in library.search_by_text("blue", top_k=top_k, group_by_file=group).hits
            ]
            for library in (ours, limited)
        )
        assert found == whole[: len(found)]
        assert len(found) == min(top_k, 15)
    without = limited.search_by_text("blue", top_k=100, exclude="red", group_by_file=True)
    assert without.total_images == 40
