"""An encoder that knows pictures by their colours: small, quick, and a pattern to start from."""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from mcp_vlsearch.contracts import Query
from mcp_vlsearch.settings import Settings

__all__ = ["ColourEncoder"]

Vectors = NDArray[np.float32]

_LEVELS = 4
_SIZE = (64, 64)


class ColourEncoder:
    """A histogram of red, green and blue in 4 × 4 × 4 soft bins; a text is the colours it names."""

    name = "colours"
    model = "rgb-4x4x4"
    precision = "fp32"
    device = "cpu"
    dim = _LEVELS**3
    fingerprint = "colours/rgb-4x4x4/64px/1"  # changes whenever the vectors would
    batch_size = 64

    def __init__(self, settings: Settings) -> None:
        self.batch_size = settings.batch_size or self.batch_size

    def target_size(self, width: int, height: int) -> tuple[int, int]:
        """Look at every picture at one small size."""
        del width, height
        return _SIZE

    def load(self) -> None:
        """Do nothing: there are no weights."""

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """Return the histogram of each picture, shape (n, 64)."""
        return _rows([_histogram(np.asarray(image.resize(_SIZE))) for image in images])

    def encode_queries(self, queries: Sequence[Query]) -> Vectors:
        """Return the mean of a query's picture and the colours that its text names."""
        return _rows([_query(query) for query in queries])

    def explain(self, image: Image.Image, vector: Vectors) -> Vectors:
        """Return how much each of 8 × 8 parts has the colours of a vector."""
        pixels = np.asarray(image.convert("RGB").resize(_SIZE))
        parts = pixels.reshape(8, 8, 8, 8, 3).swapaxes(1, 2).reshape(64, 8, 8, 3)
        cosines = _rows([_histogram(part) for part in parts]) @ vector
        above = (cosines - cosines.min()).reshape(8, 8)
        return np.asarray(above / (above.max() or 1), np.float32)


def _query(query: Query) -> Vectors:
    parts = [_histogram(np.array([[colour]], np.uint8)) for colour in _named(query.text)]
    if query.image is not None:
        parts.append(_histogram(np.asarray(query.image.convert("RGB").resize(_SIZE))))
    if not parts:  # every query has a vector: a text without colours gets one from its letters
        letters = zlib.crc32(query.text.encode()).to_bytes(4, "big")
        parts.append(_histogram(np.frombuffer(letters[:3], np.uint8)))
    return np.asarray(np.mean(parts, axis=0), np.float32)


def _named(text: str) -> list[tuple[int, ...]]:
    words = text.lower().replace(",", " ").replace(".", " ").split()
    return [ImageColor.getrgb(word)[:3] for word in words if word in ImageColor.colormap]


def _histogram(pixels: NDArray[np.uint8]) -> Vectors:
    """Count pixels, shape (…, 3), each shared among the bins that it lies between."""
    place = pixels.reshape(-1, 3).astype(np.float32) * (_LEVELS - 1) / 255
    distance = np.abs(place[:, :, None] - np.arange(_LEVELS, dtype=np.float32))
    red, green, blue = np.maximum(1 - distance, 0).transpose(1, 0, 2)  # each (pixels, levels)
    counts = np.einsum("pr,pg,pb->rgb", red, green, blue).ravel()
    return np.asarray(counts / counts.sum(), np.float32)


def _rows(vectors: Sequence[Vectors]) -> Vectors:
    """Stack vectors into unit-norm rows; no vectors give shape (0, 64)."""
    rows = np.array(vectors, np.float32).reshape(-1, _LEVELS**3)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
