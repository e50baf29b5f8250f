"""The FAISS index of a library: a base on disk, a tail in memory, a mask of what was removed."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import faiss
import numpy as np

from mcp_vlsearch.contracts import Space
from mcp_vlsearch.indexes.boundary import check_queries, check_rows, merged
from mcp_vlsearch.indexes.faiss import kinds
from mcp_vlsearch.indexes.faiss.access import Access
from mcp_vlsearch.indexes.faiss.base import Base, kind_of
from mcp_vlsearch.indexes.faiss.disk import DamagedError, Generations, read_manifest
from mcp_vlsearch.indexes.faiss.tail import Tail
from mcp_vlsearch.indexes.faiss.writing import write_base
from mcp_vlsearch.settings import Settings

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs, Vectors

__all__ = ["FaissIndex"]

logger = logging.getLogger(__name__)

_LEAST_TAIL: Final = 10_000
"""Rows that are read from the cache in a moment, and need no base."""
_TAIL_PART: Final = 10
"""Above that, one row in so many may be in the tail: so a row is stored ten times at most."""
_TRIES: Final = 5


class FaissIndex:
    """All vectors of a library (see :class:`StoredIndex`), two bytes a number.

    What came after the base is in memory, and compared row by row. Searches may run in several
    threads at once, beside one that adds, removes or takes up a new base. Raises
    :class:`SettingsError` if FAISS knows no such kind.
    """

    name = "faiss"

    def __init__(self, settings: Settings, space: Space) -> None:
        self.last_seq = self.last_removal = 0
        self._space = space
        self._asked = kinds.checked(settings.index_kind, space.dim)
        self._read_only = settings.read_only
        self._generations = Generations(settings.library, space.fingerprint)
        self._stamp: int | None = None
        self._refused: set[str] = set()
        self._base: Base | None = None
        self._tail = Tail(space.dim)
        self._removals: list[tuple[int, Seqs]] = []
        self._has_stored = False
        self._fault: tuple[Path, DamagedError] | None = None
        self._access = Access()

    def __len__(self) -> int:
        return len(self._tail) + (0 if self._base is None else len(self._base))

    @property
    def kind(self) -> str:
        """FAISS's name of how rows are searched, and what was measured for it."""
        if self._base is not None:
            return self._base.kind
        if self._asked in ("auto", "exact", kinds.EXACT):
            return kinds.EXACT
        return f"{kinds.EXACT}, all in memory ({self._asked} from {_LEAST_TAIL:,} images on)"

    def stored_kind(self) -> str | None:
        """Return the kind of the latest base (see :meth:`TellingIndex.stored_kind`)."""
        newest = self._generations.newest()
        try:
            return kind_of(read_manifest(newest)) if newest else None
        except (OSError, DamagedError):  # another process has stored anew, or will
            return None

    @property
    def due(self) -> bool:
        """Whether the tail has grown, or so much went, that a new base is worth it.

        So it is, once, if the base was made under another setting.
        """
        if self._read_only:
            return False
        base = self._base
        if base is None:
            return len(self._tail) >= _LEAST_TAIL
        if base.manifest.asked != self._asked and not self._has_stored:
            return True
        grown = max(len(self._tail), base.removed)
        return grown >= max(_LEAST_TAIL, base.manifest.count // _TAIL_PART)

    def add(self, seqs: "Seqs", vectors: "Vectors") -> None:
        """Add unit-norm rows. Raises ValueError unless seqs grow from :attr:`last_seq` on."""
        if not len(seqs):
            return
        seqs = check_rows(seqs, vectors, self.last_seq, self._space.dim)
        with self._access.alone():
            self._tail.add(seqs, vectors)
            self.last_seq = int(seqs[-1])

    def remove(self, seqs: "Seqs", last_removal: int) -> None:
        """Forget rows of the tail, and mask those of the base; unknown seqs are ignored."""
        seqs = np.ascontiguousarray(seqs, np.int64)
        with self._access.alone():
            self._tail.remove(seqs)
            if self._base is not None:
                self._base.remove(seqs)
            if len(seqs):
                self._removals.append((last_removal, seqs))
            self.last_removal = last_removal

    def search(
        self, queries: "Vectors", k: int, allowed: "Seqs | None" = None
    ) -> tuple["Vectors", "Seqs"]:
        """Find the nearest rows (see :meth:`VectorIndex.search`); scores are exact cosines.

        Raises :class:`QueryError` if a query is not a vector of this space, or not of numbers.
        """
        queries = check_queries(queries, k, self._space.dim)
        if not len(queries):
            return merged([], 0, k)
        if allowed is not None:
            allowed = np.asarray(allowed, np.int64)
        with self._access.shared(), _threads(len(queries)):
            found = [self._tail.search(queries, k, allowed)]
            if self._base is not None and len(self._base):
                found.append(self._base.search(queries, k, allowed))
        return merged(found, len(queries), k)

    def refresh(self) -> None:
        """Take up the latest base on disk, if it is another than before; costs one ``stat``.

        One that is damaged, or not of this space, is set aside, and a log line says so. Rows are
        then read from the cache again.
        """
        if self._fault is not None:
            self._refuse(*self._fault)
            self._forget()
        stamp = self._generations.stamp()
        if stamp == self._stamp:
            return
        base = self._open_newer()
        if base is not None:
            self._take_up(base)
        self._stamp = stamp

    def store(
        self,
        rows: "Iterable[tuple[Seqs, Vectors]]",
        count: int,
        last_removal: int,
        progress: Callable[[int], None],
    ) -> None:
        """Write a base of all rows beside the present one (see :meth:`StoredIndex.store`)."""
        del count
        with self._generations.alone() as is_alone:
            if not is_alone or self._newer():
                return
            with self._generations.next() as folder:
                write_base(folder, self._space, rows, last_removal, self._asked, progress)
            self._has_stored = True

    def verify(self, progress: Callable[[], None]) -> None:
        """Read all of the base (see :meth:`StoredIndex.verify`)."""
        base = self._base
        if base is None or base.is_verified:
            return
        try:
            base.verify(progress, may_note=not self._read_only)
        except FileNotFoundError:  # there is a newer one
            return
        except DamagedError as error:
            self._fault = base.folder, error

    def drop(self) -> None:
        """Delete every base of the space, and forget all rows."""
        if self._read_only:
            newest = self._generations.newest()
            self._refused |= {newest.name} if newest else set()
        else:
            self._generations.delete()
        self._forget()

    def _newer(self) -> Path | None:
        """Return the latest base on disk, unless it is the present one or was refused."""
        newest = self._generations.newest()
        if newest is None or newest.name in self._refused:
            return None
        return None if self._base is not None and self._base.folder == newest else newest

    def _open_newer(self) -> Base | None:
        """Open the latest base, if it is another than before. Damaged ones are set aside."""
        for _ in range(_TRIES):
            folder = self._newer()
            if folder is None:
                return None
            try:
                return Base(folder, self._space)
            except FileNotFoundError as error:
                if folder.exists():  # else a newer one has taken its place
                    name = Path(error.filename).name
                    self._refuse(folder, DamagedError(f"damaged ({name} is missing)"))
            except DamagedError as error:
                self._refuse(folder, error)
            except OSError as error:  # another time, in another process, it may work
                self._refused.add(folder.name)
                logger.warning("the stored index %s can't be read: %s", folder, error.strerror)
        return None

    def _refuse(self, folder: Path, error: DamagedError) -> None:
        self._refused.add(folder.name)
        if not self._read_only:
            self._generations.set_aside(folder)
        logger.warning("the stored index %s is %s: made anew from the library", folder, error)

    def _take_up(self, base: Base) -> None:
        self._removals = [each for each in self._removals if each[0] > base.manifest.last_removal]
        for _, seqs in self._removals:
            base.remove(seqs)
        with self._access.alone():
            self._base = base
            self._tail = self._tail.after(base.manifest.last_seq)
            # What came to the tail and what is in the base may know of different removals: then
            # those that one of them lacks are read again.
            known = base.manifest.last_removal
            self.last_removal = min(self.last_removal, known) if len(self._tail) else known
            self.last_seq = max(self.last_seq, base.manifest.last_seq)

    def _forget(self) -> None:
        with self._access.alone():
            self._base, self._tail = None, Tail(self._space.dim)
            self._removals.clear()
            self._fault = None
            self.last_seq = self.last_removal = 0
            self._stamp = None


@contextmanager
def _threads(queries: int) -> Iterator[None]:
    """Let FAISS start no threads in this one that it has no queries for, and then waits for."""
    usual = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(min(queries, usual))
    try:
        yield
    finally:
        faiss.omp_set_num_threads(usual)
