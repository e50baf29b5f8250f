"""Draw the training pictures at the size the model sees, into one array per picture size.

    python -m training.render training/runs/pictures --pairs 24000

A part that is already there is kept, so an interrupted run goes on. About 5 ms a picture and core.
"""

import argparse
import multiprocessing
import os
import random
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mcp_vlsearch.storybook.drawing import draw
from training.checkpoint import MAX_PIXELS, target_size
from training.scenes import Pair, training_pair

PART = 1000
"""Pairs per file."""


def pictures(pair: Pair) -> NDArray[np.uint8]:
    """Draw a scene and its near miss, resized as the encoder does: (2, height, width, 3).

    The resolution that they are drawn at varies, as that of a user's gallery does.
    """
    rng = random.Random(pair.scene.seed)
    pixels = round(MAX_PIXELS * rng.choice((1.5, 2.5, 4.0, 10.0)))
    drawn = [draw(scene, pixels) for scene in (pair.scene, pair.changed)]
    size = target_size(*drawn[0].size)
    return np.stack([np.asarray(d.resize(size, Image.Resampling.BICUBIC)) for d in drawn])


def render_part(task: tuple[Path, int]) -> int:
    """Draw the pairs of one part: for each picture size, the pair numbers and the pictures."""
    folder, part = task
    path = folder / f"part-{part:04d}.npz"
    if not path.exists():
        groups: dict[str, list[tuple[int, NDArray[np.uint8]]]] = {}
        for number in range(part * PART, (part + 1) * PART):
            drawn = pictures(training_pair(number))
            _, height, width, _ = drawn.shape
            groups.setdefault(f"{width}x{height}", []).append((number, drawn))
        arrays: dict[str, NDArray[np.generic]] = {}
        for size, group in groups.items():
            arrays[f"numbers {size}"] = np.array([number for number, _ in group])
            arrays[f"pictures {size}"] = np.stack([drawn for _, drawn in group])
        beside = path.with_suffix(".tmp.npz")
        np.savez(beside, **arrays)  # type: ignore[arg-type]
        beside.replace(path)
    return part


def main() -> None:
    """Draw all parts with a process per core."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pairs", type=int, default=24_000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    tasks = [(arguments.folder, part) for part in range(-(-arguments.pairs // PART))]
    with multiprocessing.Pool(arguments.workers) as pool:
        for done, part in enumerate(pool.imap(render_part, tasks), 1):
            print(f"part {part}: {done} of {len(tasks)}", flush=True)


if __name__ == "__main__":
    main()
