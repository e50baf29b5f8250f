"""What pictures must not show: candidates that match it are left out, however well they fit.

A query's vector is turned away from what is unwanted, so that pictures without it come among the
candidates. But no direction of a vector keeps a picture away that has all the rest of the query. So
each candidate is scored with the unwanted text by itself, too, and judged as relevance is: by how
its score stands among those of the whole library for that text.
"""

from typing import TYPE_CHECKING, Final

import numpy as np

from mcp_vlsearch.core.relevance import Background
from mcp_vlsearch.errors import QueryError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mcp_vlsearch.contracts import Vectors

__all__ = ["candidates", "shows", "turned_away"]

_TIMES: Final = 10
_LEAST: Final = 200
"""Candidates: so many for each hit that is asked for, and so many at least."""

SAME: Final = 0.995
"""From this cosine on, two texts ask for the same, whatever the precision."""

SHOWN: Final = 2.0
"""Deviations above the library's middle from which on a picture shows what is unwanted: one in 44
would by chance. To lose some pictures costs little, as others come up; one too many is a fault."""


def candidates(top_k: int) -> int:
    """Return how many pictures to look at for ``top_k`` hits."""
    return max(_TIMES * top_k, _LEAST)


def turned_away(wanted: "Vectors", unwanted: "Vectors") -> "Vectors":
    """Return the part of a query that has nothing of what is unwanted; unit vectors, shape (dim,).

    That is orthogonal projection (Widdows 2003). Raises :class:`QueryError` where nothing is left:
    the query asks for what it excludes.
    """
    along = float(wanted @ unwanted)
    if along >= SAME:
        raise QueryError(
            "the query asks for what it excludes, so nothing is left of it: change one of them"
        )
    rest: Vectors = wanted - along * unwanted
    rest /= np.linalg.norm(rest)
    return rest


def shows(
    scores: "Vectors", wanted: "Vectors", background: Background | None
) -> "NDArray[np.bool_]":
    """Say which candidates show what is unwanted, shape (n,).

    ``scores`` are their cosines to the unwanted text, ``wanted`` those to the query. In a library
    that is too small to have a ``background``, those do that are nearer to the unwanted text.
    """
    if background is None:
        return scores > wanted
    return background.deviations(scores) >= SHOWN
