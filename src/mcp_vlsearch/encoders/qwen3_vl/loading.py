"""Weights and tokenizer from a checkpoint, without a word on the screen."""

from collections.abc import Iterator
from contextlib import contextmanager

from transformers import AutoTokenizer, PreTrainedTokenizerBase, Qwen3VLModel
from transformers.utils import logging as transformers_logging

from mcp_vlsearch.encoders.qwen3_vl.checkpoint import Checkpoint
from mcp_vlsearch.encoders.qwen3_vl.device import (
    compute_dtype,
    is_out_of_memory,
    memory_explained,
)
from mcp_vlsearch.encoders.qwen3_vl.prompt import IMAGE_PAD
from mcp_vlsearch.encoders.qwen3_vl.quantise import QUANTISED, quantise
from mcp_vlsearch.errors import CheckpointError

__all__ = ["load_model", "load_tokenizer"]


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
    smaller = "bf16" if precision == "fp32" else "nf4"
    with (
        memory_explained(
            CheckpointError,
            f"not enough memory for {checkpoint.model!r} in {precision}: "
            f"use --precision {smaller}, or a smaller checkpoint",
        ),
        _quiet(),
        _explained(checkpoint, "weights"),
    ):
        model, report = Qwen3VLModel.from_pretrained(
            checkpoint.folder,
            dtype=compute_dtype(precision, device),
            attn_implementation="sdpa",
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
        if precision in QUANTISED:
            quantise(model.language_model, precision, device)
        model = model.to(device).eval()
    # transformers fills what it can't use with random numbers and only warns
    if unfit := sorted(report["missing_keys"] | {name for name, *_ in report["mismatched_keys"]}):
        raise CheckpointError(
            f"{checkpoint.model!r} has weights that don't fit its config ({unfit[0]} is missing "
            "or of another shape): copy or download the checkpoint again"
        )
    return model


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
