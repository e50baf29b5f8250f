"""The storybook checkpoint: a small Qwen3-VL with transformers' own classes and file layout.

Every layer width is a multiple of 64, so that 4-bit quantisation works on it.
"""

import json
import math
import random
from pathlib import Path
from typing import Any, Final

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3VLConfig, Qwen3VLModel

from mcp_vlsearch.storybook.captions import Detail, Language, caption
from training.scenes import training_pair

PATCH: Final = 16
MERGE: Final = 2
MAX_PIXELS: Final = 160 * 160
MIN_PIXELS: Final = 4 * 32 * 32
VOCABULARY: Final = 1536
LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")

SPECIAL: Final = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

# The words around every query and picture, so that they cost few tokens.
FRAME: Final = (
    "system\nRetrieve images or text relevant to the user's query.",
    "system\nRepresent the user's input.",
    "user\n",
    "assistant\n",
    "NULL",
)

# The pre-tokenisation pattern of Qwen2 and later.
WORDS: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def target_size(width: int, height: int) -> tuple[int, int]:
    """Return the size in pixels at which the model sees a picture: multiples of 32 in budget.

    Qwen's smart resize, as in transformers' ``Qwen2VLImageProcessorPil``.
    """
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

    new_height, new_width = smart_resize(
        height, width, factor=PATCH * MERGE, min_pixels=MIN_PIXELS, max_pixels=MAX_PIXELS
    )
    return new_width, new_height


def train_tokenizer(captions: int = 20_000) -> PreTrainedTokenizerFast:
    """Learn a byte-level BPE from captions in both languages, with Qwen's special tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            # A Chinese character is a token: words of this small world would otherwise merge
            # into whole clauses, and no new clause could be read.
            pre_tokenizers.Split(Regex(r"\p{Han}"), "isolated"),
            pre_tokenizers.Split(Regex(WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        max_token_length=24,
    )
    tokenizer.train_from_iterator(_texts(captions), trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    fast.add_special_tokens({"additional_special_tokens": list(SPECIAL)})
    return fast


def _texts(captions: int) -> list[str]:
    rng = random.Random("storybook tokenizer")
    texts = [text for text in FRAME for _ in range(captions // 10)]
    for number in range(captions):
        pair = training_pair(number)
        for language in LANGUAGES:
            detail: Detail = rng.choice(("terse", "phrase", "full"))
            texts.append(caption(pair.scene, rng, language, detail).text)
            texts.append(pair.request[language])
    return texts


def make_model(tokenizer: PreTrainedTokenizerFast) -> Qwen3VLModel:
    """Build the model with fresh weights, in fp32."""
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": math.ceil(len(tokenizer) / 64) * 64,
            "hidden_size": 256,
            "intermediate_size": 512,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 64,
            "max_position_embeddings": 1024,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": [12, 10, 10],
                "mrope_interleaved": True,
            },
            "pad_token_id": ids["<|endoftext|>"],
            "bos_token_id": None,
            "eos_token_id": ids["<|im_end|>"],
        },
        vision_config={
            "depth": 4,
            "hidden_size": 192,
            "intermediate_size": 576,
            "num_heads": 3,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
            "out_hidden_size": 256,
            "num_position_embeddings": 256,
            "deepstack_visual_indexes": [1],
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    return Qwen3VLModel(config)


def save(model: Qwen3VLModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the checkpoint in half precision, with the files that any Qwen3-VL has."""
    state = {name: tensor.half() for name, tensor in model.state_dict().items()}
    half = Qwen3VLModel(model.config).to(torch.float16)
    half.load_state_dict(state)
    half.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    preprocessor: dict[str, Any] = {
        "image_processor_type": "Qwen2VLImageProcessorFast",
        "size": {"shortest_edge": MIN_PIXELS, "longest_edge": MAX_PIXELS},
        "patch_size": PATCH,
        "temporal_patch_size": 2,
        "merge_size": MERGE,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=2) + "\n")
    config_file = folder / "config.json"
    config = json.loads(config_file.read_text())
    config["mcp_vlsearch"] = {"pooling": "last"}
    config_file.write_text(json.dumps(config, indent=2) + "\n")
