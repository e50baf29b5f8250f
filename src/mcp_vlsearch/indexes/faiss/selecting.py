"""From seqs to rows, and to what FAISS takes to search among some rows only."""

from typing import TYPE_CHECKING, Any, Final

import faiss
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs

__all__ = ["Bits", "Places", "lib", "members", "places", "selector"]

Bits = NDArray[np.bool_]
"""For each row whether it is meant, shape (rows,)."""
Places = NDArray[np.int64]
"""Numbers of rows, growing, shape (n,)."""

lib: Final[Any] = faiss
"""FAISS, which has and accepts more than its type stubs know."""

_MANY: Final = 16
"""From one wanted in so many rows on, a bit for each seq is faster than looking each up."""


def places(seqs: "Seqs", wanted: "Seqs") -> Places:
    """Return where in growing ``seqs`` the wanted ones are; unknown ones are ignored."""
    wanted = np.unique(wanted)
    found = np.searchsorted(seqs, wanted)
    known = found < len(seqs)
    known[known] = seqs[found[known]] == wanted[known]
    return found[known]


def members(seqs: "Seqs", wanted: "Seqs") -> Bits:
    """Return for each of growing ``seqs`` whether it is wanted."""
    if not len(seqs) or len(wanted) * _MANY < len(seqs):
        bits = np.zeros(len(seqs), np.bool_)
        bits[places(seqs, wanted)] = True
        return bits
    first, last = int(seqs[0]), int(seqs[-1])
    if wanted.min() < first or wanted.max() > last:
        wanted = wanted[(wanted >= first) & (wanted <= last)]
    bits = np.zeros(last - first + 1, np.bool_)
    bits[wanted - first] = True
    return bits if len(bits) == len(seqs) else bits[seqs - first]


def selector(bits: Bits) -> Any:
    """Return FAISS's selector of the rows whose bit is set.

    Measured, a bit for each row is never slower than FAISS's hash table of the few.
    """
    return lib.IDSelectorBitmap(np.packbits(bits, bitorder="little"))
