"""Several queries become one vector, so that one search answers them and scores stay cosines."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Vectors

__all__ = ["exclude", "fuse"]


def fuse(vectors: "Vectors") -> "Vectors":
    """Return the unit-norm mean of unit-norm rows: shape (n, dim) to (dim,)."""
    mean: Vectors = vectors.mean(axis=0)
    return _unit(mean)


def exclude(vector: "Vectors", unwanted: "Vectors") -> "Vectors":
    """Turn a query away from what is unwanted: the part along ``unwanted`` is taken out.

    Both have shape (dim,). The result is orthogonal to ``unwanted`` (vector negation by
    orthogonal projection; Widdows 2003), so pictures of it no longer gain from it. A query that
    asks for what it excludes is left as it is.
    """
    rest: Vectors = vector - (vector @ unwanted) * unwanted
    return _unit(rest) if np.linalg.norm(rest) > 1e-3 else vector


def _unit(vector: "Vectors") -> "Vectors":
    unit: Vectors = vector / max(float(np.linalg.norm(vector)), 1e-12)
    return unit
