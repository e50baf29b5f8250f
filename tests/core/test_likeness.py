"""Look-alikes tell how far that stands out which a library has instead of the right picture."""

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mcp_vlsearch.core.likeness import FEWEST, Likeness, LookAlikes
from mcp_vlsearch.core.relevance import Background, judge

if TYPE_CHECKING:
    from numpy.typing import NDArray


def likeness(pictures: "NDArray[np.float32]", images: int) -> Likeness:
    """Return how look-alikes of pictures stand out."""
    return LookAlikes(pictures, images).of_pictures


def rows(seed: int, count: int, dim: int = 32) -> "NDArray[np.float32]":
    """Return random unit-norm rows."""
    found = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    unit: NDArray[np.float32] = found / np.linalg.norm(found, axis=1, keepdims=True)
    return unit


def standing_out_by_hand(
    pictures: "NDArray[np.float32]",
) -> "tuple[NDArray[np.float64], float]":
    """Return how far the nearest other picture stands out of all others, for each picture.

    Beside it, the usual spread of the middle half of a picture's scores.
    """
    others = [np.delete(pictures, n, axis=0) @ picture for n, picture in enumerate(pictures)]
    low, middle, high = np.quantile(others, (0.25, 0.5, 0.75), axis=1)
    usual = float(np.median(high - low))
    found = (np.max(others, axis=1) - middle) / ((high - low + usual / 2) / 1.5)
    return found, usual


def test_likeness_is_that_of_the_nearest_other_picture_of_each_picture() -> None:
    pictures = rows(0, 150)
    by_hand, usual = standing_out_by_hand(pictures)
    lowest, middle = np.quantile(by_hand, (0.05, 0.5))
    found = likeness(pictures, 150)
    assert found.lowest == pytest.approx(lowest, rel=1e-4)
    most = (middle + 0.7 * (middle - lowest)) * (1 + 7 / 150)
    assert found.most == pytest.approx(most, rel=1e-4)
    assert found.usual == pytest.approx(usual, rel=1e-4)


def test_a_score_stands_out_as_it_does_among_a_pictures_own_scores() -> None:
    pictures = rows(4, 200)
    by_hand, usual = standing_out_by_hand(pictures)
    others = np.delete(pictures, 0, axis=0) @ pictures[0]
    found = Background.of(others, 200, Likeness(usual=usual))
    assert found is not None
    assert found.standing_out(others.max(keepdims=True))[0] == pytest.approx(by_hand[0], rel=1e-4)


def test_look_alikes_are_nearer_in_a_library_that_is_larger_than_its_sample() -> None:
    sample = rows(1, 1000)
    known, larger, largest = (likeness(sample, images) for images in (1000, 10_000, 100_000))
    assert larger.most - known.most == pytest.approx((largest.most - known.most) / 2)
    assert larger.most - known.most == pytest.approx(larger.lowest - known.lowest)
    fewer = [standing_out_by_hand(rows(3 + seed, 250))[0] for seed in range(4)]
    grown = np.median(standing_out_by_hand(rows(2, 1000))[0]) - np.median(np.concatenate(fewer))
    assert likeness(sample, 4000).most - known.most == pytest.approx(grown, abs=0.1)


def test_copies_of_pictures_are_no_look_alikes() -> None:
    pictures = rows(5, 200)
    twice = np.concatenate([pictures, pictures])
    assert likeness(twice, 400).most < likeness(pictures, 200).most + 1


def test_look_alikes_of_too_few_pictures_tell_nothing() -> None:
    few = LookAlikes(rows(0, FEWEST - 1), 19)
    assert few.of_pictures == Likeness(most=np.inf)
    assert few.of_composed(few.rows[0], few.rows[1]) == few.of_pictures


def test_a_library_of_copies_can_call_nothing_strong() -> None:
    (one,) = rows(0, 1)
    copies = one + rows(1, 60) * 0.05
    copies /= np.linalg.norm(copies, axis=1, keepdims=True)
    picture, query = composed(9)
    alike = LookAlikes(copies, 60)
    for found in (alike.of_pictures, alike.of_composed(query, picture)):
        assert found.most == np.inf
        background = Background.of(copies @ query, 60, found)
        assert "strong" not in judge(np.sort(copies @ query)[::-1], background)
    larger = LookAlikes(np.concatenate([copies, rows(2, 40)]), 10_000)
    assert 0 < larger.of_pictures.most < np.inf
    assert 0 < larger.of_composed(query, picture).most < np.inf


def composed(seed: int, dim: int = 32) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
    """Return a picture, and the query that it and a text make."""
    picture, text = rows(seed, 2, dim)
    query = picture + text
    return picture, query / np.linalg.norm(query)


def far_by_hand(
    pictures: "NDArray[np.float32]",
    picture: "NDArray[np.float32]",
    query: "NDArray[np.float32]",
    usual: float,
) -> list[float]:
    """Return how far what each picture has for an answer stands out, in the given one's place."""
    share = query @ picture
    far = []
    for number, other in enumerate(pictures):
        asked = share * other + (query - share * picture)
        scores = np.delete(pictures, number, axis=0) @ (asked / np.linalg.norm(asked))
        low, middle, high = np.quantile(scores, (0.25, 0.5, 0.75))
        far.append((scores.max() - middle) / ((high - low + usual / 2) / 1.5))
    return far


def test_each_picture_takes_the_place_of_the_one_that_a_composed_query_changes() -> None:
    pictures = rows(0, 150)
    picture, query = composed(9)
    alike = LookAlikes(pictures, 150)
    found = alike.of_composed(query, picture)
    by_hand = far_by_hand(pictures, picture, query, alike.of_pictures.usual)
    lowest, common, middle, highest = np.quantile(by_hand, (0.05, 0.1, 0.5, 0.95))
    assert found.lowest == pytest.approx(lowest, rel=1e-4)
    assert found.common == pytest.approx(common, rel=1e-4)
    assert found.most == pytest.approx(
        (middle + 1.5 * (highest - middle)) * (1 + 7 / 150), rel=1e-4
    )
    assert found.usual == alike.of_pictures.usual


def test_a_text_that_changes_nothing_leaves_the_look_alikes_of_pictures() -> None:
    alike = LookAlikes(rows(0, 150), 150)
    (picture,) = rows(9, 1)
    assert alike.of_composed(picture, picture).lowest == pytest.approx(alike.of_pictures.lowest)


def test_copies_of_pictures_are_no_look_alikes_of_composed_queries() -> None:
    pictures = rows(5, 100)
    picture, query = composed(9)
    once = LookAlikes(pictures, 100).of_composed(query, picture)
    twice = LookAlikes(np.concatenate([pictures, pictures]), 200).of_composed(query, picture)
    assert twice.common < once.common + 0.5


def test_look_alikes_of_composed_queries_are_nearer_in_a_larger_library() -> None:
    sample = rows(1, 1000)
    picture, query = composed(9)
    known, larger, largest = (
        LookAlikes(sample, images).of_composed(query, picture) for images in (1000, 10_000, 100_000)
    )
    assert larger.lowest > known.lowest
    assert larger.most - known.most == pytest.approx((largest.most - known.most) / 2)
    assert larger.most - known.most == pytest.approx(larger.common - known.common)
