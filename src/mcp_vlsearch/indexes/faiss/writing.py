"""Making a base: rows are streamed to the disk, and what searches them is built from there."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mcp_vlsearch.contracts import Space
from mcp_vlsearch.indexes.faiss.disk import (
    COARSE,
    ROWS,
    SEQS,
    FileSums,
    Manifest,
    SummedFile,
    write_manifest,
)
from mcp_vlsearch.indexes.faiss.gpu import there_are_gpus
from mcp_vlsearch.indexes.faiss.kinds import EXACT, factory_strings, training_rows
from mcp_vlsearch.indexes.faiss.rows import RowFile, head_of
from mcp_vlsearch.indexes.faiss.selecting import lib
from mcp_vlsearch.indexes.faiss.tuning import ENOUGH, Tuned, tuned
from mcp_vlsearch.memory import free_main_memory

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs, Vectors

__all__ = ["write_base"]

logger = logging.getLogger(__name__)

_HALF: Final = np.dtype("<f2")


@dataclass(frozen=True)
class _Coarse:
    index: Any
    kind: str
    tuned: Tuned


def write_base(
    folder: Path,
    space: Space,
    rows: "Iterable[tuple[Seqs, Vectors]]",
    last_removal: int,
    asked: str,
    progress: Callable[[int], None],
) -> None:
    """Write a base of all rows, given in blocks by growing seq, into an empty folder.

    ``asked`` is the kind as the settings name it. Memory is needed for a block, for eight bytes of
    each row, and for the coarse index. ``progress`` is told how many rows are written.
    """
    seqs, sums = _write_rows(folder / ROWS, space.dim, rows, progress)
    files = {ROWS: sums, SEQS: _write_seqs(folder / SEQS, seqs)}
    coarse = _build(RowFile(folder / ROWS, space.dim, len(seqs)), asked, progress)
    if coarse is not None:
        files[COARSE] = _write_index(folder / COARSE, coarse.index)
    write_manifest(
        folder,
        Manifest(
            fingerprint=space.fingerprint,
            dim=space.dim,
            count=len(seqs),
            last_seq=int(seqs[-1]) if len(seqs) else 0,
            last_removal=last_removal,
            asked=asked,
            kind=coarse.kind if coarse else EXACT,
            effort=coarse.tuned.effort if coarse else 0,
            candidates=coarse.tuned.candidates if coarse else 0,
            recall=coarse.tuned.recall if coarse else None,
            files=files,
        ),
    )


def _write_rows(
    path: Path, dim: int, rows: "Iterable[tuple[Seqs, Vectors]]", progress: Callable[[int], None]
) -> "tuple[Seqs, FileSums]":
    """Stream rows into a FAISS file; what is at its beginning says in the end how many they are."""
    written: list[Seqs] = [np.empty(0, np.int64)]
    done = 0
    with SummedFile(path) as file:
        file.write(head_of(dim, 0))
        for seqs, vectors in rows:
            file.write(np.ascontiguousarray(vectors, _HALF))
            written.append(np.array(seqs, np.int64))
            done += len(seqs)
            progress(done)
        file.replace_head(head_of(dim, done))
        return np.concatenate(written), file.finish()


def _write_seqs(path: Path, seqs: "Seqs") -> FileSums:
    with SummedFile(path) as file:
        np.lib.format.write_array(file, seqs, allow_pickle=False)
        return file.finish()


def _write_index(path: Path, index: Any) -> FileSums:
    with SummedFile(path) as file:
        lib.write_index(index, lib.PyCallbackIOWriter(file.write))
        return file.finish()


def _build(rows: RowFile, asked: str, progress: Callable[[int], None]) -> _Coarse | None:
    """Build and tune the coarse index that the rules ask for; None if all rows are compared."""
    best: _Coarse | None = None
    free, on_gpu = free_main_memory(), there_are_gpus()
    for kind in factory_strings(asked, rows.count, rows.dim, free, on_gpu):
        if kind == EXACT or not rows.count:
            return None
        built = _built(rows, kind, progress)
        if best is None or (built is not None and built.tuned.recall > best.tuned.recall):
            best = built
        if best is not None and best.tuned.recall >= ENOUGH:
            return best
    if best is not None:
        logger.warning(
            "the index %s finds %.1f %% of the nearest pictures here, less than %.0f %%: to find "
            "all, run `mcp-vlsearch index --index-kind exact`; ivfflat misses less than others",
            best.kind,
            100 * best.tuned.recall,
            100 * ENOUGH,
        )
    return best


def _built(rows: RowFile, kind: str, progress: Callable[[int], None]) -> _Coarse | None:
    try:
        index = lib.index_factory(rows.dim, kind, lib.METRIC_INNER_PRODUCT)
        if not index.is_trained:
            index.train(_sample(rows, training_rows(index, rows.count, rows.dim)))
        for block in rows.blocks():
            index.add(block)
            progress(rows.count)
    except RuntimeError as error:  # such as too few rows for so many lists
        said = str(error).strip().splitlines()[-1]
        logger.warning("every picture is compared: FAISS makes no %s of these (%s)", kind, said)
        return None
    return _Coarse(index, kind, tuned(index, rows))


def _sample(rows: RowFile, count: int) -> "Vectors":
    random = np.random.default_rng(0)
    return rows.vectors(np.sort(random.choice(rows.count, count, replace=False)))
