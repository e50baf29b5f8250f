"""What a cosine means: how a hit stands against the library's own scores for the same query.

Raw cosines have no universal threshold: text and picture queries live on different scales, and so
do encoders. So hits are judged by two comparisons with a random sample of the library.

*By chance* (likely). The lower half of the query's scores, which right answers do not reach, gives
a robust middle and spread of the bulk. From these follows how many pictures of the library would
score as high by chance: the expectation value of sequence search (Karlin and Altschul 1990), with a
normal bulk. Beside how many do score as high, it gives the share of false ones among them, which
has a limit (the false discovery rate; Benjamini and Hochberg 1995). So it does not matter whether
one picture is right or a third of the library.

*By likeness* (strong). What a library does not have may have look-alikes there (rabbits, where
there is no cat), which stand out of the bulk by far more than chance allows. How far they go is up
to encoder and library, and the library tells (``likeness.py``). To be strong, a hit must stand out
more than most of those, too; and to be likely, no less than nearly all of them, unless a large
share of the library is there by more than chance.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from mcp_vlsearch.core.likeness import FEWEST, Likeness, standing_out
from mcp_vlsearch.types import MinRelevance, Relevance

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Vectors

__all__ = ["Background", "judge", "reaches"]

FALSE: Final = 0.1
"""The share of hits that are there by chance, at most, down to the last likely one."""

SAME: Final = 0.995
"""From this cosine on, a hit is the query's own picture or as good as that."""

_LOW: Final = 0.1587
"""The share of a normal distribution below one deviation under its middle."""
_MANY: Final = 0.2
"""A library of which so large a share stands out for a query has what it asks for."""

_BEST: Final = 2
"""Hits that are compared with the best of other queries: a composed one's picture may be first."""

_ORDER: Final[tuple[Relevance, ...]] = ("weak", "likely", "strong")


@dataclass(frozen=True)
class Background:
    """The bulk of a library's scores for one query: its middle and spread.

    ``ordered`` are the scores of random pictures, shape (n,), that it was fitted to, ``images`` is
    the size of the library, and ``likeness`` how look-alikes stand out there.
    """

    middle: float
    spread: float
    ordered: "Vectors"
    images: int
    likeness: Likeness

    @classmethod
    def of(
        cls, scores: "Vectors", images: int, likeness: Likeness | None = None
    ) -> "Background | None":
        """Fit the bulk to scores of random pictures, shape (n,); None if there are too few.

        Middle and spread come from the lower half, which right answers do not reach.
        """
        if len(scores) < FEWEST:
            return None
        ordered = np.sort(scores)
        low, middle = _quantile(ordered, _LOW), _quantile(ordered, 0.5)
        return cls(middle, max(middle - low, 1e-6), ordered, images, likeness or Likeness())

    def deviations(self, scores: "Vectors") -> "Vectors":
        """Return by how many spreads scores, shape (n,), lie above the middle."""
        found: Vectors = (scores - self.middle) / self.spread
        return found

    def standing_out(self, scores: "Vectors") -> "Vectors":
        """Return how far scores, shape (n,), stand out, counted as for look-alikes."""
        half = _quantile(self.ordered, 0.75) - _quantile(self.ordered, 0.25)
        return standing_out(scores - self.middle, half, self.likeness.usual)

    def is_crowded(self) -> bool:
        """Say whether a large share of the library stands out by more than chance."""
        many = math.ceil(_MANY * len(self.ordered))
        return self.false_shares(self.ordered[-many:][:1])[0] <= FALSE

    def false_shares(self, scores: "Vectors") -> list[float]:
        """Return what share of all hits down to each one, best first, is there by chance.

        Down to a hit are as many as come before it, or as a sample says that there are.
        """
        above = len(self.ordered) - np.searchsorted(self.ordered, scores)
        found = np.maximum(above * (self.images / len(self.ordered)), np.arange(len(scores)) + 1)
        shares = [
            self.images * 0.5 * math.erfc(deviations / math.sqrt(2)) / count
            for deviations, count in zip(self.deviations(scores), found, strict=True)
        ]
        # A hit is no worse than one that comes after it.
        for place in range(len(shares) - 2, -1, -1):
            shares[place] = min(shares[place], shares[place + 1])
        return shares


def judge(scores: "Vectors", background: Background | None) -> list[Relevance]:
    """Say how relevant hits with these cosines are, shape (n,), best first.

    Where there is no bulk to judge them by, all are likely, but for the query's own picture.
    """
    if background is None:
        return ["strong" if score >= SAME else "likely" for score in scores]
    found, far = background.likeness, background.standing_out(scores)
    is_likely = np.array(background.false_shares(scores)) <= FALSE
    is_likely[:_BEST] |= far[:_BEST] >= found.common  # look-alikes are the best of what is there
    if not background.is_crowded():
        is_likely &= far >= found.lowest
    strong = (scores >= SAME) | (is_likely & (far >= found.most))
    return [
        _ORDER[2 if first else int(second)] for first, second in zip(strong, is_likely, strict=True)
    ]


def _quantile(ordered: "Vectors", share: float) -> float:
    """Return what ``np.quantile`` does, which takes longer than to score the pictures."""
    place = share * (len(ordered) - 1)
    low = int(place)
    return float(ordered[low] + (place - low) * (ordered[low + 1] - ordered[low]))


def reaches(relevance: Relevance, least: MinRelevance) -> bool:
    """Say whether a relevance is at least the one asked for."""
    return least == "any" or _ORDER.index(relevance) >= _ORDER.index(least)
