"""A language model that writes, through transformers, within a time limit."""

import threading
import time
from collections.abc import Sequence
from typing import Any, Final

import torch
from transformers import GenerationConfig, StoppingCriteria, StoppingCriteriaList

from mcp_vlsearch.encoders.qwen3_vl.checkpoint import Checkpoint
from mcp_vlsearch.encoders.qwen3_vl.device import memory_explained
from mcp_vlsearch.encoders.qwen3_vl.loading import load_tokenizer, load_writer
from mcp_vlsearch.errors import RewriterError
from mcp_vlsearch.rewriters.answers import is_thinking, without_thoughts

__all__ = ["Writer"]

_MOST_TOKENS: Final = 256
_MOST_THINKING: Final = 2048
_ENDS: Final = ("<|im_end|>", "<|endoftext|>")
clock = time.monotonic
# Qwen's own, for a checkpoint that was saved without one
_TEMPLATE: Final = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)


class Writer:
    """A checkpoint with its language head; it writes one answer at a time.

    Raises :class:`CheckpointError` if it can't be loaded.
    """

    def __init__(self, checkpoint: Checkpoint, device: str, precision: str) -> None:
        self._name = checkpoint.model
        self._device = device
        self._tokenizer = load_tokenizer(checkpoint)
        self._model = load_writer(checkpoint, device, precision)
        known = self._tokenizer.get_vocab()
        ends = {self._tokenizer.eos_token_id, *(known[end] for end in _ENDS if end in known)}
        self._ends = sorted(end for end in ends if end is not None)
        # the checkpoint's own is for talking: it samples
        self._model.generation_config = GenerationConfig(
            do_sample=False,
            eos_token_id=self._ends,
            pad_token_id=self._tokenizer.pad_token_id or self._ends[0],
        )
        self._turn = threading.Lock()

    def answer(self, messages: Sequence[dict[str, str]], seconds: float) -> str:
        """Return the answer to a conversation, written greedily, without thoughts.

        Where the limit of ``seconds`` or the number of tokens cut it off, the line that was not
        finished is left out. Raises :class:`RewriterError` if the limit left nothing.
        """
        until = clock() + seconds
        prompt = self._prompt(messages)
        if not self._turn.acquire(timeout=seconds):
            raise self._too_slow(seconds)
        try:
            text, finished = self._write(prompt, until)
        finally:
            self._turn.release()
        text = without_thoughts(("<think>" if is_thinking(prompt) else "") + text)
        if finished:
            return text
        whole = text.rpartition("\n")[0]
        if not whole.strip() and clock() > until:
            raise self._too_slow(seconds)
        return whole

    def _prompt(self, messages: Sequence[dict[str, str]]) -> str:
        own = self._tokenizer.chat_template
        prompt: str = self._tokenizer.apply_chat_template(
            list(messages),
            chat_template=own or _TEMPLATE,
            add_generation_prompt=True,
            tokenize=False,
        )
        return prompt

    def _write(self, prompt: str, until: float) -> tuple[str, bool]:
        """Return what the model wrote, and whether it came to an end by itself."""
        ids = self._tokenizer(prompt, add_special_tokens=False, return_tensors="pt")["input_ids"]
        ids = ids.to(self._device)
        message = f"not enough memory to write with {self._name!r}: use a smaller --rewrite-model"
        with memory_explained(RewriterError, message), torch.inference_mode():
            given: Any = self._model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=_MOST_THINKING if is_thinking(prompt) else _MOST_TOKENS,
                stopping_criteria=StoppingCriteriaList([_Until(until)]),
            )
        written = given[0, ids.shape[1] :].tolist()
        finished = bool(written) and written[-1] in self._ends
        # the marks of a thought may be special tokens, so none is skipped
        text: str = self._tokenizer.decode(written[:-1] if finished else written)
        return text, finished

    def _too_slow(self, seconds: float) -> RewriterError:
        return RewriterError(
            f"{self._name!r} wrote nothing within {seconds:g} s: give a larger --rewrite-seconds, "
            "or a smaller --rewrite-model"
        )


class _Until(StoppingCriteria):  # type: ignore[misc]  # transformers has no types
    """Stops at a moment of the monotonic clock."""

    def __init__(self, until: float) -> None:
        self._until = until

    def __call__(self, input_ids: torch.Tensor, _: Any, **__: Any) -> torch.Tensor:
        """Say of each row whether it is over."""
        is_over = clock() > self._until
        return torch.full((len(input_ids),), is_over, device=input_ids.device, dtype=torch.bool)
