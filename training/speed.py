"""A training batch holds pictures of one size, so attention over all of them is one product.

The stock forward loops over pictures in every layer, which costs a third of a step on a CPU.
"""

import types
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from transformers import Qwen3VLModel


def speed_up(model: Qwen3VLModel) -> None:
    """Make the vision tower fast for batches of one grid; vectors and gradients stay the same."""
    patch_embed = model.visual.patch_embed
    patch_embed.forward = types.MethodType(_embed_patches, patch_embed)
    for block in model.visual.blocks:
        block.attn.forward = types.MethodType(_attend, block.attn)


def _embed_patches(self: Any, patches: torch.Tensor) -> torch.Tensor:
    return F.linear(patches, self.proj.weight.flatten(1), self.proj.bias)


def _attend(
    self: Any,
    hidden_states: torch.Tensor,
    cu_seqlens: torch.Tensor,
    position_embeddings: tuple[torch.Tensor, torch.Tensor],
    **_: Any,
) -> torch.Tensor:
    total, pictures = hidden_states.shape[0], len(cu_seqlens) - 1
    qkv = self.qkv(hidden_states).view(pictures, -1, 3, self.num_heads, self.head_dim)
    query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
    cos, sin = (p.view(pictures, 1, -1, self.head_dim) for p in position_embeddings)
    query, key = (_rotate(x, cos, sin) for x in (query, key))
    # On a CPU, plain products train faster than the fused kernel's backward at this length.
    weights = (query @ key.transpose(-1, -2) * self.scaling).softmax(-1)
    mixed = weights.to(value.dtype) @ value
    return self.proj(mixed.transpose(1, 2).reshape(total, -1))  # type: ignore[no-any-return]


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    first, second = x.chunk(2, dim=-1)
    return (x * cos + torch.cat((-second, first), dim=-1) * sin).to(x.dtype)
