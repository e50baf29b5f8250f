"""Composed queries over storybook scenes, and the ways to answer them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from benchmarks._scenes import Storybook, Vectors
from mcp_vlsearch.core.fuse import ANYTHING, compose
from mcp_vlsearch.storybook.captions import Language
from mcp_vlsearch.storybook.changes import change
from mcp_vlsearch.storybook.scene import Scene, sample_scene

__all__ = [
    "KINDS",
    "Composed",
    "composed_queries",
    "composed_ways",
    "kind_of",
    "reciprocal",
    "standardised",
    "units",
]

Kind = Literal["colour", "setting", "position"]
KINDS: Final[tuple[Kind, ...]] = ("colour", "setting", "position")

NEAR: Final = 3
"""Near misses of each given scene, besides the right one."""


@dataclass(frozen=True)
class Composed:
    """A given scene, the one that is wanted, near misses, and how a person asks for it."""

    kind: Kind
    given: Scene
    wanted: Scene
    near: tuple[Scene, ...]
    request: Mapping[Language, str]


def kind_of(before: Scene, after: Scene) -> str:
    """Say what differs between a scene and one that is changed in one thing."""
    if before.setting != after.setting:
        return "setting"
    if before.style != after.style:
        return "style"
    old, new = next((a, b) for a, b in zip(before.items, after.items, strict=True) if a != b)
    if old.kind != new.kind:
        is_swapped = {i.kind for i in before.items} == {i.kind for i in after.items}
        return "position" if is_swapped else "object"
    return "colour" if old.colour != new.colour else "word"


def composed_queries(rng: random.Random, each: int) -> list[Composed]:
    """Return so many queries of each kind. Every scene is drawn anew, with another background."""
    return [_query(rng, kind) for kind in KINDS for _ in range(each)]


def _query(rng: random.Random, kind: Kind) -> Composed:
    while True:
        given = sample_scene(rng)
        wanted = change(given, rng)
        if kind_of(given, wanted.scene) == kind:
            break
    near: list[Scene] = []
    while len(near) < NEAR:
        other = change(given, rng).scene
        if other not in (wanted.scene, *near):
            near.append(other)
    return Composed(
        kind,
        given,
        _anew(wanted.scene, rng),
        tuple(_anew(scene, rng) for scene in near),
        wanted.request,
    )


def _anew(scene: Scene, rng: random.Random) -> Scene:
    return replace(scene, seed=rng.getrandbits(32))


def composed_ways(
    model: Storybook,
    queries: Sequence[Composed],
    gallery: Vectors,
    language: Language,
) -> dict[str, Vectors]:
    """Return by way what each query scores, shape (queries, pictures).

    The first pictures of the gallery are those that are given.
    """
    requests = [query.request[language] for query in queries]
    pictures = gallery[: len(queries)]
    texts, (anything,) = model.texts(requests), model.texts([ANYTHING])
    both = model.composed([query.given for query in queries], requests)
    middle = gallery.mean(axis=0)
    by_text, by_picture, by_both = (part @ gallery.T for part in (texts, pictures, both))
    added = np.stack([compose(p, t, anything) for p, t in zip(pictures, texts, strict=True)])
    centred = units(units(pictures - middle) + units(texts - anything))
    return {
        "text alone": by_text,
        "picture alone": by_picture,
        "mean of both": units(pictures + texts) @ gallery.T,
        "sum, centred": centred @ gallery.T,
        f'picture + text - "{ANYTHING}"': added @ gallery.T,
        "ranks fused": -reciprocal(by_text) - reciprocal(by_picture),
        "product, standardised": positive(by_text) * positive(by_picture),
        "least, standardised": np.minimum(standardised(by_text), standardised(by_picture)),
        "encoded together": by_both,
        "together - 0.2 picture": units(both - 0.2 * pictures) @ gallery.T,
        "together + text": standardised(by_both) + 0.3 * standardised(by_text),
    }


def units(rows: Vectors) -> Vectors:
    """Return rows at length 1."""
    unit: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def standardised(scores: Vectors) -> Vectors:
    """Return each query's scores in standard deviations from their mean."""
    found: Vectors = (scores - scores.mean(axis=1, keepdims=True)) / scores.std(axis=1)[:, None]
    return found


def positive(scores: Vectors) -> Vectors:
    """Return standardised scores, none below 0."""
    found: Vectors = np.maximum(standardised(scores), 0)
    return found


def reciprocal(scores: Vectors) -> Vectors:
    """Return what reciprocal rank fusion gives for each score, negated, with its usual 60."""
    places = np.argsort(np.argsort(-scores, axis=1), axis=1)
    return np.asarray(-1 / (61 + places), np.float32)
