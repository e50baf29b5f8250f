"""Text layers in 8 or 4 bits a weight, with bitsandbytes; the vision tower stays as it is.

Transformers would do it while loading, but only with a further package; this needs none.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import torch

from mcp_vlsearch.errors import MissingExtraError, SettingsError

if TYPE_CHECKING:
    from transformers import Qwen3VLTextModel

__all__ = ["QUANTISED", "check_quantised", "quantisable", "quantise"]

QUANTISED: Final = ("int8", "nf4")
_NF4_BLOCK: Final = 64


def check_quantised(precision: str, device: str, text_config: Mapping[str, Any]) -> None:
    """Raise :class:`SettingsError` or :class:`MissingExtraError` if it can't be done."""
    if device == "mps":
        raise SettingsError(
            f"--precision {precision} runs on cuda and cpu, not on mps: use --precision fp16"
        )
    widths = (text_config["hidden_size"], text_config.get("intermediate_size", _NF4_BLOCK))
    if precision == "nf4" and (odd := [width for width in widths if width % _NF4_BLOCK]):
        raise SettingsError(
            f"--precision nf4 needs layer widths that are multiples of {_NF4_BLOCK}, and this "
            f"model has one of {odd[0]}: use --precision int8"
        )
    if find_spec("bitsandbytes") is None:
        raise MissingExtraError(
            f"--precision {precision} needs the package 'bitsandbytes', which is not installed: "
            "pip install 'mcp-vlsearch[quant]'"
        )


def quantisable(device: str, text_config: Mapping[str, Any]) -> list[str]:
    """Return which of int8 and nf4 can be done, the larger first."""
    possible = []
    for precision in QUANTISED:
        with suppress(SettingsError, MissingExtraError):
            check_quantised(precision, device, text_config)
            possible.append(precision)
    return possible


def quantise(text: Qwen3VLTextModel, precision: str, device: str) -> None:
    """Put quantised layers on the device in the place of the linear ones, one after the other."""
    # it would say at import that a faster kernel is not there, and at every product that it rounds
    logger = logging.getLogger("bitsandbytes")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.ERROR)
    for layer in text.layers:
        for name, module in list(layer.named_modules()):
            if isinstance(module, torch.nn.Linear):
                layer.set_submodule(name, _quantised(module, precision).to(device).eval())


def _quantised(module: torch.nn.Linear, precision: str) -> torch.nn.Module:
    from bitsandbytes.nn import Int8Params, Linear4bit, Linear8bitLt, Params4bit

    shape = module.in_features, module.out_features, module.bias is not None
    weight = module.weight.detach()
    made: torch.nn.Module
    if precision == "int8":
        made = Linear8bitLt(*shape, has_fp16_weights=False, threshold=6.0)
        made.weight = Int8Params(weight, requires_grad=False, has_fp16_weights=False)
    else:
        made = Linear4bit(*shape, compute_dtype=weight.dtype, quant_type="nf4")
        made.weight = Params4bit(weight, requires_grad=False, quant_type="nf4")
    if module.bias is not None:
        made.bias = torch.nn.Parameter(module.bias.detach(), requires_grad=False)
    return made
