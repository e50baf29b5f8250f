"""The best image of each file: a PDF or a video is found once, however many parts of it fit."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs, Vectors

__all__ = ["best_of_each_file"]

_MORE: Final = 4
"""How many times as many images are searched, if they came from too few files."""


def best_of_each_file(
    search: "Callable[[int], tuple[Vectors, Seqs]]",
    sources: Callable[[list[int]], dict[int, str]],
    wanted: int,
    most: int,
) -> "tuple[Vectors, Seqs]":
    """Return scores and seqs, shape (n,), of the best images of ``wanted`` files, best first.

    ``search(k)`` finds the k best images, scores and seqs of shape (k,); it is asked for more of
    them, up to ``most`` (at least 1), until they come from enough files. ``sources`` says by seq
    which file an image is in.
    """
    k = min(wanted, most)
    while True:
        scores, seqs = search(k)
        file_of = sources(seqs[seqs >= 0].tolist())
        first: dict[str, int] = {}
        for row, seq in enumerate(seqs.tolist()):
            if seq in file_of:
                first.setdefault(file_of[seq], row)
        if len(first) >= wanted or k >= most:
            rows = np.fromiter(first.values(), np.intp, len(first))[:wanted]
            return scores[rows], seqs[rows]
        k = min(_MORE * k, most)
