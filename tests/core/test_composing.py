"""A picture and a text are one query, judged by what such queries find where nothing is right."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mcp_vlsearch.contracts import Query
from mcp_vlsearch.core.encoding import EncoderSlot
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.likeness import LookAlikes
from mcp_vlsearch.core.relevance import Background, judge
from tests.core.conftest import paint
from tests.core.mosaic import MosaicEncoder, vector_of
from tests.core.test_searching import by_hand, encode

pytestmark = pytest.mark.end_to_end


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Text of each query that the encoder gets, and whether it has a picture."""
    found: list[tuple[str, bool]] = []
    one = MosaicEncoder._query

    def counting(self: MosaicEncoder, query: Query) -> NDArray[np.float32]:
        found.append((query.text, query.image is not None))
        return one(self, query)

    monkeypatch.setattr(MosaicEncoder, "_query", counting)
    return found


def test_a_picture_with_text_is_one_composed_query(indexed: Library, photos: Path) -> None:
    path = photos / "0.png"
    result = indexed.search_by_image(str(path), text="lime", top_k=30)
    composed = encode(Query("lime", Image.open(path)))[0]
    others = [p for p, _ in by_hand(photos, composed) if p != str(path)]
    assert [hit.path for hit in result.hits] == others, "the given picture is no answer"
    assert [hit.rank for hit in result.hits] == list(range(1, 30))
    assert result.queries == ["lime"]
    few = indexed.search_by_image(str(path), text="lime", top_k=3)
    assert [hit.path for hit in few.hits] == others[:3]


@pytest.mark.parametrize("is_known", [True, False])
def test_an_encoder_that_does_not_compose_has_the_texts_part_added_to_the_picture(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch, is_known: bool
) -> None:
    monkeypatch.setattr(MosaicEncoder, "composes", False, raising=False)
    monkeypatch.setattr("mcp_vlsearch.core.searching.ANYTHING", "gray")
    path = photos / "0.png"
    if not is_known:
        path = path.rename(photos / "given.png")
    library.index()
    if not is_known:
        library.remove([path])
    result = library.search_by_image(str(path), text="lime", top_k=30)
    lime, anything = encode(Query("lime"), Query("gray"))
    together = vector_of(Image.open(path)) + lime - anything
    expected = by_hand(photos, together / np.linalg.norm(together))
    assert [hit.path for hit in result.hits] == [p for p, _ in expected if p != str(path)]


@pytest.mark.parametrize("composes", [True, False])
@pytest.mark.parametrize("is_known", [True, False])
def test_hits_of_a_composed_query_are_judged_by_its_own_look_alikes(
    indexed: Library, photos: Path, monkeypatch: pytest.MonkeyPatch, composes: bool, is_known: bool
) -> None:
    monkeypatch.setattr(MosaicEncoder, "composes", composes, raising=False)
    monkeypatch.setattr("mcp_vlsearch.core.searching.ANYTHING", "gray")
    path = photos / "0.png" if is_known else paint(photos / "new.png", 99)
    for part in (0.4, 0.7):  # what is asked for, more or less
        like = Image.blend(Image.open(path), Image.new("RGB", (64, 64), "lime"), part)
        like.save(photos / f"{part}.png")
    indexed.index([*photos.glob("0.?.png")])
    picture, lime, anything = vector_of(Image.open(path)), *encode(Query("lime"), Query("gray"))
    query = picture + lime if composes else picture + lime - anything
    query /= np.linalg.norm(query)
    found = indexed.search_by_image(str(path), text="lime", top_k=32).hits
    rows = np.stack([vector_of(Image.open(p)) for p in photos.rglob("*.png")])
    rows = rows if is_known else rows[[float(row @ picture) < 0.999 for row in rows]]
    assert len(rows) == 32
    likeness = LookAlikes(rows, 32).of_composed(query, picture)
    scores = np.sort(rows @ query)[::-1]
    every = dict(zip(scores, judge(scores, Background.of(rows @ query, 32, likeness)), strict=True))
    expected = [every[min(scores, key=lambda score: abs(score - hit.score))] for hit in found]
    assert [hit.relevance for hit in found] == expected
    assert len(set(expected)) > 1, "or the test tells nothing"


def test_the_picture_of_a_composed_query_is_encoded_alone_only_if_the_library_lacks_it(
    indexed: Library, photos: Path, asked: list[tuple[str, bool]]
) -> None:
    indexed.search_by_image(str(photos / "0.png"), text="lime")
    assert asked == [("lime", True)]
    indexed.search_by_image(str(paint(photos / "new.png", 99)), text="lime")
    assert asked[1:] == [("lime", True), ("", True)]


def test_a_known_picture_alone_asks_the_encoder_for_nothing(
    indexed: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the encoder was asked")

    monkeypatch.setattr(EncoderSlot, "encode_queries", refuse)
    assert indexed.search_by_image(str(photos / "0.png"), top_k=1).hits[0].score > 0.99
