"""What an encoder, an index and a rewriter must do; a plugin is a class that fits one of these.

``mcp_vlsearch.testing`` holds the suites that check it.
"""

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
    Seqs = NDArray[np.int64]
    """Sequence numbers of vectors, shape (n,)."""

__all__ = ["Encoder", "Prepared", "PreparingEncoder", "Query", "QueryRewriter", "VectorIndex"]


@dataclass(frozen=True)
class Query:
    """What is searched for: a text, a picture, or both together (a composed query)."""

    text: str = ""
    image: Image.Image | None = None


@runtime_checkable
class Encoder(Protocol):
    """Turns images and queries into unit-norm float32 vectors of one space.

    All attributes are known after construction, which must be cheap; weights are read by
    :meth:`load`. ``fingerprint`` changes whenever the vectors would. ``batch_size`` is how many
    images :meth:`encode_images` takes at best in one call. Calls never overlap, for the library
    serialises them; only :meth:`target_size` is called from several threads at once, and meanwhile.
    One that has more to do to a picture before the device can work is a :class:`PreparingEncoder`.
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
class VectorIndex(Protocol):
    """Nearest-neighbour structure over the vectors of one fingerprint.

    Rows are named by ``seq``, a number that only grows. ``kind`` says how it searches.
    """

    name: str
    kind: str
    last_seq: int
    """The highest seq ever added, 0 when none was."""

    def __len__(self) -> int:
        """Return how many vectors can be found."""
        ...

    def add(self, seqs: Seqs, vectors: Vectors) -> None:
        """Add unit-norm float32 rows under seqs that are higher than :attr:`last_seq`."""
        ...

    def remove(self, seqs: Seqs) -> None:
        """Forget rows; unknown seqs are ignored."""
        ...

    def search(self, queries: Vectors, k: int, allowed: Seqs | None = None) -> tuple[Vectors, Seqs]:
        """Find the ``k`` nearest rows of each query, best first.

        ``allowed`` restricts the search itself to these seqs. Returns cosine scores (float32) and
        seqs (int64), both of shape (len(queries), k); where there are fewer than ``k`` rows the
        rest is ``-inf`` and ``-1``.
        """
        ...


@runtime_checkable
class QueryRewriter(Protocol):
    """Turns one terse query into further phrasings; the original is always searched too."""

    name: str

    def rewrite(self, query: str) -> list[str]:
        """Return up to a handful of phrasings in the query's own language, without the original."""
        ...
