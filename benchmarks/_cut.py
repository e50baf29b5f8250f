"""An encoder at a smaller dimension, without encoding anything again."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mcp_vlsearch.contracts import Encoder, Query

__all__ = ["Cut", "cut"]

Vectors = NDArray[np.float32]


def cut(vectors: Vectors, dim: int) -> Vectors:
    """Return the first ``dim`` numbers of each row at unit length, as the encoder cuts them."""
    head = vectors[:, :dim]
    short: Vectors = head / np.linalg.norm(head, axis=1, keepdims=True)
    return short


class Cut:
    """What an encoder gives, cut to ``dim``; ``known`` keeps its full vectors for the next one."""

    def __init__(self, encoder: Encoder, dim: int, known: dict[Hashable, Vectors]) -> None:
        self.name, self.model = encoder.name, encoder.model
        self.precision, self.device = encoder.precision, encoder.device
        self.dim = dim
        self.fingerprint = f"{encoder.fingerprint} {dim}"
        self.batch_size = encoder.batch_size
        self.target_size = encoder.target_size
        self.load = encoder.load
        self._encoder = encoder
        self._known = known

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """Return unit-norm vectors, shape (len(images), dim)."""
        keys = [(image.size, image.tobytes()) for image in images]
        return self._cut(keys, images, self._encoder.encode_images)

    def encode_queries(self, queries: Sequence[Query]) -> Vectors:
        """Return unit-norm vectors of texts, shape (len(queries), dim)."""
        return self._cut([query.text for query in queries], queries, self._encoder.encode_queries)

    def _cut(
        self, keys: Sequence[Hashable], items: Sequence[Any], encode: Callable[[list[Any]], Vectors]
    ) -> Vectors:
        new = {k: item for k, item in zip(keys, items, strict=True) if k not in self._known}
        if new:
            self._known.update(zip(new, encode(list(new.values())), strict=True))
        return cut(np.stack([self._known[key] for key in keys]), self.dim)
