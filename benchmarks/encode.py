"""Pictures per second and peak memory: the popular loop, padded batches, and this encoder.

    python -m benchmarks.encode --size storybook
    python -m benchmarks.encode --size 2b --precision bf16 --device cuda --layers 28

Weights are random, widths are true: time depends on the widths only. Every way runs in a process
of its own, for its peak memory, and begins with PIL pictures in memory. Vectors are compared.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from training.checkpoint import MIN_PIXELS, make_model, train_tokenizer
from transformers import AutoTokenizer, Qwen3VLConfig, Qwen3VLModel
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.utils import logging

from mcp_vlsearch.encoders.qwen3_vl import Qwen3VLEncoder
from mcp_vlsearch.settings import Settings

Encode = Callable[[Sequence[Image.Image]], NDArray[np.float32]]

DTYPES: Final = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
SIDES: Final = {"storybook": 160, "2b": 320}
# Shapes of photographs, screenshots and scans, as width to height.
ASPECTS: Final = (1.0, 4 / 3, 3 / 4, 16 / 9, 3 / 2, 2 / 3, 9 / 16)
WAYS: Final = ("loop", "padded", "ours")
TEXT: Final = "Represent the user's input."


def config_2b(layers: int, small: Qwen3VLConfig) -> Qwen3VLConfig:
    """Return the 2B's widths with fewer layers and a small vocabulary."""
    return Qwen3VLConfig(
        text_config={
            "vocab_size": small.text_config.vocab_size,
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
            "depth": min(layers, 24),
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_heads": 16,
            "out_hidden_size": 2048,
            "num_position_embeddings": 2304,
            "deepstack_visual_indexes": [i for i in (5, 11, 17) if i < layers] or [layers // 2],
        },
        image_token_id=small.image_token_id,
        video_token_id=small.video_token_id,
        vision_start_token_id=small.vision_start_token_id,
        vision_end_token_id=small.vision_end_token_id,
    )


def write_checkpoint(folder: Path, size: str, layers: int, dtype: torch.dtype) -> None:
    """Write a checkpoint with random weights, as save_pretrained does."""
    logging.disable_progress_bar()
    torch.manual_seed(0)
    tokenizer = train_tokenizer(captions=500)
    model = make_model(tokenizer)
    if size == "2b":
        model = Qwen3VLModel(config_2b(layers, model.config))
    model.to(dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    side = SIDES[size]
    preprocessor = {
        "size": {"shortest_edge": MIN_PIXELS, "longest_edge": side * side},
        "patch_size": 16,
        "merge_size": 2,
        "temporal_patch_size": 2,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))


def pictures(count: int, side: int, *, mixed: bool) -> list[Image.Image]:
    """Return smooth random pictures of about side² pixels."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(count):
        aspect = ASPECTS[number % len(ASPECTS)] if mixed else 1.0
        size = round(side * aspect**0.5), round(side / aspect**0.5)
        colours = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        made.append(Image.fromarray(colours).resize(size, Image.Resampling.BICUBIC))
    order = rng.permutation(count)
    return [made[i] for i in order]


class Transformers:
    """What people run: processor, chat template and model, with the faults that stop it mended."""

    def __init__(self, folder: Path, device: str, dtype: torch.dtype, batch: int) -> None:
        self.model = Qwen3VLModel.from_pretrained(folder, dtype=dtype).to(device).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        values = json.loads((folder / "preprocessor_config.json").read_text())
        self.processor = Qwen2VLImageProcessorPil(**values)
        self.batch = batch

    @torch.no_grad()
    def __call__(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Return unit-norm vectors, batch by batch in the given order."""
        parts = [
            self._encode(images[start : start + self.batch])
            for start in range(0, len(images), self.batch)
        ]
        return np.concatenate(parts)

    def _encode(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        device = self.model.device
        seen = self.processor(images=list(images), return_tensors="pt")
        counts = (seen["image_grid_thw"].prod(-1) // 4).tolist()
        texts = [
            f"<|im_start|>system\n{TEXT}<|im_end|>\n<|im_start|>user\n<|vision_start|>"
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
        vectors: NDArray[np.float32] = torch.nn.functional.normalize(states.float()).cpu().numpy()
        return vectors


def encoder(way: str, folder: Path, options: argparse.Namespace) -> Encode:
    """Return one of the ways to encode, with its weights loaded."""
    if way != "ours":
        batch = 1 if way == "loop" else options.batch
        return Transformers(folder, options.device, DTYPES[options.precision], batch)
    settings = Settings(
        library=folder, model=str(folder), device=options.device, precision=options.precision
    )
    ours = Qwen3VLEncoder(settings)
    ours.load()
    return ours.encode_images


def measure(way: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Time one way over same-size and mixed-size pictures, in a process of its own."""
    logging.disable_progress_bar()
    torch.set_num_threads(options.threads)
    encode = encoder(way, folder, options)
    found: dict[str, Any] = {}
    for mixed in (False, True):
        images = pictures(options.images, SIDES[options.size], mixed=mixed)
        vectors = encode(images)  # also warms up
        once = partial(encode, images)
        seconds = min(timed(once, options.device) for _ in range(options.runs))
        found["mixed" if mixed else "same"] = (options.images / seconds, vectors)
    found["memory"] = peak_memory(options.device)
    return found


def timed(work: Callable[[], object], device: str) -> float:
    """Return seconds until the work is done, on the device too."""
    started = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def peak_memory(device: str) -> float:
    """Return the process's peak in MiB: of the GPU's memory, or resident."""
    if device == "cuda":
        return float(torch.cuda.max_memory_allocated()) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def matmul_rate(device: str, dtype: torch.dtype, size: str) -> float:
    """Return floating-point operations a second in a large product of the text layers' widths."""
    tokens, wide, narrow = (1024, 512, 256) if size == "storybook" else (1024, 6144, 2048)
    left = torch.randn(tokens, narrow, device=device, dtype=dtype)
    right = torch.randn(wide, narrow, device=device, dtype=dtype)
    product = partial(torch.nn.functional.linear, left, right)
    timed(product, device)
    return 2 * tokens * wide * narrow / min(timed(product, device) for _ in range(5))


def flops(config: Qwen3VLConfig, tokens: int) -> float:
    """Return the operations that a picture of so many image tokens takes in products of weights.

    Attention, and the prompt's words, are left out, so that the fraction told is a lower bound.
    """
    text, vision = config.text_config, config.vision_config
    heads = text.num_attention_heads + text.num_key_value_heads
    layer = 2 * heads * text.head_dim * text.hidden_size + 3 * text.hidden_size * (
        text.intermediate_size
    )
    block = 4 * vision.hidden_size**2 + 2 * vision.hidden_size * vision.intermediate_size
    patch = 3 * vision.patch_size**2 * vision.hidden_size
    merged = 4 * vision.hidden_size
    mergers = (
        (1 + len(vision.deepstack_visual_indexes)) * merged * (merged + vision.out_hidden_size)
    )
    each = (text.num_hidden_layers - 1) * layer + 4 * (vision.depth * block + patch) + mergers
    return float(2 * tokens * each)


def report(found: dict[str, dict[str, Any]], best: float) -> None:
    """Print the table; ``best`` is the number of pictures a second at the measured matmul rate."""
    print(f"{'':8}{'same/s':>9}{'mixed/s':>9}{'MiB':>8}{'of matmul':>11}{'cosine to loop':>16}")
    for way, values in found.items():
        cosines = [
            np.einsum("ij,ij->i", values[kind][1], found["loop"][kind][1]).min()
            for kind in ("same", "mixed")
        ]
        print(
            f"{way:8}{values['same'][0]:9.2f}{values['mixed'][0]:9.2f}{values['memory']:8.0f}"
            f"{values['same'][0] / best:11.0%}{min(cosines):16.6f}"
        )


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", choices=tuple(SIDES), default="storybook")
    parser.add_argument("--layers", type=int, default=4, help="text and vision layers of the 2b")
    parser.add_argument("--precision", choices=tuple(DTYPES), default="fp32")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--batch", type=int, default=16, help="pictures in a padded batch")
    parser.add_argument("--runs", type=int, default=3, help="the fastest counts")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> None:
    """Measure every way and print the table."""
    options = arguments(given)
    torch.set_num_threads(options.threads)
    dtype = DTYPES[options.precision]
    rate = matmul_rate(options.device, dtype, options.size)
    where = torch.cuda.get_device_name() if options.device == "cuda" else platform.machine()
    print(
        f"{options.size} in {options.precision} on {options.device} ({where}), "
        f"{options.threads} threads, torch {torch.__version__}, {options.images} pictures, "
        f"padded batches of {options.batch}, matmul {rate / 1e12:.3f} TFLOP/s"
    )
    spawn = multiprocessing.get_context("spawn")
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_checkpoint(folder, options.size, options.layers, dtype)
        for way in WAYS:
            with ProcessPoolExecutor(1, mp_context=spawn) as process:
                found[way] = process.submit(measure, way, folder, options).result()
        config = Qwen3VLConfig.from_pretrained(folder)
    report(found, rate / flops(config, (SIDES[options.size] // 32) ** 2))


if __name__ == "__main__":
    main()
