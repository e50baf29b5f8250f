"""What an encoder must do, and what it may do besides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    Vectors = NDArray[np.float32]
    """Unit-norm rows, shape (n, dim)."""
    Heat = NDArray[np.float32]
    """How much each part of a picture matches, shape (rows, columns), from 0 to 1."""

__all__ = ["Encoder", "ExplainingEncoder", "Prepared", "PreparingEncoder", "Query"]


@dataclass(frozen=True)
class Query:
    """What is searched for: a text, a picture, or both together (a composed query)."""

    text: str = ""
    image: Image.Image | None = None


@runtime_checkable
class Encoder(Protocol):
    """Turns images and queries into unit-norm float32 vectors of one space.

    Attributes are known after construction, which must be cheap; :meth:`load` reads the weights.
    ``fingerprint`` changes whenever vectors would, ``batch_size`` is the best number of images for
    :meth:`encode_images`. Calls never overlap; only :meth:`target_size` comes from any thread, at
    any time. One with more to do to a picture ahead is a :class:`PreparingEncoder`; one that makes
    nothing of a picture and a text together has one attribute more, ``composes``, which is false.
    """

    name: str
    model: str
    precision: str
    device: str
    dim: int
    fingerprint: str
    batch_size: int

    def target_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the size in pixels at which the encoder looks at a picture of the given size.

        Pictures are resized to it ahead of the encoder, in worker threads, which call this at any
        time: it must change nothing.
        """
        ...

    def load(self) -> None:
        """Read the weights; later calls do nothing. Raises :class:`EncoderError`."""
        ...

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """Return one vector per RGB picture, shape (len(images), dim), in their order."""
        ...

    def encode_queries(self, queries: Sequence[Query]) -> Vectors:
        """Return one vector per query, shape (len(queries), dim), in their order."""
        ...


class Prepared(Protocol):
    """A picture in the form that its encoder likes best, such as a NumPy array."""

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it takes; they bound how far ahead pictures are prepared."""
        ...


_P = TypeVar("_P", bound=Prepared)


@runtime_checkable
class PreparingEncoder(Encoder, Protocol[_P]):
    """An encoder that does part of its work ahead, in worker threads; no encoder must.

    While a batch is on the device, the next one is prepared, rather than after it.
    """

    def prepare(self, image: Image.Image) -> _P:
        """Return an RGB picture in the form that :meth:`encode_images` likes best.

        Its vector is the picture's. Like :meth:`target_size` it is called by several threads at
        once, at any time, also before :meth:`load`, and must change nothing. Raises
        :class:`EncoderError`.
        """
        ...

    def encode_images(self, images: Sequence[Image.Image | _P]) -> Vectors:
        """Return one vector per picture; prepared ones and others may come together."""
        ...


@runtime_checkable
class ExplainingEncoder(Encoder, Protocol):
    """An encoder that can say which part of a picture carries a match; no encoder must."""

    def explain(self, image: Image.Image, vector: Vectors) -> Heat:
        """Return how much each part of an RGB picture, of any size, matches a vector of the space.

        ``vector`` has shape (dim,), such as :meth:`encode_queries` gives. The result is float32 of
        shape (rows, columns), laid over the whole picture from its top left corner: 0 for the part
        that matches least, 1 for the one that matches most; all 0 where no part stands out. Raises
        :class:`EncoderError`.
        """
        ...
