"""Queries that have right pictures in a library, and queries that have none."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks._scenes import Storybook, Vectors
from benchmarks._vectors import World
from mcp_vlsearch.core.likeness import Likeness, LookAlikes
from mcp_vlsearch.core.relevance import Background, judge
from mcp_vlsearch.storybook.captions import Detail, Fact, Language, caption, facts_of
from mcp_vlsearch.storybook.changes import change
from mcp_vlsearch.storybook.scene import sample_scene
from mcp_vlsearch.types import Relevance

__all__ = ["Asked", "Judge", "Judged", "Scenes", "world_asked"]

Flags = NDArray[np.bool_]

TOP: Final = 10
SAMPLE: Final = 1000
"""As many random pictures as a library keeps to compare with."""
LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")
DETAILS: Final[tuple[Detail, ...]] = ("terse", "phrase", "full")
SPARE: Final = 1.2
"""Scenes, against the largest library: so many are left where those with an object are not."""

# fmt: off
UNKNOWN: Final = (
    "violin", "elephant", "laptop", "wedding", "passport", "people", "a man with a beard", "zebra",
    "mountain lake", "invoice", "x-ray of a knee", "soccer match", "piano", "skyscraper", "tractor",
    "mobile phone on a desk", "lighthouse", "baby sleeping", "sushi", "spreadsheet", "horse race",
    "bridge over a river", "firefighter", "dinosaur", "waterfall", "microscope", "newspaper",
    "dentist", "volcano", "swimming pool", "大象", "小提琴", "婚礼", "护照", "人", "山", "发票",
    "恐龙", "瀑布", "手机", "医生", "足球比赛", "钢琴", "斑马", "灯塔",
)
"""What no scene shows and no caption names."""
NONSENSE: Final = (
    "asdf qwer", "qwertz", "xkcd vlsw", "lorem ipsum dolor", "zzzzzz", "blorp", "frobnicate",
    "12345", "8f3a9c", "...", "!!!", "foo bar baz", "hjkl", "wvut srqp", "gnarfle", "qux", "嗯嗯啊",
    "的了吗", "々〆ヶ", "абвгд", "aoeu snth", "mnbv cxz", "plugh xyzzy", "sdkfjh", "oiuwer lkj",
    "0000", "x", "?", "null", "nan",
)
# fmt: on


class Asked(NamedTuple):
    """A query over a library of vectors; ``right`` says of each which are right.

    It is None where the library has nothing that the query asks for. ``picture`` is the picture of
    a composed query alone.
    """

    kind: str
    vector: Vectors
    library: Vectors
    right: Flags | None
    picture: Vectors | None = None


class Judged(NamedTuple):
    """The relevance of a query's hits, and which of them are right (None: there is nothing)."""

    kind: str
    relevances: Sequence[Relevance]
    right: Flags | None


class Judge:
    """Judges the first hits of queries, as a library would, with a sample of its own."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._likeness: dict[tuple[int, int], Likeness] = {}

    def __call__(self, asked: Asked) -> Judged:
        """Return what the best hits of a query are said to be."""
        library = asked.library
        scores = library @ asked.vector
        rows = self._rng.permutation(len(library))[:SAMPLE]
        background = Background.of(scores[rows], len(library), self._alike(asked, rows))
        best = np.argsort(-scores)[:TOP]
        right = None if asked.right is None else asked.right[best]
        return Judged(asked.kind, judge(scores[best], background), right)

    def _alike(self, asked: Asked, rows: NDArray[np.int64]) -> Likeness:
        """Return how look-alikes stand out; once for large libraries of a size, to save time."""
        library = asked.library
        alike = LookAlikes(library[rows], len(library))
        if asked.picture is not None:
            return alike.of_composed(asked.vector, asked.picture)
        size = len(library), library.shape[1]
        if size not in self._likeness or len(library) < SAMPLE // 2:
            self._likeness[size] = alike.of_pictures
        return self._likeness[size]


class Scenes:
    """Storybook scenes with what is asked of them: captions, the same drawn anew, and changed."""

    def __init__(self, model: Storybook, largest: int, queries: int, seed: int) -> None:
        rng = random.Random(f"storybook relevance {seed}")
        self._scenes = [sample_scene(rng) for _ in range(int(largest * SPARE))]
        asked = self._scenes[:queries]
        self._captions = {
            f"{language} {detail}": [caption(scene, rng, language, detail) for scene in asked]
            for language in LANGUAGES
            for detail in DETAILS
        }
        self._texts = {k: model.texts([c.text for c in v]) for k, v in self._captions.items()}
        self._words = {"unknown": model.texts(UNKNOWN), "nonsense": model.texts(NONSENSE)}
        anew = [replace(scene, seed=rng.getrandbits(32)) for scene in asked]
        changes = [change(scene, rng) for scene in asked]
        changed = [replace(c.scene, seed=rng.getrandbits(32)) for c in changes]
        vectors = model.pictures([*self._scenes, *anew, *changed])
        count = len(self._scenes)
        self._rows, self._anew, self._changed = np.split(vectors, [count, count + len(anew)])
        self._facts = [facts_of(scene) for scene in self._scenes]
        self._changed_facts = [facts_of(scene) for scene in changed]
        self._composed = {
            f"{language} composed": model.composed(asked, [c.request[language] for c in changes])
            for language in LANGUAGES
        }

    def asked(self, size: int) -> Iterator[Asked]:
        """Yield queries over libraries of a size; each once with right pictures, once without.

        There is none with a picture of any object that a query names (or, if it names none, with
        its setting, style or colour). Small libraries are several, each with scenes of its own.
        """
        for kind, captions in self._captions.items():
            for number, stated in enumerate(captions):
                vector = self._texts[kind][number]
                first = self._first(number, size)
                facts = self._facts[first : first + size]
                right = np.array([stated.facts <= own for own in facts])
                yield Asked(kind, vector, self._rows[first : first + size], right)
                yield Asked(kind, vector, self._without(stated.facts, number, size), None)
        for number, vector in enumerate(self._anew):
            first = self._first(number, size)
            right = np.arange(first, first + size) == number
            yield Asked("picture", vector, self._rows[first : first + size], right)
            yield Asked("picture", vector, self._without(self._facts[number], number, size), None)
        for kind, vectors in self._words.items():
            for vector in vectors:
                yield Asked(kind, vector, self._rows[:size], None)

    def composed(self, size: int) -> Iterator[Asked]:
        """Yield queries by a scene and a text, over libraries as :meth:`asked` has them.

        The changed scene is where the given one was, which is no answer.
        """
        for kind, vectors in self._composed.items():
            for number, vector in enumerate(vectors):
                first = self._first(number, size)
                library = self._rows[first : first + size].copy()
                library[number - first] = self._changed[number]
                lacking = self._without(self._changed_facts[number], number, size)
                right = np.arange(first, first + size) == number
                yield Asked(kind, vector, library, right, self._rows[number])
                yield Asked(kind, vector, lacking, None, self._rows[number])

    def _first(self, number: int, size: int) -> int:
        """Return where the library begins that holds a scene."""
        return number // size * size

    def _without(self, facts: frozenset[Fact], number: int, size: int) -> Vectors:
        named = {fact for fact in facts if fact[0] == "is"} or set(facts)
        none = np.zeros(len(self._scenes), bool)
        has = np.any([self._having.get(fact, none) for fact in named], axis=0)
        lacking = np.flatnonzero(~has)
        start = min(self._first(number, size), max(len(lacking) - size, 0))
        return self._rows[lacking[start : start + size]]

    @cached_property
    def _having(self) -> dict[Fact, Flags]:
        """Which scenes have each fact."""
        every = set[Fact]().union(*self._facts)
        return {fact: np.array([fact in own for own in self._facts]) for fact in every}


def world_asked(dim: int, size: int, queries: int, seed: int) -> Iterator[Asked]:
    """Yield queries by text over made-up vectors, each with its own picture and without a theme.

    Texts that have no picture there belong to themes of another world, in the same place.
    """
    world, other = World(dim, seed), World(dim, seed)
    vars(other)["_themes"] = World(dim, seed + 1)._themes
    rows = world.pictures(size)
    texts, theirs = world.queries(queries, "text"), world.queries(queries, "picture")
    right = np.arange(size) == size - 1
    for text, picture in zip(texts, theirs, strict=True):
        library = rows.copy()
        library[-1] = picture
        yield Asked("text", text, library, right)
    for text in other.queries(queries, "text"):
        yield Asked("text", text, rows, None)
