"""Several queries become one vector, so that one search answers them and scores stay cosines."""

from typing import TYPE_CHECKING, Final

import numpy as np

from mcp_vlsearch.errors import QueryError

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Vectors

__all__ = ["exclude", "fuse"]

_NOTHING: Final = 1e-3
"""Length up to which a unit vector's rest is rounding."""


def fuse(vectors: "Vectors") -> "Vectors":
    """Return the unit-norm mean of unit-norm rows: shape (n, dim) to (dim,)."""
    mean: Vectors = vectors.mean(axis=0)
    return _unit(mean)


def exclude(vector: "Vectors", unwanted: "Vectors") -> "Vectors":
    """Turn a query away from what is unwanted: the part along ``unwanted`` is taken out.

    Both have shape (dim,). The result is orthogonal to ``unwanted`` (vector negation by
    orthogonal projection; Widdows 2003), so pictures of it no longer gain from it. Raises
    :class:`QueryError` where nothing is left: the query asks for what it excludes.
    """
    rest: Vectors = vector - (vector @ unwanted) * unwanted
    if np.linalg.norm(rest) <= _NOTHING:
        raise QueryError(
            "the query asks for what it excludes, so nothing is left of it: change one of them"
        )
    return _unit(rest)


def _unit(vector: "Vectors") -> "Vectors":
    unit: Vectors = vector / max(float(np.linalg.norm(vector)), 1e-12)
    return unit
