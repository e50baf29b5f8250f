"""Products with weights that lie in memory as a CPU multiplies them fastest.

oneDNN wants weights in blocks. Given a plain matrix it makes the blocks anew in every call; here
that is done once, and GELU is applied to results that are still in the cache. The operators are
those that torch's own compiler emits for frozen models.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import nn

__all__ = ["pack", "packed"]

# Rows that the blocks are chosen for; other numbers of rows work as well, and about as fast.
_ROWS: Final = 1024


def pack(model: nn.Module) -> None:
    """Replace the model's plain linear layers in place by what :func:`packed` makes of them.

    Quantised layers stay as they are.
    """
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Linear:
                setattr(parent, name, packed(child))
    for parent in model.modules():
        _fuse(parent)


def packed(linear: nn.Linear) -> nn.Module:
    """Return a layer that gives the same; on a CPU that has oneDNN, its weights in blocks."""
    return _Packed(linear) if _packable(linear.weight) else linear


def _fuse(perceptron: nn.Module) -> None:
    """Let the first of two layers apply the GELU between them."""
    first, activation = (getattr(perceptron, name, None) for name in ("linear_fc1", "act_fn"))
    algorithm = _gelu(activation)
    if isinstance(first, _Packed) and algorithm:
        first.activation = "gelu", algorithm
        perceptron.act_fn = nn.Identity()


def _gelu(activation: object) -> str | None:
    """Return what oneDNN calls a GELU's way to compute it; transformers has a class of its own."""
    if isinstance(activation, nn.GELU):
        return activation.approximate
    return "tanh" if type(activation).__name__ == "GELUTanh" else None


class _Packed(nn.Module):
    """A linear layer, and the activation after it if one is set: its name and algorithm."""

    activation = ("none", "")

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach()
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS)
        self.bias = linear.bias

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        name, algorithm = self.activation
        result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            states, self.packed, self.bias, name, [], algorithm
        )
        return result


def _packable(weight: torch.Tensor) -> bool:
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if weight.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    if weight.dtype == torch.float16:
        return bool(torch.ops.mkldnn._is_mkldnn_fp16_supported())
    return weight.dtype == torch.float32
