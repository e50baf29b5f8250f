"""Instruction, picture and text as the tokens that Qwen3-VL-Embedding was trained on.

The format is that of QwenLM's reference code: the instruction as system message, the picture
before the text, then the start of an answer, whose last token's state is the vector.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from mcp_vlsearch.encoders.qwen3_vl.pixels import Patches

__all__ = ["IMAGE_PAD", "TEMPLATE_VERSION", "Prompt", "Tokens", "instruct", "prompt"]

TEMPLATE_VERSION: Final = 1
"""Part of the fingerprint: raise it with every change in this module that changes tokens."""
DEFAULT_INSTRUCTION: Final = "Represent the user's input."
NOTHING: Final = "NULL"
IMAGE_PAD: Final = "<|image_pad|>"
# The reference cuts at 8192 tokens, and with them its closing tokens; cutting the text keeps those.
MAX_CHARACTERS: Final = 8192


@dataclass(frozen=True)
class Prompt:
    """Token ids, int64 of shape (tokens,), and the picture that its image tokens stand for.

    The first ``constant`` tokens are the same in many prompts.
    """

    ids: NDArray[np.int64]
    picture: Patches | None = None
    constant: int = 0


def instruct(instruction: str) -> str:
    """Return the instruction as the model gets it: never empty, with a final punctuation mark."""
    instruction = instruction.strip() or DEFAULT_INSTRUCTION
    is_finished = unicodedata.category(instruction[-1]).startswith("P")
    return instruction if is_finished else f"{instruction}."


def prompt(instruction: str, text: str = "", *, picture: bool = False) -> str:
    """Return the prompt for a text, a picture or both, with one pad token for the picture."""
    # typed special tokens must stay text: they would end the message or stand for a picture
    text = text.strip()[:MAX_CHARACTERS].replace("<|", "< |")
    seen = f"{IMAGE_PAD}<|vision_end|>" if picture else ""
    return (
        f"{_beginning(instruction, picture=picture)}"
        f"{seen}{text or ('' if picture else NOTHING)}<|im_end|>\n"
        f"<|im_start|>assistant\n"
    )


def _beginning(instruction: str, *, picture: bool) -> str:
    """Return what is the same for all pictures, or for all texts, under one instruction."""
    seen = "<|vision_start|>" if picture else ""
    return f"<|im_start|>system\n{instruct(instruction)}<|im_end|>\n<|im_start|>user\n{seen}"


class Tokens:
    """Prompts as token ids; ``image_token`` stands once for every merged patch of a picture."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, image_token: int) -> None:
        self._tokenizer = tokenizer
        self._image_token = image_token
        # all pictures of an indexing run share one prompt
        self._ids = lru_cache(maxsize=64)(self._tokenize)

    def __call__(self, instruction: str, text: str, image_tokens: int) -> NDArray[np.int64]:
        """Return the ids, shape (tokens,); ``image_tokens`` is 0 where there is no picture."""
        ids = self._ids(prompt(instruction, text, picture=image_tokens > 0))
        return np.repeat(ids, np.where(ids == self._image_token, image_tokens, 1))

    def constant(self, instruction: str, ids: NDArray[np.int64], *, picture: bool) -> int:
        """Return how many of a prompt's first tokens are the same whatever text or picture."""
        beginning = self._ids(_beginning(instruction, picture=picture))
        # the last token of the beginning may differ where the tokenizer joins it with the text
        shorter = min(len(beginning), len(ids) - 1)
        differ = beginning[:shorter] != ids[:shorter]
        return int(differ.argmax()) if differ.any() else shorter

    def _tokenize(self, text: str) -> NDArray[np.int64]:
        # special tokens are asked for since some checkpoints' tokenizers append one to pool at
        return np.array(self._tokenizer(text, add_special_tokens=True)["input_ids"], np.int64)
