"""The encoder ``qwen3-vl``: checkpoint, device, prompts, pixels and forward put together."""

import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mcp_vlsearch.contracts import Query
from mcp_vlsearch.encoders.qwen3_vl.batching import Batches
from mcp_vlsearch.encoders.qwen3_vl.checkpoint import Checkpoint, open_checkpoint
from mcp_vlsearch.encoders.qwen3_vl.device import (
    BATCH_TOKENS,
    choose_batch_size,
    choose_device,
    choose_precision,
    memory_explained,
)
from mcp_vlsearch.encoders.qwen3_vl.explaining import ANY_QUERY, finely, heat_of, windows_of
from mcp_vlsearch.encoders.qwen3_vl.fast import FastForward
from mcp_vlsearch.encoders.qwen3_vl.pixels import Patches
from mcp_vlsearch.encoders.qwen3_vl.prompt import TEMPLATE_VERSION, Prompt, Tokens, instruct
from mcp_vlsearch.encoders.qwen3_vl.quantise import QUANTISED, check_quantised
from mcp_vlsearch.errors import EncoderError, OutOfMemoryError, SettingsError
from mcp_vlsearch.settings import Settings

__all__ = ["Qwen3VLEncoder"]

_BATCH_TOO_LARGE: Final = (
    "not enough memory to encode a batch: use a smaller --max-pixels or --batch-size, "
    "or --precision bf16"
)


@dataclass(frozen=True)
class _Item:
    """What one vector is made of."""

    text: str
    picture: Patches | None


class _Parts(NamedTuple):
    """What is there once the weights are."""

    tokens: Tokens
    batches: Batches
    forward: FastForward


class Qwen3VLEncoder:
    """Turns pictures and queries into vectors with a Qwen3-VL checkpoint.

    It is a :class:`PreparingEncoder`, pictures are cut into patches ahead, and an
    :class:`ExplainingEncoder`.

    Construction finds the checkpoint (and downloads a hub id that is not on this machine) and
    reads its config, not its weights. Raises :class:`CheckpointError` if there is no usable
    checkpoint, :class:`SettingsError` for a device, dim or precision that it can't have, and
    :class:`MissingExtraError` for one that needs another package.
    """

    name = "qwen3-vl"

    def __init__(self, settings: Settings) -> None:
        checkpoint = open_checkpoint(settings.model)
        self.model = settings.model
        self.device = choose_device(settings.device)
        text_config = checkpoint.config["text_config"]
        self.precision = choose_precision(
            settings.precision, self.device, checkpoint.parameters, text_config
        )
        if self.precision in QUANTISED:
            check_quantised(self.precision, self.device, text_config)
        self.dim = _dim(settings, checkpoint)
        self.pooling: Literal["last", "mean"] = (
            checkpoint.pooling if settings.pooling == "auto" else settings.pooling
        )
        self._checkpoint = checkpoint
        self._pixels = checkpoint.pixel_format(settings.max_pixels)
        self._image_instruction = instruct(settings.image_instruction)
        self._query_instruction = instruct(settings.query_instruction)
        tokens = self._pixels.max_pixels // self._pixels.cell**2
        self.batch_size = settings.batch_size or choose_batch_size(self.device, tokens)
        self._most = settings.batch_size
        self.fingerprint = self._fingerprint()
        self._lock = threading.Lock()
        self._loaded: _Parts | None = None
        self._neutral: NDArray[np.float32] | None = None

    def target_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and height in pixels at which a picture of the given size is seen."""
        return self._pixels.target_size(width, height)

    def load(self) -> None:
        """Read the weights; later calls do nothing.

        Raises :class:`CheckpointError` if they can't be read or don't fit into memory.
        """
        self._parts()

    def prepare(self, image: Image.Image) -> Patches:
        """Return a picture's patches; it is resized unless it has its :meth:`target_size`."""
        return self._pixels.patches(image)

    def encode_images(self, images: Sequence[Image.Image | Patches]) -> NDArray[np.float32]:
        """Return unit-norm vectors, shape (len(images), dim), in the order of the pictures.

        Pictures of any size are taken, and what :meth:`prepare` returns. Raises
        :class:`EncoderError`.
        """
        items = [
            _Item("", image if isinstance(image, Patches) else self.prepare(image))
            for image in images
        ]
        return self._encode(items, self._image_instruction)

    def encode_queries(self, queries: Sequence[Query]) -> NDArray[np.float32]:
        """Return unit-norm vectors, shape (len(queries), dim), in the order of the queries.

        A query is a text, a picture or both. What several have for a picture is seen once. Raises
        :class:`EncoderError`.
        """
        images = {id(query.image): query.image for query in queries if query.image is not None}
        pictures = {identity: self.prepare(image) for identity, image in images.items()}
        items = [_Item(query.text, pictures.get(id(query.image))) for query in queries]
        return self._encode(items, self._query_instruction)

    def explain(self, image: Image.Image, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return how much each part of a picture matches a vector, from 0 to 1.

        The picture may have any size. The vector has shape (dim,), or is cut to fewer dimensions.
        The result has a row and a column for each cell that the model sees. Raises
        :class:`EncoderError`.
        """
        tokens, _, forward = self._parts()
        picture, merge = finely(image, self._pixels), self._pixels.merge
        rows, columns = picture.rows // merge, picture.columns // merge
        numbers = np.arange(rows * columns).reshape(rows, columns)
        windows = windows_of(rows, columns)
        parts = [numbers[window].ravel() for window in windows]
        prompt = self._prompt(tokens, _Item("", picture), self._image_instruction)
        with memory_explained(OutOfMemoryError, _BATCH_TOO_LARGE):
            states = forward.of_parts(prompt, parts, BATCH_TOKENS[self.device])
        matches = self._vectors(states, len(vector)) @ (vector - self._any_query(len(vector)))
        return heat_of(rows, columns, windows, matches)

    def _any_query(self, dim: int) -> NDArray[np.float32]:
        """Return the mean vector of queries that ask for nothing, cut to ``dim`` numbers."""
        if self._neutral is None:
            self._neutral = self.encode_queries([Query(text) for text in ANY_QUERY])
        mean: NDArray[np.float32] = self._vectors(self._neutral, dim).mean(0)
        return mean

    def _encode(self, items: Sequence[_Item], instruction: str) -> NDArray[np.float32]:
        vectors = np.empty((len(items), self.dim), np.float32)
        if not items:
            return vectors
        tokens, batches, _ = self._parts()
        order = sorted(range(len(items)), key=lambda i: _shape(items[i]))
        for batch in batches.cut([self._tokens_about(items[i]) for i in order]):
            rows = [order[i] for i in batch]
            prompts = [self._prompt(tokens, items[i], instruction) for i in rows]
            with memory_explained(OutOfMemoryError, _BATCH_TOO_LARGE):
                vectors[rows] = self._vectors(batches.run(prompts), self.dim)
        return vectors

    def _vectors(self, states: NDArray[np.float32], dim: int) -> NDArray[np.float32]:
        if not np.isfinite(states).all():
            raise EncoderError(self._overflow())
        states = states[:, :dim]
        vectors: NDArray[np.float32] = states / np.linalg.norm(states, axis=1, keepdims=True)
        return vectors

    def _image_tokens(self, item: _Item) -> int:
        return 0 if item.picture is None else self._pixels.image_tokens(item.picture)

    def _tokens_about(self, item: _Item) -> int:
        """Return about how many tokens an item has that no other one has."""
        return self._image_tokens(item) + len(item.text) // 4 + 1

    def _prompt(self, tokens: Tokens, item: _Item, instruction: str) -> Prompt:
        ids = tokens(instruction, item.text, self._image_tokens(item))
        constant = tokens.constant(instruction, ids, picture=item.picture is not None)
        return Prompt(ids, item.picture, constant)

    def _parts(self) -> _Parts:
        with self._lock:
            if self._loaded is None:
                # transformers takes seconds to import, which construction must not
                from mcp_vlsearch.encoders.qwen3_vl.loading import load_model, load_tokenizer

                checkpoint = self._checkpoint
                tokenizer = load_tokenizer(checkpoint)
                model = load_model(checkpoint, self.device, self.precision)
                forward = FastForward(model, checkpoint.image_token, self._pixels, self.pooling)
                self._loaded = _Parts(
                    Tokens(tokenizer, checkpoint.image_token),
                    Batches(forward, BATCH_TOKENS[self.device], self._most),
                    forward,
                )
            return self._loaded

    def _fingerprint(self) -> str:
        pixels = self._pixels
        decides = {
            "encoder": self.name,
            "checkpoint": self._checkpoint.digest,
            "template": TEMPLATE_VERSION,
            "instruction": self._image_instruction,
            "pooling": self.pooling,
            "pixels": [pixels.min_pixels, pixels.max_pixels],
            "normalisation": [pixels.mean, pixels.std, pixels.resample],
            "precision": self.precision,
            "dim": self.dim,
        }
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]

    def _overflow(self) -> str:
        if self.precision == "fp16":
            return (
                f"{self.model!r} gave vectors that are no numbers: fp16 is too narrow for it; "
                "use --precision bf16 or fp32"
            )
        return (
            f"{self.model!r} gave vectors that are no numbers in {self.precision}: "
            "its weights are damaged; get the checkpoint again"
        )


def _shape(item: _Item) -> tuple[int, int, int]:
    """Return a key that brings together what goes well together."""
    if item.picture is None:
        return 0, 0, len(item.text)
    return len(item.picture.values), item.picture.columns, len(item.text)


def _dim(settings: Settings, checkpoint: Checkpoint) -> int:
    if settings.dim is None:
        return checkpoint.hidden_size
    if settings.dim > checkpoint.hidden_size:
        raise SettingsError(
            f"--dim {settings.dim}: vectors of {settings.model!r} have "
            f"{checkpoint.hidden_size} dimensions; give 8 to {checkpoint.hidden_size}"
        )
    return settings.dim
