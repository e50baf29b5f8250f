"""The models that are measured: the built-in storybook, and the widths of Qwen3-VL-Embedding-2B.

Time depends on widths, layers and pixels only, so the 2B's weights are random and need no download.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from transformers import AutoTokenizer, Qwen3VLConfig, Qwen3VLModel
from transformers.utils import logging

from mcp_vlsearch.encoders.qwen3_vl.checkpoint import open_checkpoint

__all__ = ["DTYPES", "LAYERS_2B", "SIZES", "Size", "checkpoint", "config_2b"]

DTYPES: Final = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
LAYERS_2B: Final = 28
_VISION_LAYERS_2B: Final = 24
_VOCABULARY_2B: Final = 151936


@dataclass(frozen=True)
class Size:
    """A model's pictures have about ``side``² pixels; on CPUs it runs in ``precision``."""

    side: int
    precision: str


SIZES: Final = {"storybook": Size(160, "fp32"), "2b": Size(320, "bf16")}


def checkpoint(size: str, layers: int, precision: str, device: str, folder: Path) -> Path:
    """Return a folder with the checkpoint; one of the 2B's widths is written into ``folder``."""
    built_in = open_checkpoint("storybook").folder
    if size == "storybook":
        return built_in
    logging.disable_progress_bar()
    torch.manual_seed(0)
    small = Qwen3VLConfig.from_pretrained(built_in)
    with torch.device(device):  # where random numbers for two billion weights come fast
        model = Qwen3VLModel(config_2b(layers, small))
    model.to(DTYPES[precision]).save_pretrained(folder)
    AutoTokenizer.from_pretrained(built_in).save_pretrained(folder)
    preprocessor = json.loads((built_in / "preprocessor_config.json").read_text("utf-8"))
    preprocessor["size"]["longest_edge"] = SIZES[size].side ** 2
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor), "utf-8")
    return folder


def config_2b(layers: int, small: Any) -> Qwen3VLConfig:
    """Return the 2B's widths with up to so many layers in text and vision each.

    The tokenizer is that of ``small``. With fewer than all layers its vocabulary is, too, which
    takes less memory and as much time.
    """
    vision_layers = min(layers, _VISION_LAYERS_2B)
    return Qwen3VLConfig(
        text_config={
            "vocab_size": small.text_config.vocab_size if layers < LAYERS_2B else _VOCABULARY_2B,
            "hidden_size": 2048,
            "intermediate_size": 6144,
            "num_hidden_layers": layers,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 5e6,
                "mrope_section": [24, 20, 20],
                "mrope_interleaved": True,
            },
        },
        vision_config={
            "depth": vision_layers,
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_heads": 16,
            "out_hidden_size": 2048,
            "num_position_embeddings": 2304,
            "deepstack_visual_indexes": [i for i in (5, 11, 17) if i < vision_layers]
            or [vision_layers // 2],
        },
        image_token_id=small.image_token_id,
        video_token_id=small.video_token_id,
        vision_start_token_id=small.vision_start_token_id,
        vision_end_token_id=small.vision_end_token_id,
    )
