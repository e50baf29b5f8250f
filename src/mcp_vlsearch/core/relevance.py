"""What a cosine means: how a hit stands against the library's own scores for the same query.

Raw cosines have no universal threshold (text and picture queries live on different scales), so a
hit is judged by how many pictures of this library would score as high by chance: the expectation
value of sequence search (Karlin and Altschul 1990), with a normal bulk fitted robustly.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from mcp_vlsearch.types import MinRelevance, Relevance

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Vectors

__all__ = ["Background", "judge", "reaches"]

STRONG: Final = 0.01
LIKELY: Final = 1.0
"""Most pictures expected to score as high by chance."""

SAME: Final = 0.995
"""From this cosine on, a hit is the query's own picture or as good as that."""

FEWEST: Final = 20
"""With fewer scores than this there is no bulk to stand out from."""

_ORDER: Final[tuple[Relevance, ...]] = ("weak", "likely", "strong")


@dataclass(frozen=True)
class Background:
    """The bulk of a library's scores for one query: its middle and spread, and its size."""

    middle: float
    spread: float
    images: int

    @classmethod
    def of(cls, scores: "Vectors", images: int) -> "Background | None":
        """Fit the bulk to scores of random pictures, shape (n,); None if there are too few.

        Middle and spread come from the lower half, which right answers do not reach.
        """
        if len(scores) < FEWEST:
            return None
        ordered = np.sort(scores)
        low, middle = _quantile(ordered, 0.1587), _quantile(ordered, 0.5)
        return cls(middle, max(middle - low, 1e-6), images)

    def judge(self, score: float) -> Relevance:
        """Say how relevant a hit with this cosine is."""
        deviations = (score - self.middle) / self.spread
        expected = self.images * 0.5 * math.erfc(deviations / math.sqrt(2))
        if expected <= STRONG:
            return "strong"
        return "likely" if expected <= LIKELY else "weak"


def _quantile(ordered: "Vectors", share: float) -> float:
    """Return what ``np.quantile`` does, which takes longer than to score the pictures."""
    place = share * (len(ordered) - 1)
    low = int(place)
    return float(ordered[low] + (place - low) * (ordered[low + 1] - ordered[low]))


def judge(score: float, background: Background | None) -> Relevance:
    """Say how relevant a hit is, also where there is no bulk to judge it by."""
    if score >= SAME:
        return "strong"
    return background.judge(score) if background else "likely"


def reaches(relevance: Relevance, least: MinRelevance) -> bool:
    """Say whether a relevance is at least the one asked for."""
    return least == "any" or _ORDER.index(relevance) >= _ORDER.index(least)
