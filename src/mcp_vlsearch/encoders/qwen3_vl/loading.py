"""Weights and tokenizer from a checkpoint, without a word on the screen."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers import (
    AutoTokenizer,
    PreTrainedTokenizerBase,
    Qwen3VLForConditionalGeneration,
    Qwen3VLModel,
)
from transformers.utils import logging as transformers_logging

from mcp_vlsearch.encoders.qwen3_vl.checkpoint import Checkpoint
from mcp_vlsearch.encoders.qwen3_vl.device import (
    compute_dtype,
    is_out_of_memory,
    memory_explained,
)
from mcp_vlsearch.encoders.qwen3_vl.prompt import IMAGE_PAD
from mcp_vlsearch.encoders.qwen3_vl.quantise import QUANTISED, quantisable, quantise
from mcp_vlsearch.errors import CheckpointError

__all__ = ["load_model", "load_tokenizer", "load_writer"]

_turn = threading.Lock()


def load_tokenizer(checkpoint: Checkpoint) -> PreTrainedTokenizerBase:
    """Return the checkpoint's tokenizer. Raises :class:`CheckpointError`."""
    with _quiet(), _explained(checkpoint, "a tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(checkpoint.folder, local_files_only=True)
    if tokenizer.convert_tokens_to_ids(IMAGE_PAD) != checkpoint.image_token:
        raise CheckpointError(
            f"{checkpoint.model!r} has a tokenizer that doesn't fit its config "
            f"({IMAGE_PAD} is not {checkpoint.image_token}): copy or download it again"
        )
    return tokenizer


def load_model(checkpoint: Checkpoint, device: str, precision: str) -> Qwen3VLModel:
    """Return the model in evaluation mode, without its language head.

    Raises :class:`CheckpointError` if weights are missing, damaged or too large for memory.
    """
    advice = f"index again with {_smaller(checkpoint, device, precision)}"
    model: Qwen3VLModel = _load(Qwen3VLModel, checkpoint, device, precision, advice)
    return model


def load_writer(
    checkpoint: Checkpoint, device: str, precision: str
) -> Qwen3VLForConditionalGeneration:
    """Return the model in evaluation mode, with its language head; raises as the other does."""
    writer = Qwen3VLForConditionalGeneration
    return _load(writer, checkpoint, device, precision, "use a smaller checkpoint")


def _load(kind: Any, checkpoint: Checkpoint, device: str, precision: str, advice: str) -> Any:
    with (
        memory_explained(
            CheckpointError,
            f"not enough memory for {checkpoint.model!r} in {precision}: end other programs that "
            f"use it, or {advice}",
        ),
        _quiet(),
        _explained(checkpoint, "weights"),
    ):
        model, report = kind.from_pretrained(
            checkpoint.folder,
            dtype=compute_dtype(precision, device),
            attn_implementation="sdpa",
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
        if precision in QUANTISED:
            quantise(getattr(model, "model", model).language_model, precision, device)
        model = model.to(device).eval()
    # transformers fills what it can't use with random numbers and only warns
    if unfit := sorted(report["missing_keys"] | {name for name, *_ in report["mismatched_keys"]}):
        raise CheckpointError(
            f"{checkpoint.model!r} has weights that don't fit its config ({unfit[0]} is missing "
            "or of another shape): copy or download the checkpoint again"
        )
    return model


def _smaller(checkpoint: Checkpoint, device: str, precision: str) -> str:
    """Return what would take less memory, in words."""
    if precision == "fp32":
        return f"--precision {'fp16' if device == 'mps' else 'bf16'}"
    possible = quantisable(device, checkpoint.config["text_config"])
    # after itself, or all of them after 16 bits
    smaller = possible[possible.index(precision) + 1 :] if precision in possible else possible
    return f"--precision {smaller[0]}" if smaller else "a smaller checkpoint"


@contextmanager
def _explained(checkpoint: Checkpoint, part: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # transformers raises whatever its file readers raise
        if is_out_of_memory(error):
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"{checkpoint.model!r} has {part} that can't be read ({reason}): "
            "copy or download the checkpoint again"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Let transformers say nothing, and one thread at a time load something.

    While it loads, it changes what the whole process has: its own verbosity, torch's default dtype.
    """
    with _turn:
        verbosity = transformers_logging.get_verbosity()
        bars = transformers_logging.is_progress_bar_enabled()
        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()
        try:
            yield
        finally:
            transformers_logging.set_verbosity(verbosity)
            if bars:
                transformers_logging.enable_progress_bar()
