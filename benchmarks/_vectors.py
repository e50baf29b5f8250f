"""Unit vectors that are spread as a picture encoder's are, at any count and dimension.

Random noise would be unfair to every index: all its neighbours are equally far. Embeddings lie in
clusters of very different sizes, in few of their directions, around a mean that is far from zero.
So a row here is

    normalised( mean + (subject + theme + its own part) · rotation )

A *subject* is one of :data:`SUBJECTS` broad clusters, a *theme* one of :data:`THEMES` within it,
both with Zipf's sizes, so that a larger library has more of the rare ones. All three parts are
normal, with variances that fall with the rank of a direction, slowly at first and steeply from a
quarter of the dimension on. The rotation leaves no direction along an axis. Rows come in random
order, not by cluster.

The constants are fitted to what the built-in model ``storybook`` gives, in 256 dimensions, for
4,000 scenes and their captions. Means, spectrum and the agreement of captions with their pictures
were read off; clusters were searched at random for the least mean difference of the quantiles (10,
50, 90 %) of the cosines of nearest neighbours among the first 500, 1,000, 2,000 and 4,000, and of
random pairs. ``python -m benchmarks.vectors`` encodes scenes again and prints both side by side.
Other dimensions have the same clusters, and use as large a share of their directions, which is
rather more than a model does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Vectors", "World"]

Vectors = NDArray[np.float32]

BLOCK: Final = 8192
"""Rows made at a time."""

SUBJECTS: Final = 64
THEMES: Final = 256
ZIPF: Final = 0.7
"""How fast clusters get smaller by their rank."""
SHARES: Final = (0.35, 0.36, 0.29)
"""Of the variance: between subjects, between the themes of one, within a theme."""

DECAY: Final = 0.35
"""The variance of the n-th direction is n to the power of minus this …"""
END: Final = 0.265
"""… up to this share of the directions; after that it is soon next to nothing."""
STEEPNESS: Final = 6

MEAN: Final = 0.366
"""Length of the mean of all pictures."""
TEXT_MEAN: Final = 0.461
"""Length of the mean of all texts, which is at right angles to that of pictures."""
TEXT_AGREES: Final = 0.754
"""Cosine of a text's own part (without the mean) to that of the picture that it describes."""


@dataclass(frozen=True)
class World:
    """All pictures that there may be, and queries for them; ``seed`` says which world it is.

    The first rows are the same however many are asked for.
    """

    dim: int
    seed: int = 0

    def pictures(self, count: int) -> Vectors:
        """Return unit-norm rows, shape (count, dim)."""
        rows = np.empty((count, self.dim), np.float32)
        done = 0
        for block in self.blocks(count):
            rows[done : done + len(block)] = block
            done += len(block)
        return rows

    def blocks(self, count: int) -> Iterator[Vectors]:
        """Yield what :meth:`pictures` returns, in blocks of at most :data:`BLOCK` rows."""
        for first in range(0, count, BLOCK):
            parts = self._parts(BLOCK, "pictures", first // BLOCK)
            yield self._placed(parts[: count - first], self._means[0], MEAN)

    def queries(self, count: int, kind: Literal["picture", "text"]) -> Vectors:
        """Return unit-norm queries, shape (count, dim).

        Those of a *picture* are further rows of the same world. Those of a *text* have a mean of
        their own, and agree only in part with a further row, the picture that they describe.
        """
        wanted = self._parts(count, "queries", 0)
        if kind == "picture":
            return self._placed(wanted, self._means[0], MEAN)
        noise = self._parts(count, "noise", 0)
        across = float(np.sqrt(1 - TEXT_AGREES**2))
        return self._placed(TEXT_AGREES * wanted + across * noise, self._means[1], TEXT_MEAN)

    def _parts(self, count: int, purpose: str, number: int) -> Vectors:
        """Return what rows have besides the mean, before the rotation, of mean square length 1."""
        rng = self._rng(purpose, number)
        themes = np.searchsorted(self._ends, rng.random(count, np.float32) * self._ends[-1])
        rows = rng.standard_normal((count, self.dim), np.float32)
        rows *= self._scales * np.float32(SHARES[2] ** 0.5)
        rows += self._themes[np.minimum(themes, len(self._themes) - 1)]
        return rows

    def _placed(self, parts: Vectors, mean: Vectors, length: float) -> Vectors:
        rows = parts @ self._rotation
        rows *= np.float32((1 - length**2) ** 0.5)
        rows += mean * np.float32(length)
        rows /= np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
        return rows

    @cached_property
    def _scales(self) -> Vectors:
        """Standard deviations by direction; their squares sum up to 1."""
        ranks = np.arange(1, self.dim + 1)
        variances = ranks**-DECAY / (1 + (ranks / (END * self.dim)) ** STEEPNESS)
        scales: Vectors = np.sqrt(variances / variances.sum()).astype(np.float32)
        return scales

    @cached_property
    def _themes(self) -> Vectors:
        """Centres of all themes, shape (SUBJECTS × THEMES, dim), with a weighted mean of zero."""
        rng = self._rng("themes")
        subjects = rng.standard_normal((SUBJECTS, 1, self.dim), np.float32)
        themes = rng.standard_normal((SUBJECTS, THEMES, self.dim), np.float32)
        themes *= np.float32(SHARES[1] ** 0.5)
        themes += subjects * np.float32(SHARES[0] ** 0.5)
        centres = themes.reshape(-1, self.dim) * self._scales
        weights = np.diff(self._ends, prepend=0) / self._ends[-1]
        centres -= (weights @ centres).astype(np.float32)
        return centres

    @cached_property
    def _ends(self) -> NDArray[np.float64]:
        """Sizes of all themes, summed up."""
        subjects, themes = (np.arange(1, n + 1) ** -ZIPF for n in (SUBJECTS, THEMES))
        return np.cumsum(np.outer(subjects, themes / themes.sum()))

    @cached_property
    def _rotation(self) -> Vectors:
        square = self._rng("rotation").standard_normal((self.dim, self.dim))
        return np.linalg.qr(square)[0].astype(np.float32)

    @cached_property
    def _means(self) -> tuple[Vectors, Vectors]:
        """Directions of the means of pictures and of texts."""
        directions = np.linalg.qr(self._rng("means").standard_normal((self.dim, 2)))[0]
        pictures, texts = directions.T.astype(np.float32)
        return pictures, texts

    def _rng(self, purpose: str, number: int = 0) -> np.random.Generator:
        return np.random.default_rng([*purpose.encode(), number, self.seed])
