"""Copies of an index on GPUs, where ``faiss-gpu`` is installed and a GPU is there."""

import logging
from typing import Any

from mcp_vlsearch.indexes.faiss.rows import RowFile
from mcp_vlsearch.indexes.faiss.selecting import lib

__all__ = ["all_rows_on_gpus", "on_gpus", "there_are_gpus"]

logger = logging.getLogger(__name__)


def there_are_gpus() -> bool:
    """Say whether FAISS can use a GPU."""
    return hasattr(lib, "GpuMultipleClonerOptions") and bool(lib.get_num_gpus())


def on_gpus(index: Any) -> Any:
    """Return a copy of an index on all GPUs, its numbers in half precision; None if it can't be."""
    if not there_are_gpus():
        return None
    how = lib.GpuMultipleClonerOptions()
    how.useFloat16 = True
    try:
        return lib.index_cpu_to_all_gpus(index, co=how)
    except RuntimeError as error:  # a kind that GPUs don't have, or their memory is too small
        logger.info("the index is searched on the CPU: %s", str(error).splitlines()[0])
        return None


def all_rows_on_gpus(rows: RowFile) -> Any:
    """Return an index on all GPUs that compares every row; None if it can't be."""
    copy = on_gpus(lib.IndexFlatIP(rows.dim))
    if copy is None:
        return None
    try:
        for block in rows.blocks():
            copy.add(block)
    except RuntimeError as error:
        logger.info("the index is searched on the CPU: %s", str(error).splitlines()[0])
        return None
    return copy
