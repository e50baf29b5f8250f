"""A base: the rows of a space as they were at some time, on disk, mapped, and never changed."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import faiss
import numpy as np

from mcp_vlsearch.contracts import Space
from mcp_vlsearch.indexes.faiss.coarse import Coarse
from mcp_vlsearch.indexes.faiss.disk import (
    COARSE,
    ROWS,
    SEQS,
    DamagedError,
    Manifest,
    check_blocks,
    read_manifest,
)
from mcp_vlsearch.indexes.faiss.gpu import all_rows_on_gpus, on_gpus
from mcp_vlsearch.indexes.faiss.rows import RowFile
from mcp_vlsearch.indexes.faiss.selecting import Bits, Places, members, places

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs, Vectors

__all__ = ["Base", "kind_of"]

_VERIFIED: Final = "verified"

_FEW: Final = 2000
"""So many rows are compared by themselves, wherever they lie, rather than found in an index."""
_ON_GPU: Final = 2
"""Candidates for each hit where a GPU has compared every row, with other roundings."""


def kind_of(known: Manifest) -> str:
    """Return how a base is searched, with what was chosen by measurement."""
    if COARSE not in known.files:
        return known.kind
    name = "nprobe" if "IVF" in known.kind else "efSearch"
    effort = f"{name} {known.effort}, " if known.effort else ""
    recall = f", recall {known.recall:.3f}" if known.recall is not None else ""
    return f"{known.kind} ({effort}{known.candidates} candidates a hit{recall})"


class Base:
    """A generation that was opened; ``removed`` says which of its rows went since.

    Rows are mapped, so opening copies nothing, and all processes share the memory. Raises
    :class:`DamagedError`, and FileNotFoundError if a file is missing.
    """

    def __init__(self, folder: Path, space: Space) -> None:
        self.folder = folder
        self.manifest = _fitting(read_manifest(folder), space)
        for name, sums in self.manifest.files.items():
            for _ in check_blocks(folder / name, sums):
                pass
        count = self.manifest.count
        is_exact = COARSE not in self.manifest.files
        self._rows = RowFile(folder / ROWS, space.dim, count, searched_whole=is_exact)
        self._seqs: Seqs = np.asarray(np.load(folder / SEQS, mmap_mode="r"))
        if self._seqs.shape != (count,) or self._seqs.dtype != np.int64:
            raise DamagedError(f"damaged ({SEQS} has not {count} seqs)")
        self._coarse = _coarse(folder, self.manifest, self._rows)
        self._kept: Bits | None = None
        self.removed = 0

    def __len__(self) -> int:
        return self.manifest.count - self.removed

    @property
    def kind(self) -> str:
        """How it is searched, with what was chosen by measurement."""
        return kind_of(self.manifest)

    def remove(self, seqs: "Seqs") -> None:
        """Mask rows; unknown seqs are ignored. No search may go on meanwhile."""
        gone = places(self._seqs, seqs)
        if not len(gone):
            return
        kept = np.ones(self.manifest.count, np.bool_) if self._kept is None else self._kept.copy()
        kept[gone] = False
        self._kept = kept
        self.removed = self.manifest.count - int(kept.sum())

    def search(self, queries: "Vectors", k: int, allowed: "Seqs | None") -> "tuple[Vectors, Seqs]":
        """Return scores and seqs of the nearest rows, shape (len(queries), up to k); -1: none."""
        if allowed is not None and len(allowed) <= _FEW:
            some = places(self._seqs, allowed)
            some = some if self._kept is None else some[self._kept[some]]
            scores, rows = self._rows.nearest_of(queries, k, some)
        else:
            scores, rows = self._among(queries, k, self._bits(allowed), allowed is not None)
        seqs = self._seqs[rows] if self.manifest.count else rows
        return scores, np.where(rows < 0, -1, seqs)

    @property
    def is_verified(self) -> bool:
        """Whether some process has read all of it and found it as it was written."""
        return (self.folder / _VERIFIED).exists()

    def verify(self, progress: Callable[[], None], *, may_note: bool) -> None:
        """Compare all that is on disk with its checksums, and note that it was done.

        ``progress`` is called for each MiB. Raises :class:`DamagedError`.
        """
        for name, sums in self.manifest.files.items():
            for _ in check_blocks(self.folder / name, sums, all_of_them=True):
                progress()
        if may_note:
            (self.folder / _VERIFIED).touch()

    def _among(
        self, queries: "Vectors", k: int, bits: Bits | None, is_filter: bool
    ) -> "tuple[Vectors, Places]":
        left = self.manifest.count if bits is None else int(np.count_nonzero(bits))
        if bits is not None and left <= _FEW:
            return self._rows.nearest_of(queries, k, np.flatnonzero(bits))
        k = min(k, left)
        if self._coarse is None:
            return self._rows.nearest(queries, k, bits)
        return self._coarse.nearest(queries, k, bits, left, is_filter)

    def _bits(self, allowed: "Seqs | None") -> Bits | None:
        if allowed is None:
            return self._kept
        bits = members(self._seqs, allowed)
        return bits if self._kept is None else bits & self._kept


def _fitting(manifest: Manifest, space: Space) -> Manifest:
    if (manifest.fingerprint, manifest.dim) != (space.fingerprint, space.dim):
        raise DamagedError("of another encoder")
    if not {ROWS, SEQS} <= set(manifest.files) <= {ROWS, SEQS, COARSE}:
        raise DamagedError("damaged (it has not the files of a base)")
    return manifest


def _coarse(folder: Path, known: Manifest, rows: RowFile) -> Coarse | None:
    """Return what proposes rows: the base's coarse index, and GPUs where there are some."""
    if COARSE not in known.files:
        gpu = all_rows_on_gpus(rows)
        return None if gpu is None else Coarse(None, rows, 0, _ON_GPU, gpu)
    try:
        index = faiss.read_index(str(folder / COARSE), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        raise DamagedError(f"damaged ({COARSE} can't be understood)") from error
    if (index.ntotal, index.d) != (known.count, known.dim):
        raise DamagedError(f"damaged ({COARSE} is not an index of {known.count} × {known.dim})")
    return Coarse(index, rows, known.effort, known.candidates, on_gpus(index))
