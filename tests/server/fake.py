"""An encoder that sees nothing but the average colour, and is noisy on stdout.

In this process tests hold it up through its class attributes, in another one through named pipes:
``FAKE_GATE`` while it loads, ``FAKE_HANG`` while it encodes. Into the file ``FAKE_LOADS`` it writes
the number of each process that loads it.
"""

import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mcp_vlsearch.contracts import Query
from mcp_vlsearch.settings import Settings

COLOURS = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "white": (255, 255, 255),
}


class ColourEncoder:
    name = "colour"
    precision = "fp32"
    device = "cpu"
    dim = 3
    fingerprint = "colour-1"

    loading = threading.Event()
    gate = threading.Event()
    gate.set()
    before_batch: Callable[[int], None] = staticmethod(lambda _: None)
    encoded: list[int] = []  # noqa: RUF012 - shared by all on purpose

    def __init__(self, settings: Settings) -> None:
        self.model = settings.model
        self.batch_size = settings.batch_size or 4
        noise("made")

    def target_size(self, width: int, height: int) -> tuple[int, int]:
        return width, height

    def load(self) -> None:
        noise("loading")
        if loads := os.environ.get("FAKE_LOADS"):
            with Path(loads).open("a") as file:
                file.write(f"{os.getpid()}\n")
        self.loading.set()
        wait_for(os.environ.get("FAKE_GATE"))
        assert self.gate.wait(60)

    def encode_images(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        noise("encoding")
        wait_for(os.environ.get("FAKE_HANG"))
        type(self).before_batch(len(self.encoded))
        self.encoded.append(len(images))
        return unit([np.asarray(image, np.float32).mean((0, 1)) for image in images])

    def encode_queries(self, queries: Sequence[Query]) -> NDArray[np.float32]:
        return unit([self._colour(query) for query in queries])

    def explain(self, image: Image.Image, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Heat up the cells of a 4 × 4 grid by their colour."""
        small = np.asarray(image.resize((4, 4), Image.Resampling.BOX), np.float32) @ vector
        above = small - small.min()
        heat: NDArray[np.float32] = (above / (above.max() or 1)).astype(np.float32)
        return heat

    def _colour(self, query: Query) -> NDArray[np.float32]:
        total = np.zeros(3, np.float32)
        if query.image:
            total += np.asarray(query.image, np.float32).mean((0, 1))
        for word in query.text.split():
            total += COLOURS.get(word, (0, 0, 0))
        return total


class BrokenEncoder(ColourEncoder):
    fingerprint = "broken-1"

    def _colour(self, query: Query) -> NDArray[np.float32]:
        del query
        raise ZeroDivisionError("the\nsecret")


def unit(rows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    matrix: NDArray[np.float32] = np.stack(rows).astype(np.float32) + 1
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix


def wait_for(pipe: str | None) -> None:
    """Wait until something is written into a named pipe, if one is named."""
    if pipe:
        Path(pipe).read_bytes()


def noise(text: str) -> None:
    """Write to stdout as libraries do, in Python and in C."""
    if os.environ.get("FAKE_NOISE"):
        print(text)  # noqa: T201
        sys.stdout.flush()
        os.write(1, f"{text}\n".encode())
