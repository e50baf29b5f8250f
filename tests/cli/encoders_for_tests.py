"""Encoders that wait or fail."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mcp_vlsearch_colours import ColourEncoder, Vectors
from PIL import Image

from mcp_vlsearch.errors import CheckpointError
from mcp_vlsearch.settings import Settings


class GatedEncoder(ColourEncoder):
    """Colours, but every batch after the first waits until the test lets it through.

    It opens one named pipe to say that it has come so far, and waits for news on another.
    """

    name = "gated"
    fingerprint = "gated"
    batch_size = 1
    batches = 0

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """Encode, at the test's command."""
        self.batches += 1
        gate = os.environ.get("TEST_GATE")
        if gate and self.batches > 1:
            Path(gate, "reached").write_text("")
            Path(gate, "go").read_text()
        return super().encode_images(images)


class DownloadingEncoder(ColourEncoder):
    """Fetches its weights in a thread of a pool, as the hub's client does, and they never come."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        gate = os.environ["TEST_GATE"]
        with ThreadPoolExecutor(1) as pool:
            pool.submit(Path(gate, "go").read_text)
            Path(gate, "reached").write_text("")


class BrokenEncoder(ColourEncoder):
    """Never loads."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        raise CheckpointError("the encoder is out of order: mend it")
