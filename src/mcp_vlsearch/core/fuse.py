"""Several queries become one vector, so that one search answers them and scores stay cosines."""

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Vectors

__all__ = ["ANYTHING", "compose", "fuse"]

ANYTHING: Final = "a picture"
"""A text that is true of every picture."""


def fuse(vectors: "Vectors") -> "Vectors":
    """Return the unit-norm mean of unit-norm rows: shape (n, dim) to (dim,)."""
    if len(vectors) == 1:
        only: Vectors = vectors[0]
        return only
    mean: Vectors = vectors.mean(axis=0)
    return _unit(mean)


def compose(picture: "Vectors", text: "Vectors", anything: "Vectors") -> "Vectors":
    """Return a picture changed as a text says, for encoders that do not see both together.

    All are unit vectors of shape (dim,), ``anything`` that of :data:`ANYTHING`. What the text says
    beyond that is added to the picture (vector arithmetic; Couairon et al. 2022): so the result
    stays among pictures, and a text that says nothing changes nothing.
    """
    return _unit(picture + text - anything)


def _unit(vector: "Vectors") -> "Vectors":
    unit: Vectors = vector / max(float(np.linalg.norm(vector)), 1e-12)
    return unit
