"""Vectors as the embedding cache takes and keeps them."""

from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from mcp_vlsearch.errors import EncoderError

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Vectors

__all__ = ["STORED", "Maker", "are_unit", "check_vectors"]

# Half precision, as in the index: half the disk, and any cosine moves by less than 1e-4.
STORED: Final = np.dtype("<f2")
"""How a vector's numbers lie in the database."""

_NORM_ERROR: Final = 1e-2


class Maker(Protocol):
    """What is told of who makes the vectors of a fingerprint; any encoder tells it."""

    @property
    def name(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def precision(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...


def are_unit(vectors: "Vectors") -> bool:
    """Say whether all rows are of norm 1, as far as half precision tells; NaN never is."""
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))  # without a copy of the block
    return bool((np.abs(norms - 1) < _NORM_ERROR).all())


def check_vectors(maker: Maker, count: int, vectors: "Vectors") -> None:
    """Raise :class:`EncoderError` if these are not ``count`` vectors as their maker promises."""
    expected = (count, maker.dim)
    if vectors.shape != expected:
        raise EncoderError(
            f"encoder {maker.name!r} gave vectors of shape {vectors.shape} for "
            f"{expected}: mend the plugin"
        )
    if not are_unit(vectors):
        raise EncoderError(
            f"encoder {maker.name!r} gave vectors that are not finite or not of norm "
            "1: try another precision or model"
        )
