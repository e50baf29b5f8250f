"""The encoder ``remote``: vectors from an OpenAI-style server, vLLM's or ``encoder serve``."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mcp_vlsearch.contracts import Query
from mcp_vlsearch.encoders.endpoint import CONCURRENT, Endpoint
from mcp_vlsearch.encoders.remote_space import RemoteSpace
from mcp_vlsearch.encoders.wire import (
    CARD,
    EXPLAIN,
    Packed,
    data_uri,
    finished,
    packed_numbers,
    request_for,
    unpacked_numbers,
)
from mcp_vlsearch.errors import (
    EncoderError,
    OutOfMemoryError,
    SettingsError,
    UnreachableError,
)
from mcp_vlsearch.settings import Settings

__all__ = ["RemoteEncoder"]

_EMBEDDINGS: Final = "/v1/embeddings"
_CELL: Final = 32
"""Qwen3-VL looks at pictures in squares of so many pixels."""
_SHOWN: Final = 1024
"""Pixels along an edge of a picture that is to be explained."""
_DEFAULT_MAX_PIXELS: Final = 512 * 512
_PROBE_TEXT: Final = "A red bicycle leans on a white wall."


class RemoteEncoder:
    """Has pictures and queries encoded by another process (see :class:`PreparingEncoder`).

    It is at the settings' address, unless an ``endpoint`` is given. Construction asks the server
    what it serves. Our own server says its encoder's fingerprint, so a library that was encoded
    here goes on with it; any other is told by the vectors of two probes. Raises
    :class:`EncoderError` if the server can't be reached or has no such model, and
    :class:`SettingsError` for an address, dim or pixel budget that can't be.
    """

    name = "remote"

    def __init__(self, settings: Settings, endpoint: Endpoint | None = None) -> None:
        self.model = settings.model
        self._endpoint = endpoint or Endpoint(settings.encoder_url, settings.encoder_token)
        self._image_instruction = finished(settings.image_instruction)
        self._query_instruction = finished(settings.query_instruction)
        self._max_pixels = settings.max_pixels or _DEFAULT_MAX_PIXELS
        self._width: int | None = None
        self._space: str | None = None
        self._foreign: RemoteSpace | None = None
        self.batch_size = settings.batch_size or 2 * CONCURRENT
        card = self._card()
        self._is_ours = card is not None
        self.composes = card is None or bool(card.get("composes", True))
        self.encoder_model = self.model if card is None else str(card.get("model", self.model))
        if card is not None:
            self.precision, self.device = str(card["precision"]), str(card["device"])
            self._check_precision(settings.precision)
            if settings.is_flag("max_pixels"):
                raise SettingsError(
                    f"--max-pixels is up to {self._endpoint.url}: give it there, or leave it out"
                )
            self._width, space = int(card["dim"]), str(card["fingerprint"])
            self._space = space
        else:
            self.precision, self.device = "unknown", "remote"
            probes = self._probe()
            self._width = probes.shape[1]
            self._foreign = RemoteSpace(settings, self._served(), probes)
            space = self._foreign.name
        self.dim = self._width if settings.dim is None else settings.dim
        if self.dim > self._width:
            raise SettingsError(
                f"--dim {self.dim}: vectors of {self.model!r} have {self._width} dimensions; give "
                f"8 to {self._width}"
            )
        self.fingerprint = space if self.dim == self._width else _digest([space, self.dim])
        self._target_size = lru_cache(maxsize=4096)(self._ask_target_size)

    def target_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the size in pixels at which pictures are sent.

        Our own server is asked, so that it has nothing left to resize; for others it is a multiple
        of 32 within ``max_pixels``, as Qwen3-VL resizes pictures.
        """
        if self._is_ours:
            return self._target_size(width, height)
        shrink = max(1.0, math.sqrt(width * height / self._max_pixels))
        fit = math.floor if shrink > 1 else round
        longest = self._max_pixels // _CELL**2
        columns = min(max(1, fit(width / shrink / _CELL)), longest)
        rows = min(max(1, fit(height / shrink / _CELL)), longest // columns)
        return columns * _CELL, max(1, rows) * _CELL

    def load(self) -> None:
        """Do nothing: the server has the weights."""

    def prepare(self, image: Image.Image) -> Packed:
        """Return a picture as it is sent: packing takes longer than sending."""
        image = image if image.mode == "RGB" else image.convert("RGB")
        size = self.target_size(*image.size)
        if image.size != size:
            image = image.resize(size, Image.Resampling.BICUBIC)
        return Packed(data_uri(image))

    def encode_images(self, images: Sequence[Image.Image | Packed]) -> NDArray[np.float32]:
        """Return unit-norm vectors, shape (len(images), dim). Raises :class:`EncoderError`."""
        vectors = self._encode(
            [
                request_for(
                    self.model,
                    self._image_instruction,
                    picture=image if isinstance(image, Packed) else self.prepare(image),
                )
                for image in images
            ]
        )
        if self._foreign:
            self._foreign.remember()  # there is a library by now, which holds these vectors
        return vectors

    def encode_queries(self, queries: Sequence[Query]) -> NDArray[np.float32]:
        """Return unit-norm vectors, shape (len(queries), dim). Raises :class:`EncoderError`."""
        return self._encode(
            [
                request_for(
                    self.model,
                    self._query_instruction,
                    query.text,
                    None if query.image is None else self.prepare(query.image),
                )
                for query in queries
            ]
        )

    def explain(self, image: Image.Image, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return how much each part of a picture matches a vector, shape (rows, columns).

        Raises :class:`EncoderError`, also if the server or its encoder can't say.
        """
        if not self._is_ours:
            raise EncoderError(
                f"{self._endpoint.url} gives vectors only, and can't say which part of a picture "
                "matches: run `mcp-vlsearch encoder serve` for that"
            )
        picture = image.convert("RGB")
        picture.thumbnail((_SHOWN, _SHOWN))
        body = {"picture": data_uri(picture), "vector": packed_numbers(vector)}
        [answer] = self._endpoint.post_all(EXPLAIN, [body])
        if _space_in(answer) != self._space:
            raise UnreachableError(
                f"{self._endpoint.url} runs another model or precision now: start again"
            )
        try:
            return unpacked_numbers(answer["heat"], (int(answer["rows"]), int(answer["columns"])))
        except (KeyError, TypeError, ValueError) as error:
            raise EncoderError(
                f"{self._endpoint.url} gave no usable heat map: start the same version there"
            ) from error

    def _encode(self, bodies: Sequence[Mapping[str, Any]]) -> NDArray[np.float32]:
        vectors = self._vectors(bodies)[:, : self.dim]
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    def _vectors(self, bodies: Sequence[Mapping[str, Any]]) -> NDArray[np.float32]:
        """Return what the server answers, shape (len(bodies), its width), of length 1."""
        answers = self._answers(bodies)
        if self._space and any(_space_in(answer) != self._space for answer in answers):
            raise UnreachableError(
                f"{self._endpoint.url} runs another model or precision now: start again"
            )
        rows = [self._row(answer) for answer in answers]
        if len({len(row) for row in rows} | ({self._width} if self._width else set())) > 1:
            raise EncoderError(
                f"{self._endpoint.url} gave vectors of another length than before: does it serve "
                "another model now? Start again"
            )
        return np.stack(rows) if rows else np.empty((0, self._width or 0), np.float32)

    def _answers(self, bodies: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Ask for all at once; where the server's memory is too short for that, for fewer."""
        try:
            return self._endpoint.post_all(_EMBEDDINGS, bodies)
        except OutOfMemoryError:
            if len(bodies) < 2:
                raise
        half = len(bodies) // 2
        return self._answers(bodies[:half]) + self._answers(bodies[half:])

    def _row(self, answer: Any) -> NDArray[np.float32]:
        try:
            vector = np.asarray(answer["data"][0]["embedding"], np.float32)
        except (KeyError, IndexError, TypeError, ValueError):
            vector = np.empty(0, np.float32)
        norm = float(np.linalg.norm(vector)) if vector.ndim == 1 and len(vector) else 0.0
        if not (math.isfinite(norm) and norm > 0):
            raise EncoderError(
                f"{self._endpoint.url} gave no usable vector: check --encoder-url and --model"
            )
        return vector / np.float32(norm)

    def _card(self) -> Mapping[str, Any] | None:
        """Return what our own server says about its encoder, None if it is somebody else's."""
        models = self._endpoint.get("/v1/models")
        entries = models.get("data", []) if isinstance(models, dict) else []
        by_name = {entry.get("id"): entry for entry in entries if isinstance(entry, dict)}
        if by_name and self.model not in by_name:
            raise EncoderError(
                f"{self._endpoint.url} serves no {self.model!r}: give --model "
                f"{' or '.join(map(str, by_name))}"
            )
        card = by_name.get(self.model, {}).get(CARD)
        if not isinstance(card, dict):
            return None
        ours = {"image": self._image_instruction, "query": self._query_instruction}
        for kind, instruction in ours.items():
            if card[f"{kind}_instruction"] != instruction:
                raise EncoderError(
                    f"{self._endpoint.url} was started with another instruction: give "
                    f"--{kind}-instruction {card[f'{kind}_instruction']!r}"
                )
        return card

    def _check_precision(self, wanted: str) -> None:
        """Refuse a server whose own choice has changed: pictures would be encoded anew unasked."""
        if wanted not in ("auto", self.precision):
            raise EncoderError(
                f"{self._endpoint.url} runs {self.model!r} in {self.precision}, not in {wanted}: "
                f"start it with --precision {wanted}, or index again with "
                f"--precision {self.precision}"
            )

    def _probe(self) -> NDArray[np.float32]:
        ramp = np.arange(0, 256, 4, dtype=np.uint8)
        pixels = np.stack(np.broadcast_arrays(ramp, ramp[:, None], np.uint8(128)), axis=2)
        picture = Packed(data_uri(Image.fromarray(np.ascontiguousarray(pixels))))
        return self._vectors(
            [
                request_for(self.model, self._query_instruction, _PROBE_TEXT),
                request_for(self.model, self._image_instruction, picture=picture),
            ]
        )

    def _served(self) -> str:
        """Return what decides the vectors besides the server's weights."""
        return json.dumps([self.model, self._width, self._image_instruction, self._max_pixels])

    def _ask_target_size(self, width: int, height: int) -> tuple[int, int]:
        answer = self._endpoint.get("/target_size", {"width": width, "height": height})
        try:
            return int(answer["width"]), int(answer["height"])
        except (KeyError, TypeError, ValueError) as error:
            raise UnreachableError(
                f"{self._endpoint.url} is another program now: start the server there again"
            ) from error


def _space_in(answer: Any) -> str | None:
    """Return the fingerprint of the encoder that made an answer, None if it says none."""
    said = answer.get(CARD) if isinstance(answer, dict) else None
    return str(said["fingerprint"]) if isinstance(said, dict) and "fingerprint" in said else None


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
