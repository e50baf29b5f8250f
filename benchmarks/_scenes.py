"""Storybook scenes as the built-in model sees them: vectors of pictures, texts and both together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

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

Vectors = NDArray[np.float32]

BATCH: Final = 256
"""Pictures that are held in memory at a time."""


class Storybook:
    """The built-in model in full precision."""

    def __init__(self, threads: int) -> None:
        logging.disable_progress_bar()
        torch.set_num_threads(threads)
        given = {"library": Path(), "model": "storybook", "device": "cpu", "precision": "fp32"}
        self._encoder = Qwen3VLEncoder(Settings.model_validate(given))
        self._encoder.load()

    def pictures(self, scenes: Sequence[Scene]) -> Vectors:
        """Draw scenes; return one vector each, shape (n, dim)."""
        parts = []
        for first in range(0, len(scenes), BATCH):
            block = scenes[first : first + BATCH]
            parts.append(self._encoder.encode_images([draw(scene) for scene in block]))
            progress(f"{first + len(block)} of {len(scenes)} scenes")
        return np.concatenate(parts)

    def texts(self, texts: Sequence[str]) -> Vectors:
        """Return one vector per text, shape (n, dim); texts that are alike are encoded once."""
        distinct = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        vectors = self._encoder.encode_queries([Query(text) for text in distinct])
        return vectors[[distinct[text] for text in texts]]

    def composed(self, scenes: Sequence[Scene], texts: Sequence[str]) -> Vectors:
        """Return one vector per drawn scene together with its text, shape (n, dim)."""
        parts = []
        for first in range(0, len(scenes), BATCH):
            pairs = zip(scenes[first : first + BATCH], texts[first : first + BATCH], strict=True)
            queries = [Query(text, draw(scene)) for scene, text in pairs]
            parts.append(self._encoder.encode_queries(queries))
        return np.concatenate(parts)
