"""How fast the device multiplies matrices, and how many operations a picture takes at least."""

from __future__ import annotations

import math
import time
from functools import partial
from typing import Any, Final

import torch

from benchmarks._machine import synchronise

__all__ = ["flops", "matmul_rate"]

# Rows of the products: as many tokens as a good batch has.
_ROWS: Final = {"cpu": 1024, "cuda": 16384}
_SECONDS: Final = 0.1
"""Least time that one rate is measured over."""


def matmul_rate(config: Any, device: str, dtype: torch.dtype) -> float:
    """Return the floating-point operations a second of the fastest of the model's large products.

    These are those of text and vision with their feed-forward weights, and a square one.
    """
    text, vision, rows = config.text_config, config.vision_config, _ROWS[device]
    square = rows // 2
    shapes = [
        (rows, text.hidden_size, text.intermediate_size),
        (rows, text.intermediate_size, text.hidden_size),
        (rows, vision.hidden_size, vision.intermediate_size),
        (square, square, square),
    ]
    return max(_rate(*shape, device, dtype) for shape in shapes)


def flops(config: Any, tokens: int) -> float:
    """Return the operations that a picture of so many image tokens takes in products of weights.

    Attention and the prompt's words are left out, and so is the last text layer, of which only the
    last token's state is needed. So a fraction of the rate that is told by this is a lower bound.
    """
    text, vision = config.text_config, config.vision_config
    heads = text.num_attention_heads + text.num_key_value_heads
    layer = 2 * heads * text.head_dim * text.hidden_size
    layer += 3 * text.hidden_size * text.intermediate_size
    block = 4 * vision.hidden_size**2 + 2 * vision.hidden_size * vision.intermediate_size
    patch = 3 * vision.patch_size**2 * vision.hidden_size
    merge = vision.spatial_merge_size**2
    merged = merge * vision.hidden_size
    mergers = 1 + len(vision.deepstack_visual_indexes)
    each = (text.num_hidden_layers - 1) * layer
    each += merge * (vision.depth * block + patch)
    each += mergers * merged * (merged + vision.out_hidden_size)
    return float(2 * tokens * each)


def _rate(rows: int, width: int, out: int, device: str, dtype: torch.dtype) -> float:
    left = torch.randn(rows, width, device=device, dtype=dtype)
    right = torch.randn(out, width, device=device, dtype=dtype)
    product = partial(torch.nn.functional.linear, left, right)
    _seconds(product, 1, device)  # warms up
    times = max(1, math.ceil(_SECONDS / _seconds(product, 1, device)))
    return 2 * rows * width * out * times / _seconds(product, times, device)


def _seconds(work: partial[torch.Tensor], times: int, device: str) -> float:
    synchronise(device)
    started = time.perf_counter()
    for _ in range(times):
        work()
    synchronise(device)
    return time.perf_counter() - started
