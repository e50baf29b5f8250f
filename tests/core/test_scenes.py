"""Moments are kept where what is seen changes, within bounds."""

import numpy as np
import pytest

from mcp_vlsearch.core.scenes import APART, AT_LEAST_EVERY, CHANGE, Look, change, moments


def look(seconds: float, seed: int, noise: int = 0) -> Look:
    pixels = np.random.default_rng(seed).integers(0, 256, (18, 32, 3), np.uint8)
    shaken = np.random.default_rng(round(seconds * 1000) + 1).integers(
        -noise, noise + 1, (18, 32, 3)
    )
    return Look(seconds, np.clip(pixels.astype(int) + shaken, 0, 255).astype(np.uint8))


def test_a_change_is_symmetric_none_for_the_same_and_one_for_opposites() -> None:
    a, b = look(0, 1).pixels, look(0, 2).pixels
    assert change(a, a) == 0
    assert change(a, b) == change(b, a) > CHANGE
    black, white = np.zeros((18, 32, 3), np.uint8), np.full((18, 32, 3), 255, np.uint8)
    assert change(black, white) == pytest.approx(1)


def test_noise_is_no_change() -> None:
    assert moments([look(n / 2, 1, noise=10) for n in range(60)], 99) == [0]


def test_a_scene_begins_where_it_is_seen_first() -> None:
    looks = [look(n / 2, n // 10, noise=5) for n in range(40)]
    assert moments(looks, 99) == [0, 5, 10, 15]


def test_moments_are_not_closer_than_allowed() -> None:
    found = moments([look(n / 10, n) for n in range(50)], 99)
    assert np.diff(found).min() >= APART


def test_what_never_changes_is_looked_at_now_and_then() -> None:
    found = moments([look(float(n), 1) for n in range(200)], 99)
    assert found == [0, AT_LEAST_EVERY, 2 * AT_LEAST_EVERY, 3 * AT_LEAST_EVERY]


def test_of_too_many_those_with_the_largest_changes_stay() -> None:
    black, white = np.zeros((18, 32, 3), np.uint8), np.full((18, 32, 3), 255, np.uint8)
    half, third, other = black.copy(), black.copy(), white.copy()
    half[:9], third[:6], other[0, :8] = white[:9], white[:6], 0
    looks = [Look(10.0 * n, picture) for n, picture in enumerate([half, third, other, half])]
    assert moments(looks, 99) == [0, 10, 20, 30]
    assert moments(looks, 3) == [0, 20, 30]


def test_nothing_seen_gives_nothing_and_plain_frames_are_a_last_resort() -> None:
    black = Look(0.0, np.zeros((18, 32, 3), np.uint8))
    assert moments([], 5) == []
    assert moments([black, Look(1.0, black.pixels)], 5) == [0]
    assert moments([black, look(1.0, 3)], 5) == [1]
