"""Several phrasings of one wish, and the ways to make one search of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from benchmarks._composed_tasks import reciprocal, standardised, units
from benchmarks._scenes import Storybook, Vectors
from mcp_vlsearch.storybook.captions import Language, caption
from mcp_vlsearch.storybook.scene import Scene

__all__ = ["WAYS", "phrased"]

PHRASINGS: Final = 3

Way = Callable[[Vectors, Vectors], Vectors]
"""From phrasings, shape (phrasings, queries, dim), and a gallery to scores, (queries, pictures)."""


def phrased(
    model: Storybook, scenes: Sequence[Scene], language: Language, rng: random.Random, wrong: int
) -> Vectors:
    """Return vectors of phrases about each scene, the last so many about the scene that follows.

    Their shape is (phrasings, queries, dim).
    """
    found = []
    for number in range(PHRASINGS):
        shift = int(number >= PHRASINGS - wrong)
        asked = [scenes[(place + shift) % len(scenes)] for place in range(len(scenes))]
        found.append(model.texts([caption(s, rng, language, "phrase").text for s in asked]))
    return np.stack(found)


def _weighted(phrasings: Vectors, gallery: Vectors) -> Vectors:
    return units(phrasings.sum(axis=0) + phrasings[0]) @ gallery.T


def _fused_ranks(phrasings: Vectors, gallery: Vectors) -> Vectors:
    parts = [-reciprocal(phrasing @ gallery.T) for phrasing in phrasings]
    return np.asarray(np.sum(parts, axis=0), np.float32)


def _best(phrasings: Vectors, gallery: Vectors) -> Vectors:
    parts = [standardised(phrasing @ gallery.T) for phrasing in phrasings]
    return np.asarray(np.max(parts, axis=0), np.float32)


WAYS: Final[dict[str, Way]] = {
    "the first alone": lambda phrasings, gallery: phrasings[0] @ gallery.T,
    "mean": lambda phrasings, gallery: units(phrasings.mean(axis=0)) @ gallery.T,
    "mean, the first twice": _weighted,
    "ranks fused": _fused_ranks,
    "best of each, standardised": _best,
}
