"""Pictures to encode: in memory, as a gallery's files, and as files of a camera's size."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mcp_vlsearch.storybook import draw_gallery, sample_scene
from mcp_vlsearch.storybook.drawing import draw

__all__ = ["camera", "gallery", "in_memory"]

# Shapes of photographs, screenshots and scans, as width to height.
ASPECTS: Final = (1.0, 4 / 3, 3 / 4, 16 / 9, 3 / 2, 2 / 3, 9 / 16)
CAMERA: Final = (4000, 3000)
SCENES: Final = 4


def in_memory(count: int, side: int, *, mixed: bool) -> list[Image.Image]:
    """Return smooth random pictures of about side² pixels, of one shape or of many."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(count):
        aspect = ASPECTS[number % len(ASPECTS)] if mixed else 1.0
        size = round(side * aspect**0.5), round(side / aspect**0.5)
        colours = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        made.append(Image.fromarray(colours).resize(size, Image.Resampling.BICUBIC))
    order = rng.permutation(count)
    return [made[i] for i in order]


def gallery(folder: Path, count: int) -> list[Path]:
    """Draw storybook scenes of ordinary size, half of them PNG, half JPEG; return their paths."""
    draw_gallery(folder, count, seed=0)
    for path in sorted(folder.glob("*.png"))[1::2]:
        Image.open(path).save(path.with_suffix(".jpg"), quality=90)
        path.unlink()
    return sorted(path for path in folder.iterdir() if path.suffix in (".png", ".jpg"))


def camera(folder: Path, count: int) -> list[Path]:
    """Write JPEGs of 12 megapixels, all different; return their paths.

    They are a few storybook scenes, enlarged and with a sensor's noise, each shifted anew.
    """
    folder.mkdir(parents=True)
    width, height = CAMERA
    originals = [_enlarged(number) for number in range(min(count, SCENES))]
    paths = []
    for number in range(count):
        shift = number * height // max(count, 2), number * width // max(count, 2)
        pixels = np.roll(originals[number % len(originals)], shift, axis=(0, 1))
        paths.append(folder / f"photo-{number:04d}.jpg")
        Image.fromarray(pixels).save(paths[-1], quality=90)
    return paths


def _enlarged(number: int) -> NDArray[np.uint8]:
    scene = draw(sample_scene(random.Random(number)))
    pixels = np.asarray(scene.resize(CAMERA, Image.Resampling.BICUBIC)).astype(np.int16)
    noise = np.random.default_rng(number).integers(-12, 13, pixels.shape, dtype=np.int16)
    noisy: NDArray[np.uint8] = np.clip(pixels + noise, 0, 255).astype(np.uint8)
    return noisy
