"""Pictures through a Qwen3-VL's vision tower, packed: transformers' weights, another way."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from mcp_vlsearch.encoders.qwen3_vl.packing import (
    Run,
    extended,
    rotate,
    rotation,
    rounded,
    runs_of,
    to_device,
)
from mcp_vlsearch.encoders.qwen3_vl.pixels import Patches, PixelFormat
from mcp_vlsearch.encoders.qwen3_vl.products import packed

if TYPE_CHECKING:
    from transformers import Qwen3VLVisionModel

__all__ = ["VisionTower"]

_GRIDS: Final = 32
# A power of two: bytes divided by it are exact in every number format.
_SCALE: Final = 128.0


class VisionTower:
    """Turns pictures into the states of their image tokens."""

    def __init__(self, visual: Qwen3VLVisionModel, pixels: PixelFormat) -> None:
        self._visual = visual
        self._device = visual.device
        self._dtype = visual.dtype
        self._patch_embedding = _patch_embedding(visual.patch_embed.proj, pixels)
        self._positions = lru_cache(maxsize=_GRIDS)(self._grid_positions)

    def __call__(self, pictures: Sequence[Patches]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return states of all image tokens and what deepstack adds, each (tokens, hidden size).

        Pictures of one number of patches should lie together: they share a product in attention.
        """
        visual = self._visual
        runs = runs_of([len(picture.values) for picture in pictures])
        merged = visual.spatial_merge_size**2
        tokens = runs[-1].stop // merged
        patches = rounded(tokens, self._device) * merged
        embedded, *angles = (extended(each, patches) for each in self._at_positions(pictures))
        states = self._embed(pictures, patches).add_(embedded)
        deepstack = []
        for number, block in enumerate(visual.blocks):
            states = states + _attend(block.attn, block.norm1(states), runs, *angles)
            states = states + block.mlp(block.norm2(states))
            if number in visual.deepstack_visual_indexes:
                at = visual.deepstack_visual_indexes.index(number)
                deepstack.append(visual.deepstack_merger_list[at](states)[:tokens])
        return visual.merger(states)[:tokens], deepstack

    def _embed(self, pictures: Sequence[Patches], count: int) -> torch.Tensor:
        values = [picture.values.reshape(len(picture.values), -1) for picture in pictures]
        patches = to_device(values, self._device).to(self._dtype).div_(_SCALE)
        embedded: torch.Tensor = self._patch_embedding(extended(patches, count))
        return embedded

    def _at_positions(self, pictures: Sequence[Patches]) -> list[torch.Tensor]:
        each = [self._positions(p.rows, p.columns) for p in pictures]
        return [torch.cat(parts) for parts in zip(*each, strict=True)]

    def _grid_positions(
        self, rows: int, columns: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return a grid's position embedding and, for :func:`rotate`, its cosines and sines."""
        from transformers.vision_utils import (
            get_vision_interpolation_indices_and_weights,
            get_vision_position_ids,
        )

        visual = self._visual
        grid = torch.tensor([[1, rows, columns]])
        indices, weights = get_vision_interpolation_indices_and_weights(
            grid,
            num_grid_per_side=visual.num_grid_per_side,
            mode=visual.interpolation_mode,
            align_corners=visual.interpolation_align_corners,
            spatial_merge_size=visual.spatial_merge_size,
        )
        at = get_vision_position_ids(grid, visual.spatial_merge_size)
        indices, weights, at = (
            to_device([values.numpy()], self._device) for values in (indices, weights, at)
        )
        taken = visual.pos_embed(indices)
        embedded = (taken * weights[:, :, None]).sum(1).to(self._dtype)
        cos, sin = rotation(*visual.rotary_pos_emb(embedded, at))
        return embedded, cos.to(self._dtype), sin.to(self._dtype)


def _patch_embedding(convolution: Any, pixels: PixelFormat) -> nn.Module:
    """Return the convolution over a normalised, repeated frame as a product with its bytes."""
    weight = convolution.weight.detach().double().sum(2)  # a still picture's frames are the same
    std = torch.tensor(pixels.std, dtype=torch.float64, device=weight.device).view(-1, 1, 1)
    mean = torch.tensor(pixels.mean, dtype=torch.float64, device=weight.device).view(-1, 1, 1)
    scaled = (weight * (_SCALE / 255 / std)).to(convolution.weight.dtype)
    # from the rounded weights, so that a grey picture doesn't add up their errors
    offset = (scaled.double() * (mean * 255 / _SCALE)).sum((1, 2, 3))
    bias = convolution.bias.detach().double() - offset
    linear = nn.Linear(scaled[0].numel(), len(scaled), device="meta")
    linear.weight = nn.Parameter(scaled.flatten(1), requires_grad=False)
    linear.bias = nn.Parameter(bias.to(scaled.dtype), requires_grad=False)
    return packed(linear)


def _attend(
    module: Any,
    states: torch.Tensor,
    runs: Sequence[Run],
    cos: torch.Tensor,
    sin: torch.Tensor,
) -> torch.Tensor:
    heads = module.num_heads
    qkv = module.qkv(states).view(len(states), 3 * heads, -1)
    query, key = rotate(qkv[:, : 2 * heads], cos, sin).chunk(2, dim=1)
    value = qkv[:, 2 * heads :]
    mixed = [
        F.scaled_dot_product_attention(run.by_head(query), run.by_head(key), run.by_head(value))
        .transpose(1, 2)
        .reshape(run.stop - run.start, -1)
        for run in runs
    ]
    together = mixed[0] if len(mixed) == 1 else torch.cat(mixed)
    return module.proj(extended(together, len(states)))  # type: ignore[no-any-return]
