"""Which moments of a video to keep: where what is seen has changed, never more than asked for."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["APART", "AT_LEAST_EVERY", "CHANGE", "Look", "change", "moments"]

APART: Final = 1.0
"""Seconds between two moments, at least."""
AT_LEAST_EVERY: Final = 60.0
"""Seconds after which there is another moment, even if nothing has changed."""
CHANGE: Final = 0.12
"""Difference from the moment before, of 1, that makes a new one; cuts between scenes exceed it."""

_PLAIN: Final = 6.0
"""Spread of greys, of 255, below which a frame shows nothing: black, white, or a fade."""
_BINS: Final = 4
"""Parts into which each colour is divided for a histogram."""


class Look(NamedTuple):
    """What a video looks like at a time in seconds: a small picture, uint8, (height, width, 3)."""

    seconds: float
    pixels: NDArray[np.uint8]


def moments(looks: Iterable[Look], most: int) -> list[float]:
    """Return up to ``most`` times, in order, given looks at a video in the order of their times.

    The first is always there, then those that differ enough from the one before; if there are too
    many, those with the smallest changes go. Frames that show nothing count only where there is
    nothing else.
    """
    kept: list[tuple[float, Look]] = []
    plain: Look | None = None
    for look in looks:
        if look.pixels.mean(axis=2).std() < _PLAIN:
            plain = plain or look
        elif not kept:
            kept.append((np.inf, look))
        else:
            before = kept[-1][1]
            passed = look.seconds - before.seconds
            difference = change(before.pixels, look.pixels)
            if passed >= APART and (difference >= CHANGE or passed >= AT_LEAST_EVERY):
                kept.append((difference, look))
    if not kept and plain:
        return [plain.seconds]
    return sorted(look.seconds for _, look in _strongest(kept, most))


def change(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> float:
    """Return how much two small pictures of one size differ, from 0 to 1.

    That is the mean of two measures for shot boundaries (Boreczky and Rowe 1996): of how far
    their colours are apart, pixel by pixel, and of how much of their colour histograms does not
    overlap, which a moving camera changes little.
    """
    pixels = np.abs(before.astype(np.int16) - after).mean() / 255
    histograms = [_histogram(picture) for picture in (before, after)]
    return float(pixels + np.abs(histograms[0] - histograms[1]).sum() / 2) / 2


def _strongest(kept: Sequence[tuple[float, Look]], most: int) -> list[tuple[float, Look]]:
    return sorted(kept, key=lambda pair: -pair[0])[:most]


def _histogram(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the share of pixels of each coarse colour, shape (_BINS ** 3,)."""
    red, green, blue = (picture.reshape(-1, 3) // (256 // _BINS)).astype(np.intp).T
    counts = np.bincount((red * _BINS + green) * _BINS + blue, minlength=_BINS**3)
    return counts / len(red)
