"""Pictures as the patches that the vision tower reads.

Number by number what transformers' ``Qwen2VLImageProcessorPil`` makes of a picture, but as bytes:
a quarter of the memory to move, and a still picture's frame once instead of twice.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["Patches", "PixelFormat"]

_MAX_ASPECT: Final = 200


@dataclass(frozen=True)
class Patches:
    """One picture: ``values`` uint8 of shape (rows · columns, 3, side, side).

    Patches that are merged into one token lie together, as the vision tower wants them.
    """

    values: NDArray[np.uint8]
    rows: int
    columns: int

    @property
    def nbytes(self) -> int:
        """Bytes of memory: three a pixel."""
        return self.values.nbytes


@dataclass(frozen=True)
class PixelFormat:
    """How a checkpoint wants pictures; ``mean`` and ``std`` are of values from 0 to 1."""

    patch: int
    merge: int
    temporal: int
    min_pixels: int
    max_pixels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resample: int

    @property
    def cell(self) -> int:
        """Side in pixels of the square that becomes one token."""
        return self.patch * self.merge

    def target_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the size, in multiples of a cell and within the budget, nearest in shape.

        This is Qwen's smart resize, with three corners cut so that the budget always holds and a
        resized picture is at its target: pictures longer than 200:1 count as 200:1, the long side
        of a picture one cell high is cut, and the least budget is at most a quarter of the
        greatest.
        """
        cell = self.cell
        width, height = min(width, _MAX_ASPECT * height), min(height, _MAX_ASPECT * width)
        greatest = max(self.max_pixels, 4 * cell * cell)
        least = max(min(self.min_pixels, greatest // 4), cell * cell)
        columns, rows = round(width / cell), round(height / cell)
        area = columns * rows * cell * cell
        if area > greatest:
            shrink = math.sqrt(width * height / greatest)
            columns = max(1, math.floor(width / shrink / cell))
            rows = max(1, math.floor(height / shrink / cell))
        elif area < least:
            grow = math.sqrt(least / (width * height))
            columns, rows = math.ceil(width * grow / cell), math.ceil(height * grow / cell)
        short = min(columns, rows)
        longest = min(greatest // (cell * cell) // short, _MAX_ASPECT * short)
        return min(columns, longest) * cell, min(rows, longest) * cell

    def image_tokens(self, picture: Patches) -> int:
        """Return how many tokens a picture becomes."""
        return len(picture.values) // self.merge**2

    def patches(self, image: Image.Image) -> Patches:
        """Resize a picture to its target size, unless it has it, and cut it into patches."""
        if image.mode != "RGB":
            image = image.convert("RGB")
        size = self.target_size(*image.size)
        if image.size != size:
            image = image.resize(size, Image.Resampling(self.resample))
        side, merge = self.patch, self.merge
        columns, rows = size[0] // side, size[1] // side
        pixels = np.asarray(image).reshape(
            rows // merge, merge, side, columns // merge, merge, side, 3
        )
        values = pixels.transpose(0, 3, 1, 4, 6, 2, 5).reshape(rows * columns, 3, side, side)
        return Patches(np.ascontiguousarray(values), rows, columns)
