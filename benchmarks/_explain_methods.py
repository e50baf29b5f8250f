"""Ways to tell which part of a picture carries a match, each a heat map from picture and vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks._peers import Transformers
from mcp_vlsearch.encoders.qwen3_vl import Qwen3VLEncoder
from mcp_vlsearch.encoders.qwen3_vl.explaining import heat_of, windows_of

__all__ = ["METHODS", "Heat", "Method", "make", "text_tokens"]

Heat = NDArray[np.float32]
Method = Callable[[Image.Image, NDArray[np.float32]], Heat]

GREY: Final = (128, 128, 128)
CROP: Final = 0.4
"""Side of a crop, as a share of the picture's shorter one."""
STEPS: Final = 7
"""Crops along each side."""
TAIL: Final = 8
"""Tokens of a prompt after its picture, about."""
METHODS: Final = (
    "windows alone",
    "windows left out",
    "windows grey",
    "crops",
    "token states",
    "attention",
    "gradient",
    "centre",
)


def make(encoder: Qwen3VLEncoder, folder: Path) -> dict[str, Method]:
    """Return the methods by name; ``folder`` holds the encoder's checkpoint."""
    stock = _Stock(folder)
    methods: tuple[Method, ...] = (
        encoder.explain,
        lambda image, vector: _left_out(encoder, image, vector),
        lambda image, vector: _greyed(encoder, image, vector),
        lambda image, vector: _cropped(encoder, image, vector),
        stock.token_states,
        stock.attention,
        stock.gradient,
        _centre,
    )
    return dict(zip(METHODS, methods, strict=True))


def text_tokens(name: str, rows: int, columns: int) -> int | None:
    """Return how many tokens the text layers get for one map of a grid; None where it is other."""
    windows = list(chain(*windows_of(rows, columns)))
    sizes: list[int] = [(d.stop - d.start) * (a.stop - a.start) for d, a in windows]
    whole = rows * columns + TAIL
    match name:
        case "windows alone":
            return sum(size + TAIL for size in sizes)
        case "windows left out":
            return sum(whole - size for size in sizes)
        case "windows grey":
            return len(windows) * whole
        case "crops":
            side = CROP * min(rows, columns)
            return round(STEPS**2 * (side * side + TAIL))
        case "token states" | "attention" | "gradient":
            return whole
    return None


def _left_out(encoder: Qwen3VLEncoder, image: Image.Image, vector: NDArray[np.float32]) -> Heat:
    """Leave windows of tokens out: what matters makes the cosine fall."""
    from mcp_vlsearch.encoders.qwen3_vl.encoder import _Item

    tokens, _, forward = encoder._parts()
    picture = encoder.prepare(image)
    rows, columns = picture.rows // 2, picture.columns // 2
    numbers = np.arange(rows * columns).reshape(rows, columns)
    windows = windows_of(rows, columns)
    parts = [np.setdiff1d(numbers, numbers[window]) for size in windows for window in size]
    prompt = encoder._prompt(tokens, _Item("", picture), encoder._image_instruction)
    states = forward.of_parts(prompt, parts, 4096)[:, : len(vector)]
    cosines = (states / np.linalg.norm(states, axis=1, keepdims=True)) @ -vector
    return _heat(rows, columns, windows, cosines)


def _greyed(encoder: Qwen3VLEncoder, image: Image.Image, vector: NDArray[np.float32]) -> Heat:
    """Paint windows grey: classic occlusion."""
    picture = encoder.prepare(image)
    rows, columns = picture.rows // 2, picture.columns // 2
    cell = image.width / columns, image.height / rows
    windows = windows_of(rows, columns)
    pictures = []
    for down, across in chain(*windows):
        edges = (across.start, down.start, across.stop, down.stop)
        box = [round(edge * cell[i % 2]) for i, edge in enumerate(edges)]
        pictures.append(image.copy())
        pictures[-1].paste(GREY, (box[0], box[1], box[2], box[3]))
    return _heat(rows, columns, windows, encoder.encode_images(pictures) @ -vector)


def _heat(rows: int, columns: int, windows: Sequence[Any], cosines: NDArray[Any]) -> Heat:
    ends = np.cumsum([len(size) for size in windows])
    return heat_of(rows, columns, windows, np.split(cosines, ends[:-1]))


def _cropped(encoder: Qwen3VLEncoder, image: Image.Image, vector: NDArray[np.float32]) -> Heat:
    """Encode crops as pictures of their own; what any encoder can do."""
    side = CROP * min(image.size)
    tops = np.linspace(0, image.height - side, STEPS)
    lefts = np.linspace(0, image.width - side, STEPS)
    boxes = [(left, top, left + side, top + side) for top in tops for left in lefts]
    crops = [image.resize(encoder.target_size(160, 160), box=box) for box in boxes]
    cosines = encoder.encode_images(crops) @ vector
    sums, counts = np.zeros((2, 20, 20))
    for (left, top, right, bottom), cosine in zip(boxes, cosines, strict=True):
        across = slice(round(20 * left / image.width), round(20 * right / image.width))
        down = slice(round(20 * top / image.height), round(20 * bottom / image.height))
        sums[down, across] += cosine
        counts[down, across] += 1
    return _positive(sums / np.maximum(counts, 1))


def _centre(image: Image.Image, vector: NDArray[np.float32]) -> Heat:
    """Always point to the middle: what a map must beat."""
    del image, vector
    return np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], np.float32)


class _Stock:
    """Methods that look into transformers' own forward, with all its states and gradients."""

    def __init__(self, folder: Path) -> None:
        peer = Transformers(folder, "cpu", torch.float32, 1)
        peer.model.set_attn_implementation("eager")
        self._peer = peer

    @torch.no_grad()
    def token_states(self, image: Image.Image, vector: NDArray[np.float32]) -> Heat:
        """Return the cosines of each image token's last state."""
        found, is_image, shape = self._forward(image)
        states = torch.nn.functional.normalize(found.last_hidden_state[0, is_image].float())
        return _positive((states[:, : len(vector)].numpy() @ vector).reshape(shape))

    @torch.no_grad()
    def attention(self, image: Image.Image, vector: NDArray[np.float32]) -> Heat:
        """Return how much the pooled token looks at each; it knows nothing of the query."""
        del vector
        found, is_image, shape = self._forward(image, output_attentions=True)
        looks = torch.stack([layer[0, :, -1, is_image].mean(0) for layer in found.attentions])
        return _positive(looks.mean(0).numpy().reshape(shape))

    def gradient(self, image: Image.Image, vector: NDArray[np.float32]) -> Heat:
        """Return gradient times activation of the cosine at the vision tower's result."""
        kept: list[torch.Tensor] = []

        def keep(_module: object, _given: object, result: torch.Tensor) -> None:
            result.retain_grad()
            kept.append(result)

        hook = self._peer.model.visual.merger.register_forward_hook(keep)
        try:
            found, _, shape = self._forward(image)
            pooled = found.last_hidden_state[0, -1, : len(vector)]
            cosine = torch.nn.functional.normalize(pooled, dim=0) @ torch.from_numpy(vector)
            cosine.backward()  # type: ignore[no-untyped-call]
        finally:
            hook.remove()
        grad = kept[0].grad
        assert grad is not None
        return _positive((grad * kept[0]).sum(-1).detach().numpy().reshape(shape))

    def _forward(self, image: Image.Image, **more: Any) -> tuple[Any, torch.Tensor, list[int]]:
        peer = self._peer
        seen = peer.processor(images=[image], return_tensors="pt")
        merge = peer.processor.merge_size
        shape = [int(side) // merge for side in seen["image_grid_thw"][0, 1:]]
        text = (
            "<|im_start|>system\nRepresent the user's input.<|im_end|>\n<|im_start|>user\n"
            f"<|vision_start|>{'<|image_pad|>' * (shape[0] * shape[1])}<|vision_end|><|im_end|>\n"
            "<|im_start|>assistant\n"
        )
        ids = peer.tokenizer([text], return_tensors="pt")["input_ids"]
        is_image = (ids == peer.model.config.image_token_id)[0]
        found = peer.model(
            input_ids=ids,
            mm_token_type_ids=is_image[None].int(),
            pixel_values=seen["pixel_values"],
            image_grid_thw=seen["image_grid_thw"],
            use_cache=False,
            **more,
        )
        return found, is_image, shape


def _positive(heat: NDArray[Any]) -> Heat:
    hot = np.maximum(heat - heat.mean(), 0)
    return np.asarray(hot / (hot.max() or 1), np.float32)
