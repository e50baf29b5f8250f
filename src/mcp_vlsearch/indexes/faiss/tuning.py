"""How much of a coarse index must be looked at: measured on the rows themselves."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mcp_vlsearch.indexes.faiss.coarse import MEASURED_HITS, effort_name, look_up
from mcp_vlsearch.indexes.faiss.rows import RowFile
from mcp_vlsearch.indexes.faiss.selecting import Places, lib

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mcp_vlsearch.contracts import Vectors

__all__ = ["ENOUGH", "Tuned", "tuned"]

ENOUGH: Final = 0.98
"""Recall that an index must reach to be preferred to a larger one."""
_TARGET: Final = 0.99
"""Recall that both halves of the sample must reach, so that searches reach 0.98."""
_QUERIES: Final = 256
_AGREES: Final = 0.75
"""Cosine of a text to its picture, apart from what all texts and all pictures have in common."""
_CANDIDATES: Final = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
"""Rows for each hit that may be compared exactly. They are cheap, up to the first of these two."""
_CHEAP, _MOST = 8, _CANDIDATES[-1]
_TIE: Final = 1e-6


@dataclass(frozen=True)
class Tuned:
    """What a search looks at, and which part of the nearest rows it finds then."""

    effort: int
    candidates: int
    recall: float


@dataclass(frozen=True)
class _Sample:
    """Queries, the row that each is, or -1, and the score that a hit must reach."""

    queries: "Vectors"
    own: Places
    least: "NDArray[np.float32]"


def tuned(index: Any, rows: RowFile) -> Tuned:
    """Return a small effort, and for it the fewest candidates, that reach a recall of 0.98.

    If nothing does, the best there is.
    """
    sample = _sample(rows)
    best = Tuned(1, _MOST, 0.0)
    if not len(sample.own):
        return best
    for affordable in (_CHEAP, _MOST):
        for effort in _efforts(index):
            measured = _measured(index, rows, sample, effort, affordable)
            if measured.recall >= _TARGET:
                less = _measured(index, rows, sample, effort - effort // 4, affordable)
                return less if less.recall >= _TARGET else measured
            if measured.recall > best.recall:
                best = measured
    return best


def _sample(rows: RowFile) -> _Sample:
    """Take rows as queries, which must not count as found, and others in the place of texts.

    A text agrees with its picture only in part. The rest is as two pictures differ, so it points
    where rows are, which is harder than noise. The two halves take turns.
    """
    random = np.random.default_rng(0)
    chosen = random.choice(rows.count, min(_QUERIES, rows.count), replace=False)
    queries = rows.vectors(chosen)
    usable = np.isfinite(queries).all(axis=1) & queries.any(axis=1)
    own, queries = chosen[usable], queries[usable]
    is_text = np.arange(len(own)) % 2 == 1
    centred = queries - queries.mean(axis=0)
    others = (np.roll(queries, 2, axis=0) - np.roll(queries, 4, axis=0)) / np.sqrt(2)
    texts = _AGREES * centred + np.sqrt(1 - _AGREES**2) * others
    queries[is_text] = texts[is_text]
    queries /= np.maximum(np.linalg.norm(queries, axis=1, keepdims=True), _TIE)
    scores, _ = rows.nearest(queries, MEASURED_HITS + 1)
    last = scores.shape[1] - 1
    least = np.where(is_text, scores[:, max(last - 1, 0)], scores[:, last]) - _TIE
    return _Sample(queries, np.where(is_text, -1, own), least.astype(np.float32))


def _efforts(index: Any) -> list[int]:
    """Return what may be tried, twice as much each time: lists, or the breadth in a graph."""
    name = effort_name(index)
    if not name:
        return [0]
    most = lib.try_extract_index_ivf(index).nlist if name == "nprobe" else 1024
    efforts = [1 if name == "nprobe" else 16]
    while efforts[-1] < most:
        efforts.append(min(most, efforts[-1] * 2))
    return efforts


def _measured(index: Any, rows: RowFile, sample: _Sample, effort: int, most: int) -> Tuned:
    """Return for one effort the fewest candidates that reach the recall, or the best of them."""
    tried = [candidates for candidates in _CANDIDATES if candidates <= most]
    count = min(most * MEASURED_HITS + 1, rows.count)
    found = look_up(index, sample.queries, count, effort, None)
    hits = min(MEASURED_HITS, rows.count)
    reached = np.zeros((len(found), len(tried)))
    for number, some in enumerate(found):
        others = some[(some >= 0) & (some != sample.own[number])]
        is_hit = rows.vectors(others) @ sample.queries[number] >= sample.least[number]
        so_far = np.concatenate([[0], np.minimum(is_hit.cumsum(), hits)])
        reached[number] = so_far[np.minimum(np.multiply(tried, MEASURED_HITS), len(is_hit))]
    halves = [reached[sample.own >= 0], reached[sample.own < 0]]
    recalls = np.min([half.mean(axis=0) / hits for half in halves if len(half)], axis=0)
    enough = np.flatnonzero(recalls >= min(_TARGET, recalls.max()))[0]
    return Tuned(effort, tried[enough], float(recalls[enough]))
