"""Patches are those of transformers' Pillow processor, number by number."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import (
    Qwen2VLImageProcessorPil,
    smart_resize,
)

from mcp_vlsearch.encoders.qwen3_vl.pixels import PixelFormat

from .stock import pixel_values

HALF = (0.5, 0.5, 0.5)
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def pixel_format(
    least: int = 4096,
    greatest: int = 25600,
    mean: tuple[float, ...] = HALF,
    std: tuple[float, ...] = HALF,
) -> PixelFormat:
    return PixelFormat(16, 2, 2, least, greatest, mean, std, Image.Resampling.BICUBIC)


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    values = np.random.default_rng(width * height).integers(0, 256, (height, width, 3))
    return Image.fromarray(values.astype(np.uint8)).convert(mode)


def of_transformers(
    image: Image.Image, pixels: PixelFormat
) -> tuple[NDArray[np.float32], list[int]]:
    processor = Qwen2VLImageProcessorPil(
        patch_size=16,
        merge_size=2,
        temporal_patch_size=2,
        image_mean=list(pixels.mean),
        image_std=list(pixels.std),
        size={"shortest_edge": pixels.min_pixels, "longest_edge": pixels.max_pixels},
    )
    done = processor(images=[image], return_tensors="np")
    return done["pixel_values"], done["image_grid_thw"][0].tolist()


@pytest.mark.parametrize(("mean", "std"), [(HALF, HALF), (CLIP_MEAN, CLIP_STD)])
@pytest.mark.parametrize(
    "size", [(160, 160), (64, 64), (640, 480), (33, 47), (7, 9), (1000, 90), (31, 500), (161, 159)]
)
def test_patches_equal_the_pillow_processor_exactly(
    size: tuple[int, int], mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    pixels, image = pixel_format(mean=mean, std=std), noise(*size)
    expected, grid = of_transformers(image, pixels)
    patches = pixels.patches(image)
    assert patches.values.dtype == np.uint8
    assert [1, patches.rows, patches.columns] == grid
    assert pixels.image_tokens(patches) == grid[1] * grid[2] // 4
    assert patches.nbytes == grid[1] * grid[2] * 3 * 16 * 16
    ours = pixel_values(torch.from_numpy(patches.values), pixels)
    np.testing.assert_array_equal(ours.numpy(), expected)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_every_mode_is_taken_as_rgb(mode: str) -> None:
    pixels, image = pixel_format(), noise(100, 80, mode)
    expected = pixels.patches(image.convert("RGB"))
    np.testing.assert_array_equal(pixels.patches(image).values, expected.values)


def test_a_picture_at_its_target_size_is_not_resampled(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, image = pixel_format(), noise(160, 96)
    monkeypatch.setattr(Image.Image, "resize", None)
    assert pixels.patches(image).values.shape == (60, 3, 16, 16)


def sizes() -> list[tuple[int, int]]:
    rng = np.random.default_rng(5)
    ordinary = np.exp(rng.uniform(0, np.log(8000), (4000, 2))).astype(int)
    long = np.stack([rng.integers(1, 12, 400), rng.integers(1000, 9000, 400)], axis=1)
    return [(int(w), int(h)) for w, h in np.concatenate([ordinary, long, long[:, ::-1]])]


BUDGETS = [(4096, 25600), (65536, 262144), (65536, 65536), (65536, 4096), (1, 5000)]


@pytest.mark.parametrize(("least", "greatest"), BUDGETS)
def test_every_target_size_is_whole_cells_within_the_budget_and_its_own_target(
    least: int, greatest: int
) -> None:
    pixels = pixel_format(least, greatest)
    for size in sizes():
        width, height = pixels.target_size(*size)
        assert width % 32 == height % 32 == 0
        assert 32 * 32 <= width * height <= greatest, size
        assert pixels.target_size(width, height) == (width, height), size


@pytest.mark.parametrize(("least", "greatest"), [(4096, 25600), (65536, 262144)])
def test_target_sizes_equal_smart_resize_for_all_but_very_long_pictures(
    least: int, greatest: int
) -> None:
    pixels = pixel_format(least, greatest)
    compared = 0
    for width, height in sizes():
        if max(width, height) > 24 * min(width, height):
            continue
        expected = smart_resize(height, width, 32, least, greatest)[::-1]
        assert pixels.target_size(width, height) == expected, (width, height)
        compared += 1
    assert compared > 2000
