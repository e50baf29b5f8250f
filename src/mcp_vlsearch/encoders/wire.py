"""The request form of ``/v1/embeddings`` for pictures, as vLLM serves Qwen3-VL-Embedding.

One list of messages, the prompt of the model, gives one vector: the instruction as system message,
the picture before the text, and the start of an answer.
"""

import base64
import io
import unicodedata
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = [
    "CARD",
    "EXPLAIN",
    "OUT_OF_MEMORY",
    "Packed",
    "data_uri",
    "finished",
    "packed_numbers",
    "request_for",
    "unpacked_numbers",
]

CARD: Final = "mcp_vlsearch"
"""Key under which our own server says more about its encoder: all of it in an entry of
``/v1/models``, its fingerprint in every answer with vectors."""
EXPLAIN: Final = "/explain"
"""Where our own server says which part of a picture matches a vector."""
OUT_OF_MEMORY: Final = "out_of_memory"
"""Type of the error by which our own server says that memory is short."""
_DEFAULT_INSTRUCTION: Final = "Represent the user's input."
_NOTHING: Final = "NULL"
_MAX_CHARACTERS: Final = 8192


@dataclass(frozen=True)
class Packed:
    """A picture as it is sent: its :func:`data_uri`."""

    uri: str

    @property
    def nbytes(self) -> int:
        """Bytes of memory, and on the wire."""
        return len(self.uri)


def finished(instruction: str) -> str:
    """Return an instruction as the model was trained on it, with a final punctuation mark."""
    instruction = instruction.strip() or _DEFAULT_INSTRUCTION
    return (
        instruction if unicodedata.category(instruction[-1]).startswith("P") else instruction + "."
    )


def request_for(
    model: str, instruction: str, text: str = "", picture: Packed | None = None
) -> dict[str, Any]:
    """Return the body of a request for the vector of a text, a picture or both."""
    # a typed special token would end the message, or stand for a picture
    text = text.strip()[:_MAX_CHARACTERS].replace("<|", "< |")
    content: list[dict[str, Any]] = []
    if picture is not None:
        content.append({"type": "image_url", "image_url": {"url": picture.uri}})
    content.append({"type": "text", "text": text or ("" if content else _NOTHING)})
    return {
        "model": model,
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": finished(instruction)}]},
            {"role": "user", "content": content},
            {"role": "assistant", "content": [{"type": "text", "text": ""}]},
        ],
        "encoding_format": "float",
        "continue_final_message": True,
        "add_special_tokens": True,
    }


def packed_numbers(values: NDArray[np.float32]) -> str:
    """Return numbers row by row as they are sent: little-endian float32 in base64."""
    return base64.b64encode(values.astype("<f4").tobytes()).decode()


def unpacked_numbers(packed: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return what :func:`packed_numbers` packed. Raises :class:`ValueError` for anything else."""
    values = np.frombuffer(base64.b64decode(packed, validate=True), "<f4").astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError("not all numbers are finite")
    return values.reshape(shape)


def data_uri(image: Image.Image) -> str:
    """Return an RGB picture as PNG, which keeps every pixel: JPEG would move its vector.

    Pictures are at the encoder's size by now, some hundred kilobytes; packing them harder would
    cost more time than sending them.
    """
    packed = io.BytesIO()
    image.save(packed, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(packed.getvalue()).decode()
