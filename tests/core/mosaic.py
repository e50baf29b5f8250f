"""An encoder without a model: a picture's vector is its colours on a 4 × 4 grid."""

import os
import signal
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from mcp_vlsearch.contracts import Query
from mcp_vlsearch.errors import EncoderError
from mcp_vlsearch.settings import Settings

SIDE = 4


def vector_of(image: Image.Image) -> NDArray[np.float32]:
    """Return the unit-norm vector of a picture, shape (49,), from its own definition."""
    small = np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX))
    values = np.append(small.astype(np.float32).ravel() / 127.5 - 1, np.float32(0.5))
    unit: NDArray[np.float32] = values / np.linalg.norm(values)
    return unit


class MosaicEncoder:
    """Counts what it encodes; model ``dies:N`` kills the process in its N-th batch."""

    encoded: ClassVar[list[int]] = []
    """Pictures in each batch of all encoders so far."""

    def __init__(self, settings: Settings) -> None:
        if settings.model == "broken":
            raise EncoderError("the model is broken: give another --model")
        self.name = "mosaic"
        self.model = settings.model
        self.precision = "fp32"
        self.device = "cpu"
        self.dim = SIDE * SIDE * 3 + 1
        self.fingerprint = f"mosaic {settings.max_pixels}"
        self.batch_size = settings.batch_size or 4

    def target_size(self, width: int, height: int) -> tuple[int, int]:
        return min(width, 64), min(height, 64)

    def load(self) -> None:
        pass

    def encode_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        kind, _, batches = self.model.partition(":")
        if kind == "dies" and len(self.encoded) >= int(batches):
            os.kill(os.getpid(), signal.SIGKILL)
        self.encoded.append(len(images))
        return np.stack([vector_of(image) for image in images])

    def encode_queries(self, queries: Sequence[Query]) -> NDArray[np.float32]:
        return np.stack([self._query(query) for query in queries])

    def _query(self, query: Query) -> NDArray[np.float32]:
        vectors = []
        if query.image:
            vectors.append(vector_of(query.image))
        if query.text:
            colour = ImageColor.getrgb(query.text)
            vectors.append(vector_of(Image.new("RGB", (SIDE, SIDE), colour)))
        mean = np.mean(vectors, axis=0)
        unit: NDArray[np.float32] = (mean / np.linalg.norm(mean)).astype(np.float32)
        return unit
