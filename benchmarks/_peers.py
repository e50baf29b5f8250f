"""What people run otherwise, with the faults that stop it mended: the peers to compare with."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoProcessor, AutoTokenizer, Qwen3VLConfig, Qwen3VLModel
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor
from transformers.processing_utils import ProcessorMixin

__all__ = ["Encode", "SentenceTransformers", "Transformers", "Vectors"]

Vectors = NDArray[np.float32]
Encode = Callable[[Sequence[Image.Image]], Vectors]

INSTRUCTION: Final = "Represent the user's input."
# Of Qwen3-VL's own chat template the part that pictures need.
CHAT: Final = """\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content -%}
{%- if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% endif -%}
{%- if part.type == 'text' %}{{ part.text }}{% endif -%}
{%- endfor %}{% endif %}<|im_end|>
{% endfor -%}
<|im_start|>assistant{{ '\\n' }}"""


class Transformers:
    """The model's stock forward on left-padded batches, with transformers' Pillow processor.

    The popular recipe gives the model a picture and no text, which raises; uses a processor that
    needs torchvision; and takes the mean over padding. Here text carries the picture's place, and
    the last token's state is the vector. With a ``batch`` of 1 it is the one-at-a-time loop.
    """

    def __init__(self, folder: Path, device: str, dtype: torch.dtype, batch: int) -> None:
        self.model = Qwen3VLModel.from_pretrained(folder, dtype=dtype).to(device).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        values = json.loads((folder / "preprocessor_config.json").read_text("utf-8"))
        values.pop("image_processor_type", None)
        self.processor = Qwen2VLImageProcessorPil(**values)
        self.batch = batch

    @torch.no_grad()
    def __call__(self, images: Sequence[Image.Image]) -> Vectors:
        """Return unit-norm vectors, batch by batch in the given order."""
        starts = range(0, len(images), self.batch)
        return np.concatenate([self._encode(images[i : i + self.batch]) for i in starts])

    def _encode(self, images: Sequence[Image.Image]) -> Vectors:
        device = self.model.device
        seen = self.processor(images=list(images), return_tensors="pt")
        counts = (seen["image_grid_thw"].prod(-1) // self.processor.merge_size**2).tolist()
        texts = [
            f"<|im_start|>system\n{INSTRUCTION}<|im_end|>\n<|im_start|>user\n<|vision_start|>"
            f"{'<|image_pad|>' * count}<|vision_end|><|im_end|>\n<|im_start|>assistant\n"
            for count in counts
        ]
        tokens = self.tokenizer(texts, padding=True, return_tensors="pt")
        types = (tokens["input_ids"] == self.model.config.image_token_id).int()
        states = self.model(
            input_ids=tokens["input_ids"].to(device),
            attention_mask=tokens["attention_mask"].to(device),
            mm_token_type_ids=types.to(device),
            pixel_values=seen["pixel_values"].to(device),
            image_grid_thw=seen["image_grid_thw"].to(device),
        ).last_hidden_state[:, -1]
        vectors: Vectors = torch.nn.functional.normalize(states.float()).cpu().numpy()
        return vectors


class SentenceTransformers:
    """Sentence Transformers on the checkpoint: its processor, padding, pooling and batches.

    Raises ModuleNotFoundError where it is not installed.
    """

    def __init__(self, folder: Path, device: str, dtype: torch.dtype, batch: int) -> None:
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.base.modules import Transformer
        from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

        if find_spec("torchvision") is None:
            AutoProcessor.register(Qwen3VLConfig, _StillProcessor, exist_ok=True)
        reader = Transformer(
            str(folder),
            model_kwargs={"dtype": dtype},
            processor_kwargs={"chat_template": CHAT},
        )
        width = reader.config.text_config.hidden_size
        modules = [reader, Pooling(width, pooling_mode="lasttoken"), Normalize()]
        self.model = SentenceTransformer(modules=modules, device=device)
        self.batch = batch

    def __call__(self, images: Sequence[Image.Image]) -> Vectors:
        """Return unit-norm vectors."""
        given = {"prompt": INSTRUCTION, "batch_size": self.batch, "show_progress_bar": False}
        vectors: Vectors = self.model.encode(list(images), **given).astype(np.float32)
        return vectors


class _StillProcessor(Qwen3VLProcessor):  # type: ignore[misc]
    """Qwen3-VL's processor without videos, for which alone it would need torchvision."""

    def __init__(
        self, image_processor: Any = None, tokenizer: Any = None, chat_template: str | None = None
    ) -> None:
        self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)
