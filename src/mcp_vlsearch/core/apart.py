"""Encoding a batch of which one picture may break the encoder: the others must not pay for it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from PIL import Image

from mcp_vlsearch.errors import (
    CancelledError,
    CheckpointError,
    OutOfMemoryError,
    UnreachableError,
    VLSearchError,
)

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Prepared, Vectors

__all__ = ["encode_apart"]

Ready: TypeAlias = "Image.Image | Prepared"
Encode: TypeAlias = "Callable[[Sequence[Ready]], Vectors]"

_NO_PICTURES_FAULT: Final = (
    *(CancelledError, CheckpointError, OutOfMemoryError, UnreachableError),
    MemoryError,
)


def encode_apart(
    images: "Sequence[Ready]", encode: Encode, size: Callable[[], tuple[int, int]]
) -> "tuple[Vectors, dict[int, str]]":
    """Return the vectors of pictures, shape (n, dim), and by position why others have none.

    If the batch fails, its pictures are encoded one by one. If each of them fails, the encoder is
    broken rather than a picture, and this raises what it raised. Of a single one, a plain picture
    of a ``size`` that the encoder looks at tells.
    """
    try:
        return encode(images), {}
    except _NO_PICTURES_FAULT:
        raise
    except Exception:
        pass  # out of the handler, whose traceback holds on to the batch's memory
    vectors: list[Vectors] = []
    reasons: dict[int, str] = {}
    failure: Exception | None = None
    for position, image in enumerate(images):
        try:
            vectors.append(encode([image]))
        except _NO_PICTURES_FAULT:
            raise
        except Exception as error:
            failure = error
            reasons[position] = f"the encoder fails on this picture ({_words(error)})"
    if vectors:
        return np.concatenate(vectors), reasons
    if failure and (len(images) > 1 or not _encodes_a_plain_picture(encode, size)):
        raise failure
    return np.empty((0, 0), np.float32), reasons


def _encodes_a_plain_picture(encode: Encode, size: Callable[[], tuple[int, int]]) -> bool:
    try:
        encode([Image.new("RGB", size(), "grey")])
    except _NO_PICTURES_FAULT:
        raise
    except Exception:
        return False
    return True


def _words(error: Exception) -> str:
    said = " ".join(str(error).split())[:200]
    return said if isinstance(error, VLSearchError) else f"{type(error).__name__}: {said}"
