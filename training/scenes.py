"""The training scenes: families of a scene and its near misses, told apart by one thing each.

The generator is seeded with a word that no gallery uses, so no ``storybook --seed`` repeats one.
"""

import random
from dataclasses import dataclass, replace

from mcp_vlsearch.storybook.captions import Language
from mcp_vlsearch.storybook.changes import change
from mcp_vlsearch.storybook.scene import Scene, sample_scene


@dataclass(frozen=True)
class Pair:
    """A scene, a near miss of it, and the request that turns the first into the second."""

    scene: Scene
    changed: Scene
    request: dict[Language, str]


def training_pair(number: int) -> Pair:
    """Return the pair with this number: always the same one."""
    rng = random.Random(f"storybook training {number}")
    scene = sample_scene(rng, "training")
    changed = change(scene, rng)
    return Pair(scene, _reseed(changed.scene, rng), changed.request)


def _reseed(scene: Scene, rng: random.Random) -> Scene:
    # Another seed draws another background and jitter: what was asked for is all that counts.
    return replace(scene, seed=rng.getrandbits(32))
