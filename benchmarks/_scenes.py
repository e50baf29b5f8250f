"""Storybook scenes as the built-in model sees them: vectors of pictures, of texts, and of both."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.utils import logging

from benchmarks._tables import progress
from mcp_vlsearch.contracts import Query
from mcp_vlsearch.encoders.qwen3_vl import Qwen3VLEncoder
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.storybook.drawing import draw
from mcp_vlsearch.storybook.scene import Scene

__all__ = ["Storybook", "Vectors"]

T = TypeVar("T")

Vectors = NDArray[np.float32]

BATCH: Final = 64
"""Pictures that a process draws and encodes at a time."""


class Storybook:
    """The built-in model in full precision, one thread in each of some processes."""

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def pictures(self, scenes: Sequence[Scene]) -> Vectors:
        """Draw scenes; return one vector each, shape (n, dim)."""
        return self._each(_pictures, [scenes[part] for part in _parts(len(scenes))])

    def composed(self, scenes: Sequence[Scene], texts: Sequence[str]) -> Vectors:
        """Return one vector per drawn scene together with its text, shape (n, dim)."""
        pairs = list(zip(scenes, texts, strict=True))
        return self._each(_composed, [pairs[part] for part in _parts(len(pairs))])

    def texts(self, texts: Sequence[str]) -> Vectors:
        """Return one vector per text, shape (n, dim); texts that are alike are encoded once."""
        distinct = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        vectors = _encoder().encode_queries([Query(text) for text in distinct])
        return vectors[[distinct[text] for text in texts]]

    def _each(
        self, work: Callable[[Sequence[T]], Vectors], parts: Sequence[Sequence[T]]
    ) -> Vectors:
        done: list[Vectors] = []
        for vectors in self._mapped(work, parts):
            done.append(vectors)
            if len(done) % 8 == 0 or len(done) == len(parts):
                progress(f"{sum(map(len, done))} of {sum(map(len, parts))} scenes")
        return np.concatenate(done)

    def _mapped(
        self, work: Callable[[Sequence[T]], Vectors], parts: Sequence[Sequence[T]]
    ) -> Iterator[Vectors]:
        if self._workers == 1:
            yield from map(work, parts)
            return
        with ProcessPoolExecutor(self._workers, multiprocessing.get_context("spawn")) as pool:
            yield from pool.map(_alone, repeat(work), parts)


def _parts(count: int) -> Iterator[slice]:
    for first in range(0, count, BATCH):
        yield slice(first, first + BATCH)


def _alone(work: Callable[[Sequence[T]], Vectors], part: Sequence[T]) -> Vectors:
    torch.set_num_threads(1)
    return work(part)


def _pictures(scenes: Sequence[Scene]) -> Vectors:
    return _encoder().encode_images([draw(scene) for scene in scenes])


def _composed(pairs: Sequence[tuple[Scene, str]]) -> Vectors:
    return _encoder().encode_queries([Query(text, draw(scene)) for scene, text in pairs])


@cache
def _encoder() -> Qwen3VLEncoder:
    logging.disable_progress_bar()
    given = {"library": Path(), "model": "storybook", "device": "cpu", "precision": "fp32"}
    encoder = Qwen3VLEncoder(Settings.model_validate(given))
    encoder.load()
    return encoder
