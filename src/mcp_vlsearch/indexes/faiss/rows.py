"""The rows of a base: half-precision vectors in a file that is mapped, not read.

The file is a FAISS index of its own, so FAISS searches it as it lies; and some rows, wherever they
are, are compared by themselves.
"""

import errno
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mcp_vlsearch.indexes.faiss.disk import DamagedError
from mcp_vlsearch.indexes.faiss.parallel import nearest
from mcp_vlsearch.indexes.faiss.selecting import Bits, Places, lib
from mcp_vlsearch.indexes.faiss.tail import half_precision

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Vectors

__all__ = ["RowFile", "head_of"]

_COUNT_AT: Final = slice(8, 16)
"""Where a FAISS file says how many rows it has, after its name and its dimension."""
_SIZE: Final = slice(-8, None)
"""Where, at the end of an empty one, it says how many bytes of rows follow."""

_AROUND: Final = 256 * 1024
"""Bytes that come to be resident with a row that is looked at, as the system maps neighbours."""
_RESIDENT: Final = 192 * 2**20
"""Bytes of single rows that may stay resident; from then on the system is told that it may take
them. They are read from its cache of files again."""
_BLOCK: Final = 16_384


def head_of(dim: int, count: int) -> bytes:
    """Return what a FAISS file of so many half-precision rows begins with."""
    head = lib.serialize_index(half_precision(dim))
    head[_COUNT_AT] = np.frombuffer(count.to_bytes(8, "little"), np.uint8)
    head[_SIZE] = np.frombuffer((count * 2 * dim).to_bytes(8, "little"), np.uint8)
    return bytes(head)


class RowFile:
    """Rows by their number; any number of threads may use it.

    ``searched_whole`` says that all of it will be resident anyway. Raises :class:`DamagedError` if
    the file is not one of so many rows, and OSError.
    """

    def __init__(self, path: Path, dim: int, count: int, *, searched_whole: bool = False) -> None:
        self.dim, self.count = dim, count
        self._searched_whole = searched_whole
        self._path = path
        head = head_of(dim, count)
        with path.open("rb") as file:
            if file.read(len(head)) != head:
                raise DamagedError(f"damaged ({path.name} is not an index of {count} × {dim})")
            self._mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        codes = np.frombuffer(self._mapped, np.uint8, count * 2 * dim, len(head))
        self._codes = codes.reshape(count, 2 * dim)
        self._index = _mapped(path)  # now, for the file may go when there is a newer one
        self._looked_at = 0

    def nearest(
        self, queries: "Vectors", k: int, bits: Bits | None = None
    ) -> "tuple[Vectors, Places]":
        """Compare every row, or every row whose bit is set; return scores and rows, or -1."""
        return nearest(self._index, queries, min(k, self.count), bits)

    def nearest_of(self, queries: "Vectors", k: int, some: Places) -> "tuple[Vectors, Places]":
        """Compare some rows; return scores and rows."""
        k = min(k, len(some))
        if not k:
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        few = half_precision(self.dim)
        few.add_sa_codes(self._gather(some))
        scores, found = few.search(queries, k)
        return scores, np.where(found < 0, -1, some[found])

    def vectors(self, some: Places) -> "Vectors":
        """Return rows as float32, shape (len(some), dim)."""
        decoded: Vectors = half_precision(self.dim).sa_decode(self._gather(some))
        return decoded

    def blocks(self) -> Iterator["Vectors"]:
        """Return all rows in their order, as float32, so many at a time."""
        for start in range(0, self.count, _BLOCK):
            codes = np.ascontiguousarray(self._codes[start : start + _BLOCK])
            yield half_precision(self.dim).sa_decode(codes)
            self._forget(len(codes))

    def _gather(self, some: Places) -> "np.ndarray[Any, np.dtype[np.uint8]]":
        codes = self._codes[some]
        self._forget(len(some) * _AROUND // (2 * self.dim))
        return codes

    def _forget(self, rows: int) -> None:
        """Tell the system now and then that it need not keep what was looked at for us."""
        if self._searched_whole:
            return
        self._looked_at += rows * 2 * self.dim
        if self._looked_at > _RESIDENT and hasattr(self._mapped, "madvise"):
            self._looked_at = 0
            self._mapped.madvise(mmap.MADV_DONTNEED)


def _mapped(path: Path) -> Any:
    try:
        return lib.read_index(str(path), lib.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        if path.exists():
            raise DamagedError(f"damaged ({path.name} can't be understood)") from error
        raise FileNotFoundError(errno.ENOENT, "is gone", str(path)) from error
