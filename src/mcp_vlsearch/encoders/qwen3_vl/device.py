"""Where the model runs, in which number format, and what to say when memory runs out."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import torch

from mcp_vlsearch.encoders.qwen3_vl.memory import free_memory
from mcp_vlsearch.encoders.qwen3_vl.products import cpu_has
from mcp_vlsearch.encoders.qwen3_vl.quantise import QUANTISED, quantisable
from mcp_vlsearch.errors import SettingsError, VLSearchError
from mcp_vlsearch.settings import Device, Precision

__all__ = [
    "BATCH_TOKENS",
    "choose_batch_size",
    "choose_device",
    "choose_precision",
    "compute_dtype",
    "is_out_of_memory",
    "memory_explained",
]

_DTYPES: Final = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# Above this size fp32 weights fill the memory of an ordinary machine; below it, no weights do.
_LARGE: Final = 1_000_000_000
# Bytes a weight takes, with the embedding and the vision tower in 16 bits; and what work takes.
_BYTES: Final = {"bf16": 2.0, "fp16": 2.0, "int8": 1.4, "nf4": 1.0}
_WORK: Final = {"cpu": 2**30, "cuda": 1.5 * 2**30}
# Image tokens that one batch should carry: enough to keep the device busy, few enough to fit. On a
# CPU, results above 32 MiB get pages that are new to the process every time, which costs more.
BATCH_TOKENS: Final = {"cpu": 800, "mps": 4096, "cuda": 16384}
_BATCH_IMAGES: Final = {"cpu": 32, "mps": 32, "cuda": 64}
logger = logging.getLogger(__name__)
# torch has an error of its own for memory on a GPU only
_OUT_OF_MEMORY: Final = ("out of memory", "not enough memory", "can't allocate memory")


def choose_device(wanted: Device) -> str:
    """Return ``cuda``, ``mps`` or ``cpu``; auto takes the first of these that is there.

    Raises :class:`SettingsError` if the wanted one is not.
    """
    there = [
        *(["cuda"] if torch.cuda.is_available() else []),
        *(["mps"] if torch.backends.mps.is_available() else []),
        "cpu",
    ]
    if wanted == "auto":
        return there[0]
    if wanted not in there:
        raise SettingsError(
            f"--device {wanted}: torch finds none here; there is: {', '.join(there)}; give "
            "one of these, or leave it out"
        )
    return wanted


def choose_precision(
    wanted: Precision, device: str, parameters: int, text_config: Mapping[str, Any]
) -> str:
    """Return the precision; auto fits device, model size and the memory that is free now.

    Vectors depend on the precision, and must not on what else happens to run. So auto is asked for
    pictures that are the first of a library only: what it chose then is given here from then on.
    """
    if wanted != "auto":
        return wanted
    chosen = _usual_precision(device, parameters)
    free = free_memory(device) if parameters > _LARGE else None
    if free is not None:
        smaller = quantisable(device, text_config)
        fitting = (p for p in (chosen, *smaller) if parameters * _BYTES[p] + _WORK[device] <= free)
        chosen = next(fitting, smaller[-1] if smaller else chosen)
    known = "" if free is None else f" with {free / 2**30:.1f} GiB free"
    logger.info("precision %s chosen for %d weights on %s%s", chosen, parameters, device, known)
    return chosen


def _usual_precision(device: str, parameters: int) -> str:
    if device == "mps":
        return "fp16"
    if device == "cuda":
        return "bf16" if _has_bf16() else "fp16"
    return "bf16" if parameters > _LARGE or _multiplies_bf16() else "fp32"


def compute_dtype(precision: str, device: str) -> torch.dtype:
    """Return the number format of what is computed; of quantised layers, the one around them."""
    if precision in QUANTISED:
        return torch.float16 if device == "cuda" and not _has_bf16() else torch.bfloat16
    return _DTYPES[precision]


def _has_bf16() -> bool:
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def _multiplies_bf16() -> bool:
    """Return whether the CPU has instructions for it: then it takes half the time of fp32."""
    return cpu_has("avx512_bf16", "amx_bf16")


def choose_batch_size(device: str, image_tokens: int) -> int:
    """Return how many pictures of so many tokens go well through the device at once."""
    return max(1, min(_BATCH_IMAGES[device], BATCH_TOKENS[device] // image_tokens))


@contextmanager
def memory_explained(kind: type[VLSearchError], message: str) -> Iterator[None]:
    """Turn running out of memory into an error that says what to do."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise kind(message) from error


def is_out_of_memory(error: Exception) -> bool:
    """Return whether the error says that memory ran out, on whichever device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(sign in str(error).lower() for sign in _OUT_OF_MEMORY)
