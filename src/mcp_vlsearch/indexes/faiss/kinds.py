"""Which kind of index for which library: the rules, stated for people in docs/scale.md."""

import math
from typing import Final

import faiss

from mcp_vlsearch.errors import SettingsError

__all__ = ["EXACT", "checked", "factory_strings", "training_rows"]

EXACT: Final = "SQfp16"
"""FAISS's name of the kind that compares every row, in half precision."""

_EXACT_BYTES: Final = 256 * 2**20
"""Rows of so many bytes are all compared: on two cores that takes milliseconds."""
_PART_OF_MEMORY: Final = 4
"""A coarse index may take one byte in so many of the memory that is free."""
_FEWEST_PER_LIST: Final = 40
"""Rows that there must be for each list; FAISS wants 39 to make one of."""
_TRAINING_PER_LIST: Final = 40
_TRAINING_LEAST: Final = 20_000
_TRAINING_BYTES: Final = 512 * 2**20


def _lists(rows: int, dim: int) -> int:
    """Return a power of two near four times the square root, with enough rows to train each."""
    wanted = min(
        4 * math.sqrt(rows),
        rows / _FEWEST_PER_LIST,
        _TRAINING_BYTES / (4 * dim) / _FEWEST_PER_LIST,
    )
    return int(2 ** max(0, round(math.log2(max(wanted, 1)))))


_NAMED: Final = {
    "ivf": "IVF{lists},SQ8",
    "ivfflat": "IVF{lists},Flat",
    "hnsw": "HNSW32,SQfp16",
    "rabitq": "IVF{lists},RaBitQ",
}


def _is_name(asked: str) -> bool:
    return asked in ("auto", "exact", *_NAMED)


def checked(asked: str, dim: int) -> str:
    """Return a kind by its name, in small letters, or FAISS's description of one as it is given.

    What FAISS knows in just these letters is meant so. Raises :class:`SettingsError` for any other.
    """
    name = asked.lower()
    if name == asked and _is_name(name):
        return asked
    choice = f"{', '.join(('auto', 'exact', *_NAMED))}, or a factory string such as IVF1024,SQ8"
    if not asked.strip():
        raise SettingsError(f"--index-kind is empty: give one of {choice}")
    try:
        faiss.index_factory(dim, asked, faiss.METRIC_INNER_PRODUCT)
    except RuntimeError as error:
        if _is_name(name):
            return name
        raise SettingsError(
            f"--index-kind {asked}: FAISS makes no such index of {dim} dimensions; give one of "
            f"{choice}"
        ) from error
    return asked


def factory_strings(
    asked: str, rows: int, dim: int, free: int | None, on_gpu: bool = False
) -> list[str]:
    """Return FAISS's descriptions of the kinds to try for so many rows, the best first.

    ``free`` is the memory that is free, in bytes, if that is known, and ``on_gpu`` says whether
    GPUs will search. Where every row is to be compared, it is ``EXACT`` alone.
    """
    names = _chosen(rows, dim, free, on_gpu) if asked == "auto" else [asked]
    lists = _lists(rows, dim)
    return [EXACT if n == "exact" else _NAMED.get(n, n).format(lists=lists) for n in names]


def _chosen(rows: int, dim: int, free: int | None, on_gpu: bool) -> list[str]:
    if rows * dim * 2 <= _EXACT_BYTES:
        return ["exact"]
    fits = free is None or rows * dim <= free // _PART_OF_MEMORY
    names = ["rabitq", "ivf"] if fits else ["rabitq"]
    return names[::-1] if on_gpu else names  # FAISS copies no RaBitQ to a GPU


def training_rows(index: "faiss.Index", rows: int, dim: int) -> int:
    """Return on how many rows an index is trained."""
    ivf = faiss.try_extract_index_ivf(index)
    wanted = max(_TRAINING_LEAST, _TRAINING_PER_LIST * ivf.nlist if ivf is not None else 0)
    return min(rows, wanted, _TRAINING_BYTES // (4 * dim))
