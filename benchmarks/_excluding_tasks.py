"""Queries that exclude something, over storybook scenes that show it and others that do not."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks._scenes import Vectors
from mcp_vlsearch.core.excluding import candidates, shows, turned_away
from mcp_vlsearch.core.relevance import Background
from mcp_vlsearch.storybook.captions import Fact, Language, facts_of
from mcp_vlsearch.storybook.scene import Scene, sample_scene
from mcp_vlsearch.storybook.vocabulary import COLOURS, COLOURS_ZH, OBJECTS, SETTINGS

__all__ = ["THINGS", "TOP", "WAYS", "Excluding", "excluding_gallery", "excluding_queries"]

Thing = Literal["object", "setting", "colour"]
THINGS: Final[tuple[Thing, ...]] = ("object", "setting", "colour")

TOP: Final = 10
EACH: Final = 6
"""Scenes with the wanted object that show what is excluded, and as many that do not, by query."""


@dataclass(frozen=True)
class Excluding:
    """An object that is wanted, and a fact that pictures must not have, with its words."""

    thing: Thing
    wanted: str
    unwanted: Fact
    words: dict[Language, str]

    def wish(self, language: Language) -> str:
        """Return the words for what is wanted."""
        return OBJECTS[self.wanted].one if language == "en" else OBJECTS[self.wanted].zh


def excluding_queries(rng: random.Random, each: int) -> list[Excluding]:
    """Return so many queries for each kind of thing."""
    return [_query(rng, thing) for thing in THINGS for _ in range(each)]


def excluding_gallery(rng: random.Random, queries: Sequence[Excluding]) -> list[Scene]:
    """Return scenes with what is wanted, half of them with what is excluded, for all queries."""
    return [
        _scene(rng, query, is_shown)
        for query in queries
        for is_shown in (True, False)
        for _ in range(EACH)
    ]


def _query(rng: random.Random, thing: Thing) -> Excluding:
    wanted, other = rng.sample(tuple(OBJECTS), 2)
    if thing == "object":
        noun = OBJECTS[other]
        return Excluding(thing, wanted, ("is", other), {"en": noun.one, "zh": noun.zh})
    if thing == "setting":
        name = rng.choice(tuple(SETTINGS))
        phrase = SETTINGS[name]
        words: dict[Language, str] = {"en": phrase.terse, "zh": phrase.terse_zh}
        return Excluding(thing, wanted, ("setting", name), words)
    colour = rng.choice(tuple(COLOURS))
    return Excluding(thing, wanted, ("colour", colour), {"en": colour, "zh": COLOURS_ZH[colour]})


def _scene(rng: random.Random, query: Excluding, is_shown: bool) -> Scene:
    while True:
        scene = sample_scene(rng)
        items = list(scene.items)
        if len(items) < 2 or any(item.word for item in items):
            continue
        rng.shuffle(places := list(range(len(items))))
        items[places[0]] = replace(items[places[0]], kind=query.wanted)
        if is_shown:
            kind, name = query.unwanted
            if kind == "is":
                items[places[1]] = replace(items[places[1]], kind=name)
            elif kind == "colour":
                items[places[1]] = replace(items[places[1]], colour=name)
            else:
                scene = replace(scene, setting=name)
        scene = replace(scene, items=tuple(items))
        is_single = len({item.kind for item in items}) == len(items)
        if is_single and (query.unwanted in facts_of(scene)) == is_shown:
            return scene


Way = Callable[[Vectors, Vectors, Vectors], NDArray[np.int64]]
"""From what is wanted, what is not, and a gallery, to the rows of the hits, best first."""


def _best(scores: Vectors, count: int = TOP) -> NDArray[np.int64]:
    return np.argsort(-scores)[:count]


def _subtracted(wanted: Vectors, unwanted: Vectors, gallery: Vectors) -> NDArray[np.int64]:
    return _best(gallery @ (wanted - 0.5 * unwanted))


def _projected(wanted: Vectors, unwanted: Vectors, gallery: Vectors) -> NDArray[np.int64]:
    return _best(gallery @ turned_away(wanted, unwanted))


def _penalised(wanted: Vectors, unwanted: Vectors, gallery: Vectors) -> NDArray[np.int64]:
    for_it, against = _deviations(gallery, wanted), _deviations(gallery, unwanted)
    return _best(for_it - np.maximum(against, 0))


def _left_out(wanted: Vectors, unwanted: Vectors, gallery: Vectors) -> NDArray[np.int64]:
    rows = _best(gallery @ turned_away(wanted, unwanted), candidates(TOP))
    scores, against = gallery[rows] @ wanted, gallery[rows] @ unwanted
    rows = rows[~shows(against, scores, _background(gallery, unwanted))]
    return rows[_best(gallery[rows] @ wanted)]


def _deviations(gallery: Vectors, query: Vectors) -> Vectors:
    background = _background(gallery, query)
    assert background is not None
    return background.deviations(gallery @ query)


def _background(gallery: Vectors, query: Vectors) -> Background | None:
    return Background.of(gallery @ query, len(gallery))


WAYS: Final[dict[str, Way]] = {
    "nothing excluded": lambda wanted, _, gallery: _best(gallery @ wanted),
    "subtracted by half": _subtracted,
    "projected out": _projected,
    "penalty by deviations": _penalised,
    "left out": _left_out,
}
