"""Which part of a picture carries a match: what its parts alone would match.

The whole picture goes through the vision tower once, so that each image token knows what is around
it. Then the text layers read a small window of the tokens at a time, as if the rest were not there,
and each window gets a vector of its own. A part is as hot as the windows there match the query
better than they match just any query.

Other ways were measured, see ``benchmarks/explain.py``: the cosine of single tokens' states, which
no training made vectors; gradients; attention; and leaving windows out, which costs a prompt in
full for each window (occlusion; Zeiler and Fergus, "Visualizing and Understanding Convolutional
Networks", 2014) where a window alone costs a few tokens.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mcp_vlsearch.encoders.qwen3_vl.pixels import Patches, PixelFormat

__all__ = ["ANY_QUERY", "finely", "heat_of", "windows_of"]

ANY_QUERY: Final = ("a picture", "a thing", "a background", "nothing")
"""Queries that ask for nothing: what matches these, too, tells nothing of a match."""
_CELLS: Final = 100
"""Cells that a picture has at least; a map of fewer points beside small things."""
_WINDOWS: Final = 12
"""Windows along each side, about; a window is as wide as a tenth of the shorter side."""
_FLAT: Final = 1e-4
"""Cosine by which the best part must exceed the mean to stand out."""

Window = tuple[slice, slice]


def finely(image: Image.Image, pixels: PixelFormat) -> Patches:
    """Return a picture's patches at the encoder's greatest size, or larger where that is small."""
    budget = max(pixels.max_pixels, _CELLS * pixels.cell**2)
    fine = replace(pixels, max_pixels=budget)
    grow = math.sqrt(budget / (image.width * image.height)) + 1e-6
    size = fine.target_size(math.ceil(image.width * grow), math.ceil(image.height * grow))
    return fine.patches(image.convert("RGB").resize(size, Image.Resampling(pixels.resample)))


def windows_of(rows: int, columns: int) -> list[Window]:
    """Return windows that cover a grid, as slices of rows and columns, all of one size."""
    side = max(1, round(min(rows, columns) / 10))
    return [
        (slice(top, top + side), slice(left, left + side))
        for top in _starts(rows, side)
        for left in _starts(columns, side)
    ]


def heat_of(
    rows: int, columns: int, windows: Sequence[Window], matches: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the heat of each cell, shape (rows, columns), from how well each window matches.

    A cell takes the mean of the windows around it, near ones counting most. 0 is what matches no
    better than the picture in the mean, 1 what matches most.
    """
    down = np.array([(w[0].start + w[0].stop - 1) / 2 for w in windows])
    across = np.array([(w[1].start + w[1].stop - 1) / 2 for w in windows])
    side = windows[0][0].stop - windows[0][0].start
    far = (np.arange(rows)[:, None, None] - down) ** 2 + (np.arange(columns)[:, None] - across) ** 2
    # from the nearest on, so that no cell is without weight
    weights = np.exp(-2 * (far - far.min(2, keepdims=True)) / side**2)
    heat = weights @ matches / weights.sum(2)
    above = np.maximum(heat - heat.mean(), 0)
    if above.max() < _FLAT:
        return np.zeros((rows, columns), np.float32)
    return np.asarray(above / above.max(), np.float32)


def _starts(length: int, side: int) -> list[int]:
    """Return where windows begin along one side, the first and the last at its ends."""
    count = max(min(length - side + 1, _WINDOWS), -(-length // side))
    return sorted({int(start) for start in np.linspace(0, length - side, count).round()})
