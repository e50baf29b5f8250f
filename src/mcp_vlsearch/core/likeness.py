"""How far what a library has instead of the right picture stands out: its look-alikes.

Each picture of a random sample is a query whose own picture is not there, and the nearest other one
its look-alike (an empirical null, as in Efron 2004). Of copies one counts.

The look-alikes of a composed query are others: it asks for what no picture of the library is, so
nothing comes as near, and part of what comes near is what it asks for. So there, each picture of
the sample takes the place of the given one in the query: what the text adds to that, in vectors, is
added to each of them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Vectors

__all__ = ["FEWEST", "Likeness", "LookAlikes", "standing_out"]

COPY: Final = 0.95
"""From this cosine on, two pictures of a library are copies, not look-alikes."""

FEWEST: Final = 20
"""With fewer scores than this there is no bulk to stand out from."""

_LOWEST: Final = 0.05
_MARGIN: Final = 0.7
"""How far look-alikes reach above their middle, in the way from there down to their lowest."""
_COMMON: Final = 0.1
"""The share of a composed query's look-alikes that stand out less than what is likely by that."""
_HIGHEST: Final = 0.95
_COMPOSED_MARGIN: Final = 1.5
"""How far those of a composed query reach, in the way up to their highest."""
_FEW: Final = 7.0
"""How much farther a hit must stand out among n scores, which tell less of the bulk: this / n."""
_USUAL: Final = 0.5
"""Part of the usual spread that is added to a query's own."""
_ASKED: Final = 500
"""Pictures of a sample that are asked for their look-alikes."""
_COMPOSED: Final = 200
"""Pictures that take the place of the given one; each search by a composed query asks them all."""
_PARTS: Final = 4


@dataclass(frozen=True)
class Likeness:
    """How look-alikes stand out in a library: from ``lowest`` to what they hardly reach, ``most``.

    A best hit that stands out as far as ``common`` is likely by that alone. ``usual`` is the usual
    spread of the middle half of a picture's scores there.
    """

    lowest: float = 0.0
    most: float = 0.0
    usual: float = 0.0
    common: float = math.inf


_UNKNOWN: Final = Likeness(most=math.inf)
"""Of few pictures, or copies of few: they don't tell how far look-alikes go; nothing is strong."""


class LookAlikes:
    """The look-alikes in a random sample of a library.

    ``rows`` are the sample's vectors, shape (n, dim), ``images`` is the size of the library. A
    larger one has nearer look-alikes. How far the nearest stands out grows with the logarithm of
    their number (Gumbel 1958); how fast is told by parts of the sample.
    """

    def __init__(self, rows: "Vectors", images: int) -> None:
        self.rows = rows
        self._images = images

    @cached_property
    def of_pictures(self) -> Likeness:
        """How look-alikes of pictures stand out.

        What they hardly reach is above their middle, by a part of the way down to their lowest:
        their own upper end may be copies that are a little apart.
        """
        if len(self._distinct) < FEWEST:
            return _UNKNOWN
        above, half = _nearest(self._kin[:_ASKED])
        usual = float(np.median(half))
        found = standing_out(above, half, usual)
        lowest, middle = np.quantile(found, (_LOWEST, 0.5))

        def of_part(at: slice) -> "Vectors":
            above, half = _nearest(self._kin[at, at])
            return standing_out(above, half, float(np.median(half)))

        nearer = self._nearer(middle, of_part)
        most = (middle + _MARGIN * (middle - lowest)) * self._few
        return Likeness(float(lowest + nearer), float(most + nearer), usual)

    def of_composed(self, query: "Vectors", picture: "Vectors") -> Likeness:
        """Return how look-alikes of a composed query stand out.

        ``query`` and ``picture``, the given one alone, are unit vectors of shape (dim,). What these
        look-alikes hardly reach is above their highest, since no copies are among them.
        """
        if len(self._distinct) < FEWEST:
            return _UNKNOWN
        usual = self.of_pictures.usual
        share = float(query @ picture)
        added = query - share * picture
        # As in Sample: BLAS would use all cores and, where they are busy, wait for each of them.
        towards = np.einsum("ij,j->i", self._distinct, added)
        lengths = np.sqrt(share * share + 2 * share * towards + float(added @ added))

        def far(asked: slice, at: slice) -> "Vectors":
            kin = self._kin[asked, at]
            scores = (share * kin + towards[at]) / np.maximum(lengths[asked, None], 1e-6)
            return standing_out(*_nearest(scores), usual)

        def of_part(at: slice) -> "Vectors":
            return far(slice(at.start, min(at.start + _COMPOSED // _PARTS, at.stop)), at)

        found = far(slice(_COMPOSED), slice(None))
        lowest, common, middle, highest = np.quantile(found, (_LOWEST, _COMMON, 0.5, _HIGHEST))
        nearer = self._nearer(middle, of_part)
        most = (middle + _COMPOSED_MARGIN * (highest - middle)) * self._few
        return Likeness(float(lowest + nearer), float(most + nearer), usual, float(common + nearer))

    @cached_property
    def _distinct(self) -> "Vectors":
        """The sample's pictures without their copies, shape (n, dim)."""
        kin = self.rows @ self.rows.T
        is_first = np.ones(len(kin), bool)
        for number in range(len(kin)):
            if is_first[number]:
                is_first[number + 1 :] &= kin[number, number + 1 :] < COPY
        found: Vectors = self.rows[is_first]
        return found

    @cached_property
    def _kin(self) -> "Vectors":
        """The cosines of distinct pictures to each other, shape (n, n)."""
        found: Vectors = self._distinct @ self._distinct.T
        return found

    @property
    def _few(self) -> float:
        return 1 + _FEW / len(self._distinct)

    def _nearer(self, middle: float, of_part: "Callable[[slice], Vectors]") -> float:
        """Return how much farther look-alikes stand out in the library than in its sample."""
        count = len(self._distinct)
        if self._images <= len(self.rows):
            return 0.0
        size = count // _PARTS
        parts = [slice(part * size, (part + 1) * size) for part in range(_PARTS)]
        fewer = np.concatenate([of_part(part) for part in parts])
        times = math.log(self._images / len(self.rows)) / math.log(_PARTS)
        return float(middle - np.median(fewer)) * times


def standing_out(above: "Vectors", half: "Vectors | float", usual: float) -> "Vectors":
    """Return how far scores stand out that lie so far ``above`` the middle of a query's scores.

    It is counted in the spread of their middle ``half``, to which a part of what is ``usual`` in
    the library is added, as for the genes of a chip (Tusher, Tibshirani and Chu 2001). Else queries
    with a narrow bulk, single words above all, would stand out by nothing.
    """
    spread = (half + _USUAL * usual) / (1 + _USUAL)
    found: Vectors = (above / np.maximum(spread, 1e-6)).astype(np.float32, copy=False)
    return found


def _nearest(scores: "Vectors") -> "tuple[Vectors, Vectors]":
    """Return how far the nearest other picture scores above the middle, and the middle half.

    ``scores`` has a row for each of some pictures and a column for each of all, the same ones
    first.
    """
    scores = scores.copy()
    np.fill_diagonal(scores, -1)
    low, middle, high = np.quantile(np.sort(scores, axis=1)[:, 1:], (0.25, 0.5, 0.75), axis=1)
    return scores.max(axis=1) - middle, high - low
