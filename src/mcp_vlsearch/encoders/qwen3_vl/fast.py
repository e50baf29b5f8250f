"""From prompts to one state per prompt: packed, without padding, what is constant computed once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from mcp_vlsearch.encoders.qwen3_vl.packing import Run, runs_of, to_device
from mcp_vlsearch.encoders.qwen3_vl.pixels import Patches, PixelFormat
from mcp_vlsearch.encoders.qwen3_vl.products import pack
from mcp_vlsearch.encoders.qwen3_vl.prompt import Prompt
from mcp_vlsearch.encoders.qwen3_vl.text import KeysAndValues, Packed, TextLayers
from mcp_vlsearch.encoders.qwen3_vl.vision import VisionTower

if TYPE_CHECKING:
    from transformers import Qwen3VLModel

__all__ = ["FastForward"]

_PREFIXES: Final = 8
_LAYOUTS: Final = 256


class FastForward:
    """Gives the states of transformers' own forward in a fraction of its time.

    The tokens of all prompts lie end to end, so that none is padding. The constant tokens that
    begin a prompt go through the layers once; the prompts that share them look at what they left.
    (Where the mean over all tokens is wanted, theirs too, every prompt runs in full.)
    """

    def __init__(
        self,
        model: Qwen3VLModel,
        image_token: int,
        pixels: PixelFormat,
        pooling: Literal["last", "mean"],
    ) -> None:
        self._device = model.device
        self._image_token = image_token
        self._merge = pixels.merge
        self._pooling = pooling
        pack(model)
        self._vision = VisionTower(model.visual, pixels)
        self._text = TextLayers(model.language_model)
        self._prefix = lru_cache(maxsize=_PREFIXES)(self._keys_and_values)

    @torch.inference_mode()
    def __call__(self, prompts: Sequence[Prompt]) -> NDArray[np.float32]:
        """Return the pooled state of every prompt, shape (len(prompts), hidden size)."""
        order = sorted(range(len(prompts)), key=lambda i: self._shape(prompts[i]))
        pooled = self._pool(self._pack([prompts[i] for i in order]))
        states = np.empty(pooled.shape, np.float32)
        states[order] = pooled
        return states

    @torch.inference_mode()
    def of_parts(
        self, prompt: Prompt, parts: Sequence[NDArray[np.int64]], tokens: int
    ) -> NDArray[np.float32]:
        """Return a prompt's pooled state for each of some parts of its picture alone.

        A part is the numbers of image tokens, growing; the others are left out, and those stay at
        their positions. The vision tower sees the whole picture, once; the text layers get up to
        about ``tokens`` tokens at a time. The result has the shape (len(parts), hidden size).
        """
        assert prompt.picture is not None
        own = prompt.ids[self._shared(prompt) :]
        image = np.flatnonzero(own == self._image_token)
        whole = self._pack([prompt])
        around = np.delete(np.arange(len(own)), image)
        most = max(1, tokens // (len(around) + max(map(len, parts))))
        starts = range(0, len(parts), most)
        return np.concatenate(
            [self._pool(self._select(whole, image, around, parts[i : i + most])) for i in starts]
        )

    def _select(
        self,
        whole: Packed,
        image: NDArray[np.int64],
        around: NDArray[np.int64],
        parts: Sequence[NDArray[np.int64]],
    ) -> Packed:
        """Return one prompt several times, each with a part of its image tokens."""
        chosen = [np.sort(np.concatenate([around, image[part]])) for part in parts]
        at = self._to_device(chosen)
        ends = np.cumsum([len(tokens) for tokens in chosen])
        runs = runs_of([len(tokens) for tokens in chosen])
        number = np.full(len(whole.states), -1)
        number[image] = np.arange(len(image))
        numbers = number[np.concatenate(chosen)]
        rows = self._to_device([numbers[numbers >= 0]])
        return Packed(
            states=whole.states[at],
            positions=whole.positions[:, at],
            runs=runs,
            before=[whole.before[0]] * len(runs),
            ends=self._to_device([ends - 1]),
            seen=self._to_device([np.flatnonzero(numbers >= 0)]),
            deepstack=[added[rows] for added in whole.deepstack],
        )

    def _pool(self, packed: Packed) -> NDArray[np.float32]:
        pooled = self._text.last(packed) if self._pooling == "last" else self._text.mean(packed)
        states: NDArray[np.float32] = pooled.cpu().numpy()
        return states

    def _shape(self, prompt: Prompt) -> tuple[bytes, int]:
        """Return a key that is the same for prompts that make a run."""
        return prompt.ids[: self._shared(prompt)].tobytes(), len(prompt.ids)

    def _shared(self, prompt: Prompt) -> int:
        return prompt.constant if self._pooling == "last" else 0

    def _pack(self, prompts: Sequence[Prompt]) -> Packed:
        own = [prompt.ids[self._shared(prompt) :] for prompt in prompts]
        starts = np.cumsum([0, *map(len, own)])
        runs, before = self._runs(prompts)
        states = self._text.embed(self._to_device(own))
        seen, deepstack = self._see(prompts, starts, states)
        positions = [self._positions(p)[:, self._shared(p) :] for p in prompts]
        return Packed(
            states=states,
            positions=self._to_device(positions, axis=1),
            runs=runs,
            before=before,
            ends=self._to_device([starts[1:] - 1]),
            seen=seen,
            deepstack=deepstack,
        )

    def _runs(self, prompts: Sequence[Prompt]) -> tuple[list[Run], list[KeysAndValues | None]]:
        runs: list[Run] = []
        before = []
        for (prefix, length), group in groupby(prompts, key=self._shape):
            known = self._prefix(prefix) if prefix else None
            start = runs[-1].stop if runs else 0
            shared = 0 if known is None else known[0][0].shape[2]
            runs.append(Run(start, len(list(group)), length - shared))
            before.append(known)
        return runs, before

    def _see(
        self, prompts: Sequence[Prompt], starts: NDArray[np.int64], states: torch.Tensor
    ) -> tuple[torch.Tensor | None, list[torch.Tensor]]:
        """Put pictures in the place of their tokens; return where these are, and the deepstack.

        What several prompts have for a picture goes through the vision tower once.
        """
        distinct: dict[int, tuple[Patches, list[NDArray[np.int64]]]] = {}
        for prompt, start in zip(prompts, starts, strict=False):
            if prompt.picture is not None:
                at = np.flatnonzero(prompt.ids == self._image_token) - self._shared(prompt)
                distinct.setdefault(id(prompt.picture), (prompt.picture, []))[1].append(start + at)
        if not distinct:
            return None, []
        pictures = sorted(distinct.values(), key=lambda pair: len(pair[0].values))
        embedded, deepstack = self._vision([picture for picture, _ in pictures])
        seen = self._to_device([at for _, places in pictures for at in places])
        if len(seen) > len(embedded):
            rows = self._to_device(_repeated([(len(p[0]), len(p)) for _, p in pictures]))
            embedded, deepstack = embedded[rows], [added[rows] for added in deepstack]
        states.index_copy_(0, seen, embedded.to(states.dtype))
        return seen, deepstack

    def _positions(self, prompt: Prompt) -> NDArray[np.int64]:
        if prompt.picture is None:
            return _layout(len(prompt.ids), 0, 0, 0)
        rows, columns = prompt.picture.rows // self._merge, prompt.picture.columns // self._merge
        first = int((prompt.ids == self._image_token).argmax())
        return _layout(first, rows, columns, len(prompt.ids) - first - rows * columns)

    def _keys_and_values(self, prefix: bytes) -> KeysAndValues:
        ids = np.frombuffer(prefix, np.int64).copy()
        positions = self._to_device([_layout(len(ids), 0, 0, 0)])
        return self._text.keys_and_values(self._text.embed(self._to_device([ids])), positions)

    def _to_device(self, parts: Sequence[NDArray[np.int64]], axis: int = 0) -> torch.Tensor:
        return to_device(parts, self._device, axis)


def _repeated(counts: Sequence[tuple[int, int]]) -> list[NDArray[np.int64]]:
    """Return the numbers of rows that come in blocks of some length, each so many times over."""
    starts = np.cumsum([0, *(length for length, _ in counts)])
    return [
        np.tile(np.arange(start, start + length), times)
        for start, (length, times) in zip(starts, counts, strict=False)
    ]


@lru_cache(maxsize=_LAYOUTS)
def _layout(before: int, rows: int, columns: int, after: int) -> NDArray[np.int64]:
    """Return positions in time, height and width of text around a picture, shape (3, tokens).

    Text counts on in all three; a picture stands at one time, and takes its longer side's room.
    """
    text = np.arange(before)
    picture = before + np.indices((1, rows, columns)).reshape(3, -1)
    rest = before + max(rows, columns) + np.arange(after)
    parts = [np.tile(text, (3, 1)), picture, np.tile(rest, (3, 1))]
    return np.concatenate(parts, axis=1)
