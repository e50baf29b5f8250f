"""What a storybook picture shows, before it is drawn, and how such scenes are sampled.

A scene is pure data and its sampling uses only the given generator, so one seed always gives the
same gallery on every machine.
"""

import random
import zlib
from dataclasses import dataclass
from typing import Final, Literal

from mcp_vlsearch.storybook.vocabulary import COLOURS, OBJECTS, SETTINGS, SIGN_WORDS, STYLES

__all__ = ["Item", "Pairs", "Scene", "held_out", "sample_scene"]

Pairs = Literal["all", "training", "held-out"]
Layout = Literal["single", "beside", "stacked", "trio"]

SIZES: Final = ("small", "medium", "large")
PLACES: Final = (
    "centre",
    "left",
    "right",
    "top",
    "bottom",
    "top left",
    "top right",
    "bottom left",
    "bottom right",
)
ASPECTS: Final[tuple[tuple[int, int], ...]] = ((1, 1), (4, 3), (3, 4), (3, 2), (2, 3), (16, 9))


@dataclass(frozen=True)
class Item:
    """One kind of object in a scene: ``count`` copies of it, in one colour, at one place.

    A sign (``kind == "sign"``) carries ``word``; its ``colour`` is the colour of its board.
    """

    kind: str
    colour: str
    place: str
    count: int = 1
    size: str = "medium"
    word: str = ""


@dataclass(frozen=True)
class Scene:
    """Items in a setting, in a drawing style; ``layout`` says how the items' places relate."""

    setting: str
    style: str
    aspect: tuple[int, int]
    layout: Layout
    items: tuple[Item, ...]
    seed: int


def held_out(kind: str, colour: str) -> bool:
    """Say whether an object–colour pair never appears in training (about one in twelve)."""
    return zlib.crc32(f"{kind}/{colour}".encode()) % 12 == 0


def sample_scene(rng: random.Random, pairs: Pairs = "all") -> Scene:
    """Draw a scene at random.

    ``pairs="training"`` never uses a held-out object–colour pair; ``"held-out"`` has at least one
    in every scene.
    """
    layout: Layout = rng.choices(("single", "beside", "stacked", "trio"), (4, 4, 2, 2))[0]
    places = _places(rng, layout)
    items: list[Item] = []
    for place in places:
        only_held_out = pairs == "held-out" and not items
        items.append(
            _sample_item(rng, layout, place, {i.kind for i in items}, pairs, only_held_out)
        )
    return Scene(
        setting=rng.choice(tuple(SETTINGS)),
        style=rng.choice(tuple(STYLES)),
        aspect=rng.choice(ASPECTS),
        layout=layout,
        items=tuple(items),
        seed=rng.getrandbits(32),
    )


def _places(rng: random.Random, layout: Layout) -> tuple[str, ...]:
    match layout:
        case "single":
            return (rng.choice(PLACES),)
        case "beside":
            return ("left", "right")
        case "stacked":
            return ("top", "bottom")
        case "trio":
            return ("left", "centre", "right")


def _sample_item(
    rng: random.Random,
    layout: Layout,
    place: str,
    taken: set[str],
    pairs: Pairs,
    only_held_out: bool,
) -> Item:
    if not only_held_out and "sign" not in taken and rng.random() < 0.14:
        colour = rng.choice(("white", "yellow", "blue", "green", "red"))
        size = "large" if layout == "single" else "medium"
        return Item("sign", colour, place, size=size, word=rng.choice(SIGN_WORDS))
    kind, colour = _sample_pair(rng, taken, pairs, only_held_out)
    count = 1
    if layout != "trio" and rng.random() < 0.3:
        count = rng.choice((2, 3, 4))
    corner = " " in place
    sizes = ("small", "medium") if corner or count > 1 else SIZES
    return Item(kind, colour, place, count=count, size=rng.choice(sizes))


def _sample_pair(
    rng: random.Random, taken: set[str], pairs: Pairs, only_held_out: bool
) -> tuple[str, str]:
    while True:
        kind, colour = rng.choice(tuple(OBJECTS)), rng.choice(tuple(COLOURS))
        if kind in taken:
            continue
        if only_held_out and not held_out(kind, colour):
            continue
        if pairs == "training" and held_out(kind, colour):
            continue
        return kind, colour
