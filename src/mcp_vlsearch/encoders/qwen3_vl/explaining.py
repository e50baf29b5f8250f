"""Which part of a picture carries a match: what its parts alone would match.

The whole picture goes through the vision tower once, so that each image token knows what is around
it. Then the text layers read a window of the tokens at a time, as if the rest were not there, and
each window gets a vector of its own. A part is as hot as the windows over it match, in the mean.
Other ways were measured, see ``benchmarks/explain.py``: the cosine of single tokens' states, which
no training made vectors; gradients; attention; and leaving windows out, which costs a prompt in
full for each window (occlusion; Zeiler and Fergus, "Visualizing and Understanding Convolutional
Networks", 2014) where a window alone costs a few tokens.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["heat_of", "windows_of"]

_SHARES: Final = (0.25, 0.4)
"""Sides of windows as shares of the picture's shorter side."""
_ACROSS: Final = 8
"""Windows at most along the longer side; more would overlap nearly all."""
_FLAT: Final = 1e-4
"""Cosine by which the best part must exceed the mean to stand out."""

Windows = list[tuple[slice, slice]]


def windows_of(rows: int, columns: int) -> list[Windows]:
    """Return windows of two sizes over a grid, as slices of rows and columns."""
    sides = {max(1, round(share * min(rows, columns))) for share in _SHARES}
    return [
        [
            (slice(top, top + side), slice(left, left + side))
            for top in _starts(rows, side)
            for left in _starts(columns, side)
        ]
        for side in sorted(sides)
    ]


def heat_of(
    rows: int, columns: int, windows: Sequence[Windows], cosines: Sequence[NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Return the heat of each cell, shape (rows, columns), from the cosines of its windows.

    Of every size of windows the mean is taken off and the spread made one. 0 is what matches no
    better than the picture in the mean, 1 what matches most.
    """
    heat = np.zeros((rows, columns))
    flat = True
    for places, found in zip(windows, cosines, strict=True):
        sums, counts = np.zeros_like(heat), np.zeros_like(heat)
        for (down, across), cosine in zip(places, found, strict=True):
            sums[down, across] += cosine
            counts[down, across] += 1
        mean = sums / counts
        above = mean - mean.mean()
        flat &= bool(above.max() < _FLAT)
        heat += above / (above.std() or 1)
    if flat:
        return np.zeros((rows, columns), np.float32)
    hot = np.maximum(heat, 0)
    return np.asarray(hot / hot.max(), np.float32)


def _starts(length: int, side: int) -> list[int]:
    """Return where windows begin along one side, the first and the last at its ends."""
    count = max(min(length - side + 1, _ACROSS), -(-length // side))
    return sorted({int(start) for start in np.linspace(0, length - side, count).round()})
