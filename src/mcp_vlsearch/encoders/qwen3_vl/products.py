"""Products with weights that lie in memory as a CPU multiplies them fastest.

oneDNN wants weights in blocks. Given a plain matrix it makes the blocks anew in every call; here
that is done once, and GELU is applied to results that are still in the cache. The operators are
those that torch's own compiler emits for frozen models, quantised ones included.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import nn

from mcp_vlsearch.encoders.qwen3_vl.packing import extended, rounded

__all__ = ["cpu_has", "pack", "packed"]

# Rows that the blocks are chosen for; other numbers of rows work as well, and about as fast.
_ROWS: Final = 1024
# Bytes without a sign stand for -127 to 127.
_BYTE: Final = 127
_ZERO: Final = 128
# From here on LLM.int8 counts a number as an outlier.
_OUTLIER: Final = 6.0
# A row of zeros has a step, too.
_LEAST: Final = 1e-9


def cpu_has(*names: str) -> bool:
    """Say whether the CPU has one of some features, by torch's names; no before torch 2.8."""
    tell = getattr(torch.cpu, "get_capabilities", None)
    return tell is not None and any(tell().get(name, False) for name in names)


def pack(model: nn.Module) -> None:
    """Replace the model's linear layers in place by what :func:`packed` makes of them."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Linear):
                setattr(parent, name, packed(child))
    for parent in model.modules():
        _fuse(parent)


def packed(linear: nn.Linear) -> nn.Module:
    """Return a layer that gives the same: on a CPU that has oneDNN, one with weights in blocks.

    Of quantised layers only those of 8 bits are, where the CPU multiplies bytes; their results
    differ a little, for outliers are kept in another way.
    """
    if linear.weight.device.type != "cpu" or not _has_onednn():
        return linear
    if type(linear) is nn.Linear:
        return _Packed(linear) if _multiplies(linear.weight.dtype) else linear
    scales = getattr(linear.weight, "SCB", None)  # what bitsandbytes calls them
    if scales is not None and linear.bias is None and _multiplies_bytes():
        return _PackedBytes(linear.weight.data, scales)
    return linear


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


class _PackedBytes(nn.Module):
    """A linear layer of 8-bit weights (out, in), each row with its largest value in ``largest``.

    Inputs are quantised row by row: LLM.int8 (Dettmers et al. 2022) without its second product for
    columns with outliers, which would need weights that are not in blocks. Here the rows that have
    them are quantised twice, the second time what the first has left over.
    """

    def __init__(self, weight: torch.Tensor, largest: torch.Tensor) -> None:
        super().__init__()
        self.packed = torch.ops.onednn.qlinear_prepack(weight, [_ROWS, weight.shape[1]])
        self.scales = largest.float() / _BYTE
        self.zeros = torch.zeros_like(self.scales, dtype=torch.int32)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        rows = states.flatten(0, -2)
        largest = rows.abs().amax(1, keepdim=True)
        numbers, steps = _quantised(rows, largest)
        result = self._product(numbers, steps)
        outlying = (largest >= _OUTLIER).flatten().nonzero().flatten()
        if len(outlying):
            left = rows[outlying].float()
            left -= (numbers[outlying].float() - _ZERO) * steps[outlying].float()
            left = extended(left, rounded(len(left), left.device))
            rest = _quantised(left.to(rows.dtype), left.abs().amax(1, keepdim=True).to(rows.dtype))
            result.index_add_(0, outlying, self._product(*rest)[: len(outlying)])
        return result.view(*states.shape[:-1], -1)

    def _product(self, numbers: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        # signed inputs would go through oneDNN's reference code, far slower
        product: torch.Tensor = torch.ops.onednn.qlinear_pointwise(
            *(numbers, 1.0, _ZERO),
            *(self.packed, self.scales, self.zeros),
            *(None, 1.0, 0, steps.dtype, "none", [], ""),
        )
        return product.mul_(steps)


def _quantised(rows: torch.Tensor, largest: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rows as bytes around :data:`_ZERO`, and each row's step between two of them."""
    steps = (largest / _BYTE).clamp_(min=_LEAST)
    return (rows / steps).add_(_ZERO).round_().clamp_(0, 255).to(torch.uint8), steps


def _has_onednn() -> bool:
    return torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call, no-any-return]


def _multiplies(dtype: torch.dtype) -> bool:
    if dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    if dtype == torch.float16:
        return bool(torch.ops.mkldnn._is_mkldnn_fp16_supported())
    return dtype == torch.float32


def _multiplies_bytes() -> bool:
    return cpu_has("avx512_vnni", "avx_vnni", "amx_int8")
