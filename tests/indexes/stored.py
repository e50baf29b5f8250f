"""What tests of stored indexes share: vectors with structure, and stores of whole indexes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mcp_vlsearch.contracts import Space
from mcp_vlsearch.indexes.faiss import FaissIndex
from mcp_vlsearch.settings import Settings

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs, Vectors

DIM = 32
SPACE = Space("0123456789abcdef", DIM)


def make(
    library: Path, kind: str = "auto", space: Space = SPACE, read_only: bool = False
) -> FaissIndex:
    """Return an index of a library that may have a base."""
    settings = Settings(library=library, index_kind=kind, read_only=read_only)
    return FaissIndex(settings, space)


def clustered(count: int, dim: int = DIM, seed: int = 0) -> Vectors:
    """Return unit rows in a hundred clusters, of several sizes, each of few directions."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((100, dim))
    directions = np.random.default_rng(98).standard_normal((100, 8, dim)) / 2
    which = np.minimum(random.geometric(0.03, count) - 1, 99)
    along = random.standard_normal((count, 1, 8))
    rows = centres[which] + (along @ directions[which])[:, 0]
    rows += random.standard_normal((count, dim)) / 4
    unit: Vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def numbers(first: int, last: int) -> Seqs:
    """Return seqs."""
    return np.arange(first, last + 1)


def store(
    index: FaissIndex, seqs: Seqs, vectors: Vectors, last_removal: int = 0, block: int = 700
) -> None:
    """Store rows, in blocks."""
    starts = range(0, len(seqs), block)
    blocks = ((seqs[s : s + block], vectors[s : s + block]) for s in starts)
    index.store(blocks, len(seqs), last_removal, lambda _: None)


def exact(vectors: Vectors, seqs: Seqs, queries: Vectors, k: int) -> list[list[int]]:
    """Return the seqs of the nearest rows as a plain NumPy search finds them."""
    scores = queries.astype(np.float64) @ vectors.T.astype(np.float64)
    best = np.argsort(-scores, axis=1)[:, :k]
    return [seqs[row].tolist() for row in best]


def recall(found: Seqs, right: list[list[int]]) -> float:
    """Return which part of the right seqs was found."""
    hits = [len(set(row.tolist()) & set(best)) for row, best in zip(found, right, strict=True)]
    return sum(hits) / max(sum(map(len, right)), 1)
