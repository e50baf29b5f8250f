"""What an index must do, and what it may do besides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mcp_vlsearch.contracts.encoders import Vectors
    from mcp_vlsearch.types import Filters

    Seqs = NDArray[np.int64]
    """Sequence numbers of vectors, shape (n,)."""

__all__ = [
    "ClosingIndex",
    "FilteringIndex",
    "ImageFacts",
    "LimitedIndex",
    "SharedIndex",
    "Space",
    "StoredIndex",
    "TellingIndex",
    "VectorIndex",
]


@dataclass(frozen=True)
class Space:
    """What an index is made for: vectors of ``dim`` numbers, all of one encoder's fingerprint.

    ``library`` is an id that no other library has.
    """

    fingerprint: str
    dim: int
    library: str = ""


@runtime_checkable
class VectorIndex(Protocol):
    """Nearest-neighbour structure over the vectors of one fingerprint.

    Rows are named by ``seq``, a number that only grows; removals are numbered, too. The library
    gives an index what came after the last ones that it knows.
    """

    name: str
    last_seq: int
    """The highest seq that was ever added, 0 when none was."""
    last_removal: int
    """The number of the last removal that it knows of, 0 when there was none."""

    @property
    def kind(self) -> str:
        """How it searches, in a few words for people."""
        ...

    def __len__(self) -> int:
        """Return how many vectors can be found."""
        ...

    def add(self, seqs: Seqs, vectors: Vectors) -> None:
        """Add unit-norm float32 rows under seqs that are higher than :attr:`last_seq`."""
        ...

    def remove(self, seqs: Seqs, last_removal: int) -> None:
        """Forget rows, which brings the index up to a removal; unknown seqs are ignored."""
        ...

    def search(self, queries: Vectors, k: int, allowed: Seqs | None = None) -> tuple[Vectors, Seqs]:
        """Find the ``k`` nearest rows of each query, best first.

        ``allowed`` restricts the search itself to these seqs. Returns cosine scores (float32) and
        seqs (int64), both of shape (len(queries), k); where there are fewer than ``k`` rows the
        rest is ``-inf`` and ``-1``.
        """
        ...


@runtime_checkable
class SharedIndex(VectorIndex, Protocol):
    """An index whose rows outlive the process: others may have added to them, or removed.

    Where another process was faster, :meth:`add` and :meth:`remove` may take up what it did and do
    nothing else: the library asks for the changes again until there are none.
    """

    def refresh(self) -> None:
        """Take up what is there now; called before every search.

        :attr:`last_seq` and :attr:`last_removal` may grow by it, and fall where rows were lost.
        """
        ...

    def drop(self) -> None:
        """Delete what is kept of this space: nobody will search it any more, or it is wrong.

        Afterwards the index is empty, as if it were new, and can be filled again.
        """
        ...


@runtime_checkable
class TellingIndex(VectorIndex, Protocol):
    """An index that can say what is stored without taking it up."""

    def stored_kind(self) -> str | None:
        """Return the kind of what is stored, as :attr:`kind` would be then; None if nothing is."""
        ...


class ImageFacts(NamedTuple):
    """What filters ask of an image itself; it never changes while the image has its seq.

    ``format`` is in capitals, ``width`` and ``height`` are of the upright picture, ``taken_sort``
    is a time by the camera's clock, as :func:`mcp_vlsearch.cache.conditions.sortable` writes it.
    """

    format: str = ""
    width: int = 0
    height: int = 0
    orientation: str = ""
    taken_sort: str | None = None
    camera: str | None = None


@runtime_checkable
class FilteringIndex(VectorIndex, Protocol):
    """An index that keeps facts of the images beside their vectors, and filters by them itself."""

    def pushed(self, filters: Filters) -> Filters:
        """Return the part of filters that the index can take over; the rest is the library's."""
        ...

    def add(self, seqs: Seqs, vectors: Vectors, facts: Sequence[ImageFacts] = ()) -> None:
        """Add rows with one image's facts each; without, no filter finds them."""
        ...

    def search(
        self, queries: Vectors, k: int, allowed: Seqs | None = None, filters: Filters | None = None
    ) -> tuple[Vectors, Seqs]:
        """Search among rows that are allowed and meet filters which :meth:`pushed` returned."""
        ...

    def count(self, allowed: Seqs | None, filters: Filters) -> int:
        """Return among how many rows such a search looks."""
        ...


@runtime_checkable
class LimitedIndex(VectorIndex, Protocol):
    """An index that finds so many rows in one search at most; the library asks for no more."""

    max_k: int
    """The largest ``k``, at least 1."""


@runtime_checkable
class ClosingIndex(VectorIndex, Protocol):
    """An index that holds files or connections open."""

    def close(self) -> None:
        """Let go of them; a call that comes later may take them up again."""
        ...


@runtime_checkable
class StoredIndex(SharedIndex, Protocol):
    """An index that is stored as a whole now and then, with what came after in memory."""

    @property
    def due(self) -> bool:
        """Whether so much has come that it should be stored anew."""
        ...

    def store(
        self,
        rows: Iterable[tuple[Seqs, Vectors]],
        count: int,
        last_removal: int,
        progress: Callable[[int], None],
    ) -> None:
        """Store all rows, about ``count`` of them, given in blocks by growing seq.

        What was removed up to ``last_removal`` is not among them. Searches and changes go on
        meanwhile, and the next :meth:`refresh` takes up what was stored. ``progress`` is told how
        many rows are done and may raise, which leaves everything as it was. Does nothing if another
        process is storing.
        """
        ...

    def verify(self, progress: Callable[[], None]) -> None:
        """Read all that is stored, where nobody has since it was, and doubt it if it is damaged.

        Then the next :meth:`refresh` forgets it, and :attr:`last_seq` falls. Searches and changes
        go on meanwhile. ``progress`` is called often and may raise.
        """
        ...
