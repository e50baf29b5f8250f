"""What is the same in every index: rows and queries are checked, and what was found is merged."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mcp_vlsearch.errors import QueryError

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs, Vectors

__all__ = ["check_queries", "check_rows", "merged"]


def check_rows(seqs: "Seqs", vectors: "Vectors", last_seq: int, dim: int) -> "Seqs":
    """Return the seqs of new rows, at least one, as int64.

    Raises ValueError unless they grow from ``last_seq`` on, and unless the vectors have the shape
    (len(seqs), dim).
    """
    seqs = np.ascontiguousarray(seqs, np.int64)
    if seqs[0] <= last_seq or (np.diff(seqs) <= 0).any():
        raise ValueError(f"seqs must grow, from {last_seq + 1} on")
    if np.shape(vectors) != (len(seqs), dim):
        raise ValueError(f"vectors have the shape {np.shape(vectors)}, not {len(seqs), dim}")
    return seqs


def check_queries(queries: "Vectors", k: int, dim: int) -> "Vectors":
    """Return queries as float32, shape (n, dim).

    Raises :class:`QueryError` if one is not a vector of ``dim`` numbers, or ``k`` is not positive.
    """
    queries = np.ascontiguousarray(queries, np.float32)
    if queries.ndim != 2 or queries.shape[1] != dim or k < 1:
        raise QueryError(f"search {k} nearest with shape {queries.shape}: dim is {dim}")
    if not np.isfinite(queries).all():
        raise QueryError("the query's vector is not made of numbers: check the encoder")
    return queries


def merged(found: "Sequence[tuple[Vectors, Seqs]]", queries: int, k: int) -> "tuple[Vectors, Seqs]":
    """Return the best of what was found in several places, best first, shape (queries, k).

    Each place gave scores and seqs, best first, of shape (queries, any number), with -1 for none.
    Where there are fewer than ``k`` rows the rest is ``-inf`` and -1.
    """
    found = [place for place in found if place[1].shape[1]]
    if len(found) == 1 and found[0][1].shape[1] == k:
        ((scores, seqs),) = found
        scores[seqs < 0] = -np.inf
        return scores, seqs
    scores = np.concatenate([np.full((queries, k), -np.inf, np.float32), *(s for s, _ in found)], 1)
    seqs = np.concatenate([np.full((queries, k), -1, np.int64), *(s for _, s in found)], 1)
    scores[seqs < 0] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(seqs, order, axis=1)
