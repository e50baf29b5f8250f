"""Random Qwen3-VL checkpoints of a few layers, and transformers' own single-item vectors."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    AutoTokenizer,
    PreTrainedTokenizerFast,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLModel,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.utils import logging

HIDDEN: Final = 64
MIN_PIXELS: Final = 4 * 32 * 32
MAX_PIXELS: Final = 128 * 128
SPECIAL: Final = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
QUERY: Final = "Retrieve images or text relevant to the user's query."
IMAGE: Final = "Represent the user's input."


def tiny_tokenizer(*, appends_end: bool = False) -> PreTrainedTokenizerFast:
    """Bytes as tokens, and Qwen's special ones."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    if appends_end:
        end = SPECIAL[0]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"$A {end}", special_tokens=[(end, tokenizer.token_to_id(end))]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )


def tiny_config(tokenizer: PreTrainedTokenizerFast) -> Qwen3VLConfig:
    """The true architecture, small, with weights large enough to tell inputs apart."""
    return Qwen3VLConfig(
        text_config={
            "vocab_size": 320,
            "hidden_size": HIDDEN,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 32,
            "intermediate_size": 96,
            "max_position_embeddings": 4096,
            "initializer_range": 0.15,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 5e6,
                "mrope_section": [6, 5, 5],
                "mrope_interleaved": True,
            },
        },
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "num_heads": 2,
            "intermediate_size": 96,
            "out_hidden_size": HIDDEN,
            "deepstack_visual_indexes": [0],
            "num_position_embeddings": 64,
            "initializer_range": 0.15,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<|image_pad|>"),
        video_token_id=tokenizer.convert_tokens_to_ids("<|video_pad|>"),
        vision_start_token_id=tokenizer.convert_tokens_to_ids("<|vision_start|>"),
        vision_end_token_id=tokenizer.convert_tokens_to_ids("<|vision_end|>"),
    )


def wide_config(tokenizer: PreTrainedTokenizerFast) -> Qwen3VLConfig:
    """All widths of the text layers multiples of 64, and weights of a usual spread."""
    config = tiny_config(tokenizer)
    text = config.text_config
    text.hidden_size = config.vision_config.out_hidden_size = 256
    text.num_attention_heads, text.num_key_value_heads, text.head_dim = 4, 2, 64
    text.intermediate_size = 512
    text.rope_parameters["mrope_section"] = [12, 10, 10]
    text.initializer_range = 0.02
    return config


def save_checkpoint(
    folder: Path,
    kind: Literal["embedding", "instruct"] = "embedding",
    *,
    dtype: torch.dtype = torch.float32,
    appends_end: bool = False,
    shard_size: str = "1GB",
    wide: bool = False,
) -> Path:
    """Write a checkpoint as save_pretrained does; an Instruct one has a language head."""
    logging.disable_progress_bar()
    torch.manual_seed(7)
    tokenizer = tiny_tokenizer(appends_end=appends_end)
    config = wide_config(tokenizer) if wide else tiny_config(tokenizer)
    model_class = Qwen3VLModel if kind == "embedding" else Qwen3VLForConditionalGeneration
    model_class(config).to(dtype).save_pretrained(folder, max_shard_size=shard_size)
    tokenizer.save_pretrained(folder)
    preprocessor = {
        "size": {"shortest_edge": MIN_PIXELS, "longest_edge": MAX_PIXELS},
        "patch_size": 16,
        "merge_size": 2,
        "temporal_patch_size": 2,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder


def edit_json(path: Path, **changes: Any) -> None:
    """Set keys of a JSON file; a value of None removes the key."""
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in values.items() if v is not None}))


def one_line(error: pytest.ExceptionInfo[Exception]) -> str:
    """The message, which must be a single line."""
    message = str(error.value)
    assert "\n" not in message
    return message


def photo(seed: int, width: int, height: int) -> Image.Image:
    """A colourful picture like no other seed's: a few random colours, smoothly blended."""
    colours = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(colours).resize((width, height), Image.Resampling.BICUBIC)


class Reference:
    """One item at a time through transformers, prompts written out by hand."""

    def __init__(self, folder: Path, pooling: Literal["last", "mean"]) -> None:
        logging.disable_progress_bar()
        logging.set_verbosity_error()
        self.model = Qwen3VLModel.from_pretrained(folder, dtype=torch.float32).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.processor = Qwen2VLImageProcessorPil(
            **json.loads((folder / "preprocessor_config.json").read_text())
        )
        self.pooling = pooling

    def inputs(self, instruction: str, text: str, image: Image.Image | None) -> dict[str, Any]:
        """The model's inputs, a batch of one."""
        pictures: dict[str, Any] = {}
        seen = ""
        if image is not None:
            pictures = dict(self.processor(images=[image], return_tensors="pt"))
            count = int(pictures["image_grid_thw"].prod()) // 4
            seen = "<|vision_start|>" + "<|image_pad|>" * count + "<|vision_end|>"
        whole = (
            f"<|im_start|>system\n{instruction}<|im_end|>\n<|im_start|>user\n{seen}{text}<|im_end|>"
            "\n<|im_start|>assistant\n"
        )
        ids = self.tokenizer(whole, return_tensors="pt")["input_ids"]
        types = (ids == self.tokenizer.convert_tokens_to_ids("<|image_pad|>")).int()
        return {"input_ids": ids, "mm_token_type_ids": types, **pictures}

    @torch.no_grad()
    def vector(
        self, instruction: str, text: str = "", image: Image.Image | None = None
    ) -> NDArray[np.float32]:
        """The unit-norm vector, shape (HIDDEN,)."""
        states = self.model(**self.inputs(instruction, text, image)).last_hidden_state[0]
        pooled = states[-1] if self.pooling == "last" else states.mean(0)
        vector: NDArray[np.float32] = (pooled / pooled.norm()).numpy()
        return vector

    def of_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """The vectors of pictures, each alone."""
        return np.stack([self.vector(IMAGE, image=image) for image in images])

    @torch.no_grad()
    def of_padded(
        self, images: Sequence[Image.Image], side: Literal["left", "right"]
    ) -> NDArray[np.float32]:
        """The vectors of pictures, in one batch padded at the given side."""
        items = [self.inputs(IMAGE, "", image) for image in images]
        longest = max(item["input_ids"].shape[1] for item in items)

        def padded(row: torch.Tensor) -> torch.Tensor:
            room = longest - row.shape[1]
            return torch.nn.functional.pad(row, (room, 0) if side == "left" else (0, room))

        mask = torch.cat([padded(torch.ones_like(item["input_ids"])) for item in items])
        batch = {
            key: torch.cat([padded(i[key]) for i in items])
            for key in ("input_ids", "mm_token_type_ids")
        }
        pictures = {
            key: torch.cat([i[key] for i in items]) for key in ("pixel_values", "image_grid_thw")
        }
        states = self.model(attention_mask=mask, **batch, **pictures).last_hidden_state
        attended = [row[keep.bool()] for row, keep in zip(states, mask, strict=True)]
        pooled = torch.stack([r[-1] if self.pooling == "last" else r.mean(0) for r in attended])
        vectors: NDArray[np.float32] = torch.nn.functional.normalize(pooled, dim=1).numpy()
        return vectors
