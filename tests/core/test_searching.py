"""Search returns what a plain comparison of all vectors returns, filters included."""

import base64
import os
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from PIL import Image

from mcp_vlsearch.contracts import Query
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.progress import silent
from mcp_vlsearch.core.requests import SearchRequest
from mcp_vlsearch.core.searching import Searcher
from mcp_vlsearch.core.spaces import OpenSpace
from mcp_vlsearch.errors import EncoderError, ImageError, PluginError, QueryError, RootError
from mcp_vlsearch.settings import load_settings
from mcp_vlsearch.types import Filters, MinRelevance, SearchResult
from tests.core.conftest import paint
from tests.core.mosaic import MosaicEncoder, vector_of

pytestmark = pytest.mark.end_to_end

Scored = list[tuple[str, float]]


def by_hand(photos: Path, query: "np.ndarray[tuple[int], np.dtype[np.float32]]") -> Scored:
    """Score every picture with NumPy, best first."""
    scores = {str(p): float(vector_of(Image.open(p)) @ query) for p in photos.rglob("*.png")}
    return sorted(scores.items(), key=lambda item: -item[1])


def paint_plain(path: Path, colour: str) -> None:
    """Write a picture of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 64), colour).save(path)


def encode(*queries: Query) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    """Encode queries as the library's encoder does."""
    return MosaicEncoder(load_settings()).encode_queries(queries)


def test_text_search_orders_all_pictures_as_a_plain_comparison_does(
    indexed: Library, photos: Path
) -> None:
    result = indexed.search_by_text("orange", top_k=30)
    expected = by_hand(photos, encode(Query("orange"))[0])
    assert [hit.path for hit in result.hits] == [path for path, _ in expected]
    np.testing.assert_allclose([h.score for h in result.hits], [s for _, s in expected], atol=2e-3)
    assert [hit.rank for hit in result.hits] == list(range(1, 31))
    assert (result.queries, result.total_images, result.searched_images) == (["orange"], 30, 30)


def test_no_score_is_above_that_of_a_picture_with_itself(indexed: Library, photos: Path) -> None:
    """Vectors in half precision may be a little longer than 1."""
    for path in photos.rglob("*.png"):
        best = indexed.search_by_image(str(path), top_k=1).hits[0].score
        assert 0.999 < best <= 1


def test_alternatives_are_searched_as_the_mean_of_all_phrasings(
    indexed: Library, photos: Path
) -> None:
    result = indexed.search_by_text("red", alternatives=["blue", "red", " "], top_k=30)
    assert result.queries == ["red", "blue"]
    mean = encode(Query("red"), Query("blue")).mean(axis=0)
    expected = by_hand(photos, mean / np.linalg.norm(mean))
    assert [hit.path for hit in result.hits] == [path for path, _ in expected]


def shown_by_hand(photos: Path, text: str) -> set[str]:
    """Return the pictures that score for a text two spreads or more above the library's middle."""
    scores = dict(by_hand(photos, encode(Query(text))[0]))
    low, middle = np.quantile(list(scores.values()), (0.1587, 0.5))
    return {path for path, score in scores.items() if score >= middle + 2 * (middle - low)}


def test_pictures_that_show_what_is_excluded_are_left_out(indexed: Library, photos: Path) -> None:
    """The others come in the order, and with the cosines, of the query without it."""
    for colour in ("gold", "ivory", "navy"):
        paint_plain(photos / f"{colour}.png", colour)
    indexed.index()
    result = indexed.search_by_text("red", exclude="yellow", top_k=40)
    shown = shown_by_hand(photos, "yellow")
    assert {Path(path).name for path in shown} >= {"gold.png"}
    assert len(shown) < 10
    expected = [(p, s) for p, s in by_hand(photos, encode(Query("red"))[0]) if p not in shown]
    assert [hit.path for hit in result.hits] == [path for path, _ in expected]
    np.testing.assert_allclose([h.score for h in result.hits], [s for _, s in expected], atol=2e-3)
    assert [hit.rank for hit in result.hits] == list(range(1, len(expected) + 1))
    plain = {hit.path: hit for hit in indexed.search_by_text("red", top_k=40).hits}
    assert all(hit.relevance == plain[hit.path].relevance for hit in result.hits)


def test_what_is_excluded_is_gone_though_all_of_the_best_show_it(
    indexed: Library, photos: Path
) -> None:
    """More of them than there are hits: others come up, among those that pass the filters."""
    for number in range(12):
        colour = f"rgb(255, {number}, 0)"
        paint_plain(photos / "red" / f"{number}.png", colour)
    indexed.index()
    assert {Path(h.path).parent.name for h in indexed.search_by_text("red").hits} == {"red"}
    left = indexed.search_by_text("orange", exclude="red").hits
    assert len(left) == 10
    assert "red" not in {Path(hit.path).parent.name for hit in left}
    filters = Filters(folder=str(photos / "trip"))
    inside = indexed.search_by_text("orange", exclude="red", filters=filters).hits
    assert {Path(hit.path).parent.name for hit in inside} == {"trip"}
    filters = Filters(folder=str(photos / "red"))
    assert indexed.search_by_text("orange", exclude="red", filters=filters).hits == []


def test_few_pictures_show_what_is_excluded_if_they_are_nearer_to_it(
    library: Library, photos: Path
) -> None:
    library.index()
    found = library.search_by_text("red", exclude="blue").hits
    wanted, unwanted = (dict(by_hand(photos, encode(Query(text))[0])) for text in ("red", "blue"))
    assert {hit.path for hit in found} == {p for p in wanted if unwanted[p] <= wanted[p]}
    assert 0 < len(found) < 10


def test_a_query_that_excludes_itself_is_refused_in_one_line(indexed: Library) -> None:
    for query, same in (("red", "red"), ("red", " #ff0000 ")):
        with pytest.raises(QueryError, match="asks for what it excludes") as caught:
            indexed.search_by_text(query, exclude=same)
        assert "\n" not in str(caught.value)
    assert indexed.search_by_text("red", alternatives=["blue"], exclude="red").hits


def test_what_a_ready_vector_finds_is_left_out_too_where_it_is_excluded(
    indexed: Library, photos: Path
) -> None:
    paint_plain(photos / "gold.png", "gold")
    indexed.index()
    vector = encode(Query("red"))[0]

    def found(exclude: str) -> list[str]:
        def search(space: OpenSpace) -> SearchResult:
            searcher = Searcher(space, indexed._catalog, indexed._encoder, None)
            return searcher.search(SearchRequest(vector=vector, exclude=exclude, top_k=40))

        return [hit.path for hit in indexed._spaces.run(search, silent).hits]

    shown = shown_by_hand(photos, "yellow")
    assert str(photos / "gold.png") in shown
    assert found("yellow") == [path for path in found("") if path not in shown]


def test_alternatives_that_are_one_text_are_refused(indexed: Library) -> None:
    with pytest.raises(QueryError, match="give a list of texts"):
        indexed.search_by_text("red", alternatives="blue")


def test_an_unknown_relevance_is_refused_with_those_there_are(
    indexed: Library, photos: Path
) -> None:
    unknown = cast("MinRelevance", "good")
    image = str(photos / "0.png")
    words = "is 'good': give any, likely or strong"
    with pytest.raises(QueryError, match=words):
        indexed.search_by_text("red", min_relevance=unknown)
    with pytest.raises(QueryError, match=words):
        indexed.search_by_image(image, min_relevance=unknown)


def test_seconds_are_those_of_the_whole_call(
    indexed: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0

    def rewrite(*_: object) -> list[str]:
        nonlocal now
        now += 7
        return []

    for module in ("reading", "searching"):
        clock = SimpleNamespace(monotonic=lambda: now)
        monkeypatch.setattr(f"mcp_vlsearch.core.{module}.time", clock)
    monkeypatch.setattr(indexed._rewriting, "rewrite", rewrite)
    assert indexed.search_by_text("red").seconds == 7


def test_a_picture_finds_itself_by_path_id_data_uri_and_base64(
    indexed: Library, photos: Path
) -> None:
    path = photos / "trip" / "3.png"
    packed = base64.b64encode(path.read_bytes()).decode()
    image_id = indexed.search_by_image(str(path)).hits[0].image_id
    forms = [str(path), image_id, f"data:image/png;base64,{packed}", packed, packed.rstrip("=")]
    for form in forms:
        hit = indexed.search_by_image(form, top_k=1).hits[0]
        assert (hit.path, hit.relevance) == (str(path), "strong")
        assert hit.score == pytest.approx(1, abs=2e-3)


def test_an_unknown_picture_is_encoded_upright_as_it_was_given(
    indexed: Library, photos: Path
) -> None:
    unknown = paint(photos / "unknown.png", 99)
    result = indexed.search_by_image(str(unknown), top_k=29)
    unknown_vector = vector_of(Image.open(unknown))
    unknown.unlink()
    expected = by_hand(photos, unknown_vector)
    assert [hit.path for hit in result.hits] == [path for path, _ in expected[:29]]


def test_filters_narrow_the_search_itself(indexed: Library, photos: Path) -> None:
    """The best of the folder are found even where better ones lie outside it."""
    result = indexed.search_by_text("red", top_k=3, filters=Filters(folder=str(photos / "trip")))
    expected = [p for p, _ in by_hand(photos / "trip", encode(Query("red"))[0])][:3]
    assert [hit.path for hit in result.hits] == expected
    assert (result.searched_images, result.total_images) == (5, 30)


def test_filters_that_nothing_meets_find_nothing(indexed: Library) -> None:
    result = indexed.search_by_text("red", filters=Filters(min_width=5000))
    assert (result.hits, result.searched_images) == ([], 0)


def test_least_relevance_cuts_the_tail(indexed: Library, photos: Path) -> None:
    everything = indexed.search_by_image(str(photos / "0.png"), top_k=30).hits
    strong = indexed.search_by_image(str(photos / "0.png"), top_k=30, min_relevance="strong").hits
    assert strong == [hit for hit in everything if hit.relevance == "strong"]
    assert 0 < len(strong) < len(everything)


def test_an_empty_library_finds_nothing_and_needs_no_model_for_that(
    library: Library, photos: Path
) -> None:
    image = str(photos / "0.png")
    for result in (
        library.search_by_text("red", alternatives=["lime"]),
        library.search_by_image(image),
        library.search_by_image(image, text="red"),
    ):
        assert (result.hits, result.total_images, result.searched_images) == ([], 0, 0)
    assert library.search_by_text("red", alternatives=["lime"]).queries == ["red", "lime"]
    assert library.status().encoder.state == "not loaded"
    with pytest.raises(QueryError, match="1 to 100"):
        library.search_by_text("red", top_k=0)
    with pytest.raises(RootError, match="outside the roots"):
        library.search_by_image("/etc/passwd")


@pytest.mark.parametrize(
    ("image", "error", "words"),
    [
        ("", QueryError, "no picture given"),
        ("0123456789abcdef", QueryError, "no image 0123456789abcdef"),
        ("#12", QueryError, "#12 is a place in a list: give the image_id"),
        ("http://127.0.0.1/x.png", QueryError, "not opened"),
        ("file:///etc/passwd", QueryError, "not opened"),
        ("/etc/passwd", RootError, "outside the roots"),
        ("data:image/png;base64,!!!!", QueryError, "base64"),
        ("data:image/png;base64,aGVsbG8=", ImageError, "picture"),
        ("a" * 5000, ImageError, "picture"),
        ("x\0.png", RootError, "not a path"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(
    indexed: Library, image: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        indexed.search_by_image(image)
    assert "\n" not in str(caught.value)


def test_a_missing_file_below_a_root_is_named(indexed: Library, photos: Path) -> None:
    with pytest.raises(ImageError):
        indexed.search_by_image(str(photos / "missing.png"))


def test_an_empty_query_and_a_wild_top_k_are_refused(indexed: Library) -> None:
    with pytest.raises(QueryError, match="empty"):
        indexed.search_by_text("  ")
    for top_k in (0, 101):
        with pytest.raises(QueryError, match="1 to 100"):
            indexed.search_by_text("red", top_k=top_k)


def test_an_unknown_rewriter_is_refused_with_the_names_there_are(indexed: Library) -> None:
    with pytest.raises(PluginError, match="there are: model, off, openai, template"):
        indexed.search_by_text("red", rewrite="nonsense")


def test_a_model_that_fails_to_load_fails_each_search_with_its_own_words(
    indexed: Library, tmp_path: Path
) -> None:
    assert indexed.status().images
    with Library.open(tmp_path / "library", encoder="mosaic", model="broken") as library:
        for _ in range(2):
            with pytest.raises(EncoderError, match="give another --model"):
                library.search_by_text("red")
        assert library.status().encoder.state == "failed"


def test_status_says_what_there_is_without_waiting_for_the_model(
    library: Library, photos: Path
) -> None:
    before = library.status()
    assert (before.images, before.encoder.state) == (0, "not loaded")
    library.index()
    after = library.status()
    assert (after.images, after.files, after.failed, after.index.vectors) == (10, 10, 0, 10)
    assert [(r.path, r.online, r.files) for r in after.roots] == [(str(photos), True, 10)]
    assert (after.encoder.state, after.encoder.dim) == ("ready", 49)
    assert after.database_bytes > 0


def test_a_server_with_roots_shows_nothing_that_lies_outside_them(
    indexed: Library, photos: Path, tmp_path: Path
) -> None:
    private = paint(tmp_path / "private" / "p.png", 3).parent
    with Library.open(tmp_path / "library", roots=[private]) as other:
        other.index([private])
        assert other.search_by_text("red", top_k=100).total_images == 30
        drawing = paint(private / "q.png", 1234)
        other.index([private])
        hidden = other.search_by_image(str(drawing), top_k=1).hits[0].image_id
    indexed.remove([photos])
    with Library.open(tmp_path / "library", roots=[photos / "trip"]) as fenced:
        fenced.index()
        result = fenced.search_by_text("red", top_k=100)
        assert {str(Path(hit.path).parent) for hit in result.hits} == {str(photos / "trip")}
        assert (result.total_images, result.searched_images) == (5, 5)
        assert all(other.startswith(str(photos)) for h in result.hits for other in h.other_paths)
        for outside in (private, tmp_path / "nowhere"):
            with pytest.raises(RootError, match=f"{outside}' lies outside the roots"):
                fenced.search_by_text("red", filters=Filters(folder=str(outside)))
        with pytest.raises(QueryError, match=f"no image {hidden} in this library"):
            fenced.search_by_image(hidden)


def test_a_picture_that_leaves_the_roots_is_found_there_no_more(
    indexed: Library, photos: Path, tmp_path: Path
) -> None:
    inside, outside = photos / "trip" / "1.png", photos / "copy.png"
    outside.write_bytes(inside.read_bytes())
    indexed.index()
    with Library.open(tmp_path / "library", roots=[photos / "trip"]) as fenced:
        fenced._catalog.remove_roots([str(photos)])
        assert len(fenced.search_by_text("red", top_k=100).hits) == 5
        fenced._catalog.forget([str(inside)])
        hits = fenced.search_by_text("red", top_k=100).hits
        assert len(hits) == 4
        assert str(inside) not in {hit.path for hit in hits}


def test_a_filter_sees_a_file_that_has_changed_only_outside(indexed: Library, photos: Path) -> None:
    """The picture stays, so the index has nothing to follow."""
    filters = Filters(modified_after=datetime(2030, 1, 1, tzinfo=UTC))
    assert not indexed.search_by_text("red", filters=filters).hits
    os.utime(photos / "0.png", (2**31, 2**31))
    indexed.index()
    assert [h.name for h in indexed.search_by_text("red", filters=filters).hits] == ["0.png"]


@pytest.mark.usefixtures("indexed")
def test_a_fenced_search_with_a_filter_finds_what_meets_both(photos: Path, tmp_path: Path) -> None:
    with Library.open(tmp_path / "library", roots=[photos / "trip"]) as fenced:
        fenced._catalog.remove_roots([str(photos)])
        result = fenced.search_by_text("red", top_k=100, filters=Filters(folder=str(photos)))
        assert {Path(hit.path).parent.name for hit in result.hits} == {"trip"}
        assert result.searched_images == len(result.hits) == 5


def test_a_search_asks_the_database_little(indexed: Library) -> None:
    image = indexed.search_by_text("red").hits[0].image_id
    asked: list[str] = []
    with indexed._database.read() as connection:
        connection.set_trace_callback(asked.append)
        indexed.search_by_image(image)
        connection.set_trace_callback(None)
    assert len(asked) <= 8, asked


def test_a_path_that_exists_no_more_is_not_shown_unless_all_are_gone(
    indexed: Library, photos: Path
) -> None:
    paths = [photos / name for name in ("0.png", "copy.png", "zz.png")]
    for copy in paths[1:]:
        copy.write_bytes(paths[0].read_bytes())
    indexed.index()
    image = indexed.search_by_image(str(paths[0])).hits[0].image_id

    def shown() -> list[str]:
        hit = indexed.search_by_image(image, top_k=1).hits[0]
        return [hit.path, *hit.other_paths]

    for gone, path in enumerate(paths):
        assert shown() == [str(p) for p in paths[gone:]]
        path.unlink()
    assert shown() == [str(p) for p in paths], "all of them may be on a drive that is not there"


def test_a_root_that_was_renamed_and_indexed_at_its_new_place_shows_no_dead_path(
    indexed: Library, photos: Path, tmp_path: Path
) -> None:
    renamed = photos.rename(tmp_path / "renamed")
    indexed.allow([renamed])
    indexed.index([renamed])
    hits = indexed.search_by_text("red", top_k=30).hits
    assert {Path(hit.path).relative_to(renamed).suffix for hit in hits} == {".png"}
    assert [hit.other_paths for hit in hits] == [[]] * 30


def test_a_folder_outside_the_roots_is_refused_unless_something_is_known_there(
    indexed: Library, photos: Path, tmp_path: Path
) -> None:
    private = paint(tmp_path / "private" / "p.png", 3).parent
    filters = Filters(folder=str(private))
    with pytest.raises(RootError, match="lies outside the roots"):
        indexed.search_by_text("red", filters=filters)
    with Library.open(tmp_path / "library", roots=[private]) as other:
        other.index([private])
    assert indexed.search_by_text("red", filters=filters).searched_images == 1
    for folder in (photos.parent, photos, photos / "no-such"):
        indexed.search_by_text("red", filters=Filters(folder=str(folder)))


def test_status_of_a_server_with_roots_counts_what_it_may_see(
    indexed: Library, photos: Path, tmp_path: Path
) -> None:
    (photos / "trip" / "broken.png").write_bytes(b"no picture")
    (photos / "trip" / "copy.png").write_bytes((photos / "0.png").read_bytes())
    indexed.index()
    indexed.remove([tmp_path / "nothing"])
    indexed._catalog.remove_roots([str(photos)])
    whole = indexed.status()
    assert (whole.images, whole.files, whole.failed, whole.index.vectors) == (30, 32, 1, 30)
    with Library.open(tmp_path / "library", roots=[photos / "trip"]) as fenced:
        for state in ("not loaded", "ready"):
            status = fenced.status()
            assert (status.images, status.files, status.failed) == (6, 7, 1)
            assert (status.index.vectors, status.encoder.state) == (6, state)
            assert [(root.path, root.files) for root in status.roots] == [(str(photos / "trip"), 7)]
            fenced.search_by_text("red")
    with Library.open(tmp_path / "library", roots=[photos]) as everything:
        assert everything.status().files == 32


def test_a_server_with_roots_forgets_and_counts_nothing_outside_them(
    indexed: Library, photos: Path, tmp_path: Path
) -> None:
    indexed._catalog.remove_roots([str(photos)])
    (photos / "trip" / "out").symlink_to(photos / "0.png")
    with Library.open(tmp_path / "library", roots=[photos / "trip"]) as fenced:
        for outside in (photos / "0.png", photos, photos / "trip" / ".." / "0.png", tmp_path / "x"):
            with pytest.raises(RootError, match="lies outside the roots"):
                fenced.remove([photos / "trip" / "1.png", outside])
        assert fenced.status().files == 5, "nothing is forgotten if one path is refused"
        assert fenced.remove([photos / "trip" / "out"]).removed == 0
        removed = fenced.remove([photos / "trip" / "1.png", photos / "trip" / "gone.png"])
        assert (removed.removed, removed.total_images) == (1, 4)
        assert removed.unknown == [str(photos / "trip" / "gone.png")]
        assert fenced.index([photos / "trip" / "1.png"]).total_images == 5
    assert indexed.status().files == 30


def test_reading_makes_no_library(tmp_path: Path, photos: Path) -> None:
    place = tmp_path / "nowhere" / "library"
    flags = {"encoder": "mosaic", "model": "colours"}
    with Library.open(place, roots=[photos], **flags) as library:
        assert library.status().images == 0
        assert not library.knows(photos)
        for result in (
            library.search_by_text("red", filters=Filters(folder=str(photos), min_width=3)),
            library.search_by_image(str(photos / "0.png")),
        ):
            assert (result.hits, result.total_images) == ([], 0)
        assert library.image_vectors([photos / "0.png"]) == {}
        assert not place.parent.exists()
        with Library.open(place, **flags) as other:
            other.allow([photos])
            assert other.index().added == 10
        assert library.search_by_text("red").total_images == 10, "it is there now"
        assert library.status().images == 10
    with Library.open(tmp_path / "third", **flags) as library:
        assert library.status().images == 0
        library.allow([photos])
        assert Library.is_at(tmp_path / "third")
        assert library.index().added == 10


def test_relevance_survives_a_forced_run_of_another_process(
    indexed: Library, tmp_path: Path
) -> None:
    before = indexed.search_by_text("red", top_k=30).hits
    assert {hit.relevance for hit in before} != {"likely"}
    with Library.open(tmp_path / "library") as other:
        other.index(force=True)
    assert indexed.search_by_text("red", top_k=30).hits == before


def test_vectors_that_are_not_of_norm_one_are_refused(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        MosaicEncoder,
        "encode_images",
        lambda _, images: np.full((len(images), 49), 1e6, np.float32),
    )
    with pytest.raises(EncoderError, match="norm"):
        library.index()
    assert library.status().images == 0
