"""Tiny checkpoints of the real architecture that answer with what they are told to.

Attention and feed-forward layers add nothing, so the next token follows from the last one alone;
whole lines are tokens. What is left is all that the rewriter has to do with: the chat template, the
tokenizer, the loop that generates, its limits.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
from tokenizers import AddedToken
from transformers import Qwen3VLForConditionalGeneration
from transformers.utils import logging

from tests.encoders.tiny import tiny_config, tiny_tokenizer

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
THINKING = TEMPLATE.replace("assistant\n", "assistant\n<think>\n")
END = "<|im_end|>"


def save_talker(
    folder: Path, says: Sequence[str], *, template: str | None = TEMPLATE, again: bool = False
) -> Path:
    """Write a checkpoint that answers anything with ``says``, all different, or so for ever."""
    logging.disable_progress_bar()
    torch.manual_seed(3)
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in says])
    tokenizer.chat_template = template
    config = tiny_config(tokenizer)
    config.text_config.vocab_size = len(tokenizer)
    config.tie_word_embeddings = config.text_config.tie_word_embeddings = False
    model = Qwen3VLForConditionalGeneration(config)
    (newline,) = tokenizer("\n", add_special_tokens=False)["input_ids"]
    ids = [newline, *tokenizer.convert_tokens_to_ids([*says, END])]
    if again:
        ids[-1] = ids[1]
    with torch.no_grad():
        for layer in model.model.language_model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.lm_head.weight.zero_()
        states = torch.nn.functional.normalize(model.model.language_model.embed_tokens.weight)
        for last, following in pairwise(ids):
            model.lm_head.weight[following] += states[last]
    model.generation_config.do_sample = True  # as real ones say
    model.generation_config.temperature = 0.7
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
