"""Ways to tell which part of a picture carries a match, each a heat map from picture and vector."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks._peers import Transformers
from mcp_vlsearch.contracts import Query
from mcp_vlsearch.encoders.qwen3_vl import Qwen3VLEncoder
from mcp_vlsearch.encoders.qwen3_vl.encoder import _Item
from mcp_vlsearch.encoders.qwen3_vl.explaining import (
    ANY_QUERY,
    finely,
    heat_of,
    windows_of,
)

__all__ = ["METHODS", "Heat", "Method", "make", "text_tokens"]

Heat = NDArray[np.float32]
Vector = NDArray[np.float32]
Method = Callable[[Image.Image], Callable[[Vector], Heat]]
"""From a picture to what maps it for any query's vector."""

GREY: Final = (128, 128, 128)
CROP: Final = 0.2
"""Side of a crop, as a share of the picture's shorter one."""
CROP_SIDE: Final = 64
"""Pixels that it is enlarged to."""
STEPS: Final = 9
"""Crops along each side."""
GRID: Final = 32
FINE: Final = 320 * 320
"""Pixels at which a picture is looked at."""
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
    neutral = encoder.encode_queries([Query(text) for text in ANY_QUERY]).mean(0)
    methods: tuple[Method, ...] = (
        lambda image: partial(encoder.explain, image),
        _contrasting(partial(_left_out, encoder), neutral),
        _contrasting(partial(_greyed, encoder), neutral),
        _contrasting(partial(_cropped, encoder), neutral),
        _contrasting(stock.token_states, neutral),
        stock.attention,
        stock.gradient,
        lambda _: lambda _vector: np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], np.float32),
    )
    return dict(zip(METHODS, methods, strict=True))


def text_tokens(name: str, rows: int, columns: int) -> int | None:
    """Return how many tokens the text layers get for one map of a grid; None where it is other."""
    windows = windows_of(rows, columns)
    size = (windows[0][0].stop - windows[0][0].start) ** 2
    whole = rows * columns + TAIL
    counts: dict[str, int] = {
        "windows alone": len(windows) * (size + TAIL),
        "windows left out": len(windows) * (whole - size),
        "windows grey": len(windows) * whole,
        "crops": round(STEPS**2 * ((CROP * min(rows, columns)) ** 2 + TAIL)),
        **dict.fromkeys(("token states", "attention", "gradient"), whole),
    }
    return counts.get(name)


def _contrasting(method: Method, neutral: Vector) -> Method:
    """Take off what any query would match, as ours does."""

    def prepared(image: Image.Image) -> Callable[[Vector], Heat]:
        mapped = method(image)
        return lambda vector: mapped(vector - neutral)

    return prepared


def _left_out(encoder: Qwen3VLEncoder, image: Image.Image) -> Callable[[Vector], Heat]:
    """Leave windows of tokens out: what matters makes the cosine fall."""
    tokens, _, forward = encoder._parts()
    picture, merge = finely(image, encoder._pixels), encoder._pixels.merge
    rows, columns = picture.rows // merge, picture.columns // merge
    numbers = np.arange(rows * columns).reshape(rows, columns)
    windows = windows_of(rows, columns)
    parts = [np.setdiff1d(numbers, numbers[window]) for window in windows]
    prompt = encoder._prompt(tokens, _Item("", picture), encoder._image_instruction)
    states = forward.of_parts(prompt, parts, 2048)
    vectors = states / np.linalg.norm(states, axis=1, keepdims=True)
    return lambda vector: heat_of(rows, columns, windows, vectors @ -vector)


def _greyed(encoder: Qwen3VLEncoder, image: Image.Image) -> Callable[[Vector], Heat]:
    """Paint windows grey: classic occlusion, by windows of a fifth of the shorter side."""
    rows, columns = (round(10 * side / min(image.size)) for side in image.size[::-1])
    cell = image.width / columns, image.height / rows
    windows = [
        (slice(top, top + 2), slice(left, left + 2))
        for top in range(rows - 1)
        for left in range(columns - 1)
    ]
    pictures = []
    for down, across in windows:
        edges = (across.start, down.start, across.stop, down.stop)
        box = [round(edge * cell[i % 2]) for i, edge in enumerate(edges)]
        pictures.append(image.copy())
        pictures[-1].paste(GREY, (box[0], box[1], box[2], box[3]))
    vectors = encoder.encode_images(pictures)
    return lambda vector: heat_of(rows, columns, windows, vectors @ -vector)


def _cropped(encoder: Qwen3VLEncoder, image: Image.Image) -> Callable[[Vector], Heat]:
    """Encode crops as pictures of their own; what any encoder can do."""
    side = CROP * min(image.size)
    lefts, tops = (
        np.linspace(0, length - side, round(STEPS * length / min(image.size)))
        for length in image.size
    )
    boxes = [(left, top, left + side, top + side) for top in tops for left in lefts]
    crops = [image.resize((CROP_SIDE, CROP_SIDE), Image.Resampling.BICUBIC, b) for b in boxes]
    vectors = encoder.encode_images(crops)
    at = (np.arange(GRID) + 0.5) / GRID
    across, down = (
        np.array([(box[axis] + side / 2) / image.size[axis] for box in boxes]) for axis in (0, 1)
    )
    wide, high = (side / 2 / length for length in image.size)
    far = ((at[:, None, None] - down) / high) ** 2 + ((at[:, None] - across) / wide) ** 2
    weights = np.exp(-(far - far.min(2, keepdims=True)) / 2)
    weights /= weights.sum(2, keepdims=True)
    return lambda vector: _positive(weights @ (vectors @ vector))


class _Stock:
    """Methods that look into transformers' own forward, with all its states and gradients."""

    def __init__(self, folder: Path) -> None:
        self._peer = Transformers(folder, "cpu", torch.float32, 1)
        self._peer.model.set_attn_implementation("eager")
        # as finely as ours looks
        self._peer.processor.size = {"shortest_edge": FINE, "longest_edge": FINE}

    def token_states(self, image: Image.Image) -> Callable[[Vector], Heat]:
        """Return the cosines of each image token's last state."""
        with torch.no_grad():
            found, is_image, shape = self._forward(image)
        states = torch.nn.functional.normalize(found.last_hidden_state[0, is_image]).numpy()
        return lambda vector: _positive((states @ vector).reshape(shape))

    def attention(self, image: Image.Image) -> Callable[[Vector], Heat]:
        """Return how much the pooled token looks at each; it knows nothing of the query."""
        with torch.no_grad():
            found, is_image, shape = self._forward(image, output_attentions=True)
        looks = torch.stack([layer[0, :, -1, is_image].mean(0) for layer in found.attentions])
        heat = _positive(looks.mean(0).numpy().reshape(shape))
        return lambda _: heat

    def gradient(self, image: Image.Image) -> Callable[[Vector], Heat]:
        """Return gradient times activation of the cosine at the vision tower's result."""
        kept: list[torch.Tensor] = []

        def keep(_module: object, _given: object, result: torch.Tensor) -> None:
            result.retain_grad()
            kept.append(result)

        hook = self._peer.model.visual.merger.register_forward_hook(keep)
        found, _, shape = self._forward(image)
        hook.remove()
        pooled = torch.nn.functional.normalize(found.last_hidden_state[0, -1], dim=0)

        def mapped(vector: Vector) -> Heat:
            cosine = pooled @ torch.from_numpy(vector)
            (slope,) = torch.autograd.grad(cosine, kept[0], retain_graph=True)
            return _positive((slope * kept[0]).sum(-1).detach().numpy().reshape(shape))

        return mapped

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
