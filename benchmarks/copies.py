"""Which judge tells copies of a picture from pictures that differ in one thing.

    python -m benchmarks.copies
    python -m benchmarks.copies --scenes 500 --seed 7

Storybook scenes that no training saw, each with copies that were recompressed, resized, stretched
or cut, and with near misses: one thing of the scene changed, or the same things drawn anew. The
judges are ours, two hashes of 64 bits, and the cosine of the built-in model's vectors alone.
"""

from __future__ import annotations

import argparse
import io
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks._machine import describe
from benchmarks._tables import RESULTS, Table, progress, save
from mcp_vlsearch.core.look import is_copy, look_of
from mcp_vlsearch.encoders.qwen3_vl import Qwen3VLEncoder
from mcp_vlsearch.settings import load_settings
from mcp_vlsearch.storybook.changes import change
from mcp_vlsearch.storybook.drawing import draw
from mcp_vlsearch.storybook.scene import Scene, sample_scene

SEED: Final = 2032
NEAR: Final = 10
"""Bits of 64 by which the hashes of copies may differ, as their authors advise."""
THRESHOLD: Final = 0.95

Change = Callable[[Image.Image, random.Random], Image.Image]
Judge = Callable[[Any, Any], bool]


def recompressed(image: Image.Image, rng: random.Random) -> Image.Image:
    """Save it as a JPEG or WebP of low to high quality."""
    file = io.BytesIO()
    image.save(file, rng.choice(("JPEG", "WEBP")), quality=rng.randint(25, 95))
    return Image.open(file).convert("RGB")


def resized(image: Image.Image, rng: random.Random) -> Image.Image:
    """Make it a fifth to twice as large, and a JPEG."""
    scale = 2 ** rng.uniform(-2.3, 1)
    size = round(image.width * scale), round(image.height * scale)
    return recompressed(image.resize(size, Image.Resampling.LANCZOS), rng)


def stretched(image: Image.Image, rng: random.Random) -> Image.Image:
    """Change its shape by up to a tenth."""
    return image.resize((image.width, round(image.height * rng.uniform(0.9, 1.1))))


def cut(image: Image.Image, rng: random.Random) -> Image.Image:
    """Cut up to a twentieth off each side, and make it a JPEG."""
    left, top, right, bottom = (rng.uniform(0, 0.05) for _ in range(4))
    box = (left, top, 1 - right, 1 - bottom)
    edges = [round(edge * image.size[i % 2]) for i, edge in enumerate(box)]
    return recompressed(image.crop((edges[0], edges[1], edges[2], edges[3])), rng)


COPIES: Final[dict[str, Change]] = {
    "recompressed": recompressed,
    "resized": resized,
    "stretched": stretched,
    "cut": cut,
}


def misses(scene: Scene, rng: random.Random) -> Iterator[tuple[str, Image.Image]]:
    """Yield pictures that are no copies of a scene's."""
    yield "one thing changed", draw(change(scene, rng).scene)
    yield "drawn anew", draw(replace(scene, seed=rng.getrandbits(32)))


def difference_hash(image: Image.Image) -> NDArray[np.bool_]:
    """Return 64 bits: which of 8 × 8 greys are brighter than their neighbour (Krawetz, 2013)."""
    grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.LANCZOS), int)
    return np.asarray(grey[:, 1:] > grey[:, :-1])


def cosine_hash(image: Image.Image) -> NDArray[np.bool_]:
    """Return 64 bits: which low frequencies of the DCT exceed their median (Zauner, 2010)."""
    grey = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.LANCZOS), float)
    at = np.pi * np.outer(np.arange(8), np.arange(32) + 0.5) / 32
    low = np.cos(at) @ grey @ np.cos(at).T
    return np.asarray(low > np.median(low))


def judges(encoder: Qwen3VLEncoder) -> dict[str, tuple[Callable[[Image.Image], Any], Judge]]:
    """Return what each judge looks at, and how it decides."""

    def vector_of(image: Image.Image) -> NDArray[np.float32]:
        return np.asarray(encoder.encode_images([image])[0])

    def near(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> bool:
        return int((first != second).sum()) <= NEAR

    def similar(first: NDArray[np.float32], second: NDArray[np.float32]) -> bool:
        return float(first @ second) >= THRESHOLD

    def both(first: Any, second: Any) -> bool:
        return similar(first[0], second[0]) and is_copy(first[1], second[1])

    return {
        "vectors, then pixels": (lambda image: (vector_of(image), look_of(image)), both),
        "pixels alone": (look_of, is_copy),
        "difference hash": (difference_hash, near),
        "DCT hash": (cosine_hash, near),
        "vectors alone": (vector_of, similar),
    }


def measure(scenes: Sequence[Scene], encoder: Qwen3VLEncoder) -> dict[str, dict[str, list[bool]]]:
    """Return for each judge by kind of pair whether it took the two for copies."""
    found: dict[str, dict[str, list[bool]]] = {name: {} for name in judges(encoder)}
    for number, scene in enumerate(scenes):
        rng = random.Random(f"storybook copies {scene.seed}")
        image = draw(scene)
        others = [(kind, make(image, rng)) for kind, make in COPIES.items()]
        others += misses(scene, rng)
        for name, (see, judge) in judges(encoder).items():
            seen = see(image)
            for kind, other in others:
                found[name].setdefault(kind, []).append(judge(seen, see(other)))
        if number % 50 == 0:
            progress(f"{number} of {len(scenes)} scenes")
    return found


def main(given: Sequence[str] | None = None) -> None:
    """Let all judges decide, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scenes", type=int, default=300)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, default=RESULTS / "copies.json")
    options = parser.parse_args(given)
    encoder = Qwen3VLEncoder(
        load_settings({"model": "storybook", "precision": "fp32", "device": "cpu"})
    )
    rng = random.Random(f"storybook copies {options.seed}")
    scenes = [sample_scene(rng, "held-out") for _ in range(options.scenes)]
    found = measure(scenes, encoder)
    kinds = list(next(iter(found.values())))
    table = Table(
        "Pairs that are taken for copies",
        {"judge": "", **dict.fromkeys(kinds, ".3f")},
        [[name, *(float(np.mean(by[kind])) for kind in kinds)] for name, by in found.items()],
        [
            f"{options.scenes} scenes. The last two columns are no copies. Vectors have a cosine "
            f"of at least {THRESHOLD}, hashes differ in at most {NEAR} of 64 bits.",
        ],
    )
    save(options.out, [table], describe(), vars(options))


if __name__ == "__main__":
    main()
