"""Ways to keep vectors on disk and to search them: this project's library, and FAISS by itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks._filled import opened
from benchmarks._library import camera_of, fill
from benchmarks._vectors import Vectors
from mcp_vlsearch.contracts import Query
from mcp_vlsearch.core.progress import silent
from mcp_vlsearch.indexes.faiss.disk import ROWS
from mcp_vlsearch.indexes.faiss.kinds import EXACT
from mcp_vlsearch.types import Filters

__all__ = ["BLOCK", "NOTHING", "OURS", "Engine", "Faiss", "Flat", "Ours", "Rows"]

OURS: Final = "ours"
BLOCK: Final = 5000
"""Rows that are given to an engine at a time."""
TRAINING: Final = 200_000
"""Rows that an index of FAISS is trained on at most."""
NOTHING: Final = 0
"""The effort of an engine that can't be told how hard to try."""

# A factory string, and for a coarse index how it is searched, as in
# "IVF4096,SQ8 (nprobe 32, 8 candidates a hit, recall 0.985)".
_KIND: Final = re.compile(r"(\S+)(?: \((?:(\w+) (\d+), )?(\d+) candidates)?")


@dataclass(frozen=True)
class Rows:
    """Files with unit-norm ``vectors``, (n, dim), a ``camera`` for each, and ``queries``."""

    folder: Path

    @cached_property
    def vectors(self) -> Vectors:
        """The vectors, mapped."""
        return self._file("vectors")

    @cached_property
    def cameras(self) -> NDArray[np.int64]:
        """A number for each vector; a filter asks for one of them."""
        return np.load(self.folder / "cameras.npy")  # type: ignore[no-any-return]

    @cached_property
    def queries(self) -> Vectors:
        """What is searched for."""
        return self._file("queries")

    def blocks(self) -> Iterator[tuple[NDArray[np.int64], Vectors, NDArray[np.int64]]]:
        """Yield numbers, vectors and cameras of rows, in order."""
        for first in range(0, len(self.vectors), BLOCK):
            here = slice(first, first + BLOCK)
            vectors = np.array(self.vectors[here])
            yield np.arange(first, first + len(vectors)), vectors, self.cameras[here]

    def _file(self, name: str) -> Vectors:
        return np.load(self.folder / f"{name}.npy", mmap_mode="r")  # type: ignore[no-any-return]


class Engine(Protocol):
    """Builds a folder in one process, opens and searches it in another one.

    What it imports, it imports when it is made; raises ModuleNotFoundError where that is missing.
    ``efforts`` are the numbers that tell it how hard to try, from the least on; searches follow
    ``effort``, which is one of them. ``kind`` says how it searches, once that is known.
    """

    kind: str
    efforts: Sequence[int]
    effort: int
    can_filter: bool

    def build(self, folder: Path, rows: Rows) -> None:
        """Store all rows so that another process can open them."""
        ...

    def open(self, folder: Path, rows: Rows) -> None:
        """Make ready for searches; of ``rows``, only queries and cameras may be used."""
        ...

    def search(self, query: int, k: int, camera: int | None) -> Sequence[int]:
        """Return the numbers of the ``k`` rows that are nearest to a query, best first."""
        ...


class Ours:
    """A whole :class:`Library`, with files, images and metadata; the query's vector is ready."""

    kind = ""
    efforts: Sequence[int] = (NOTHING,)
    effort = NOTHING
    can_filter = True

    def build(self, folder: Path, rows: Rows) -> None:
        """Fill a library; to index what there is, nothing, stores its index, if that is due."""
        fill(folder, (vectors for _, vectors, _ in rows.blocks()), rows.cameras)
        self.open(folder, rows)
        self.library.index()
        self.search(0, 1, None)
        self.kind = self.library.status().index.kind
        self.library.close()

    def open(self, folder: Path, rows: Rows) -> None:
        """Open the library."""
        self._rows, self._folder = rows, folder
        self.library = opened(folder, rows.queries.shape[1], rows.queries)
        space = self.library._spaces.current(silent)
        asked = [Query(str(query)) for query in range(len(rows.queries))]
        self.library._encoder.encode_queries(asked, silent, space.embeddings.fingerprint)

    def search(self, query: int, k: int, camera: int | None) -> Sequence[int]:
        """Search by a text that stands for the query."""
        filters = Filters() if camera is None else Filters(camera=camera_of(camera))
        result = self.library.search_by_text(str(query), top_k=k, filters=filters)
        return [int(hit.path.rpartition("/")[2].partition(".")[0]) for hit in result.hits]

    def inside(self) -> dict[str, Callable[[int, int], Sequence[int]]]:
        """Return searches of what a search of the library consists of.

        They are of its index, and where that compares every row, of these rows by one call to FAISS
        in one thread, which is what FAISS gives a query.
        """
        space = self.library._spaces.opened
        assert space
        index = space.index.current(silent)
        alone: dict[str, Any] = {"index": index}
        if index.kind.partition(",")[0] == EXACT:
            alone["FAISS"] = self._flat()
        return {name: partial(self._alone, each) for name, each in alone.items()}

    def _alone(self, index: Any, query: int, k: int) -> Sequence[int]:
        """Search without anything around it."""
        found: list[int] = index.search(self._rows.queries[query : query + 1], k)[1][0].tolist()
        return found

    def _flat(self) -> Any:
        """Return the rows as FAISS alone has them: the file of the base, or a copy in memory."""
        import faiss

        faiss.omp_set_num_threads(1)
        for path in self._folder.rglob(ROWS):
            return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        index = faiss.index_factory(self._rows.queries.shape[1], EXACT, faiss.METRIC_INNER_PRODUCT)
        for _, vectors, _ in self._rows.blocks():
            index.add(vectors)
        return index


class Faiss:
    """A FAISS index by what ours says of its own, with a selector as filter.

    Where ours compares the best of a coarse index again, FAISS does by its own refinement.
    """

    efforts: Sequence[int] = (NOTHING,)
    effort = NOTHING
    can_filter = True

    def __init__(self, kind: str) -> None:
        import faiss

        self.kind = kind
        self._faiss: Any = faiss
        found = _KIND.match(kind)
        assert found
        self._factory, name, effort, candidates = found.groups()
        self._options = {name: int(effort)} if name else {}
        self._candidates = int(candidates or 0)
        if candidates:
            self._factory += ",Refine(SQfp16)"

    def build(self, folder: Path, rows: Rows) -> None:
        """Train and fill the index and write it."""
        metric = self._faiss.METRIC_INNER_PRODUCT
        index = self._faiss.index_factory(rows.vectors.shape[1], self._factory, metric)
        if not index.is_trained:
            index.train(np.array(rows.vectors[:TRAINING]))  # they are in random order
        for _, vectors, _ in rows.blocks():
            index.add(vectors)
        self._faiss.write_index(index, str(folder / "index"))

    def open(self, folder: Path, rows: Rows) -> None:
        """Read the index."""
        self._index = self._faiss.read_index(str(folder / "index"))
        self._rows = rows

    def search(self, query: int, k: int, camera: int | None) -> Sequence[int]:
        """Search with a selector of the camera's rows."""
        selector = None
        if camera is not None:
            selector = self._faiss.IDSelectorBatch(np.flatnonzero(self._rows.cameras == camera))
        vector = self._rows.queries[query : query + 1]
        found: list[int] = self._index.search(vector, k, params=self._parameters(selector))[1][0]
        return [int(number) for number in found]

    def _parameters(self, selector: Any) -> Any:
        kinds = {
            "nprobe": self._faiss.SearchParametersIVF,
            "efSearch": self._faiss.SearchParametersHNSW,
        }
        kind = next((kinds[name] for name in self._options), self._faiss.SearchParameters)
        inner = kind(sel=selector, **self._options)
        if not self._candidates:
            return inner
        return self._faiss.IndexRefineSearchParameters(
            k_factor=self._candidates, base_index_params=inner
        )


class Flat(Faiss):
    """Every vector is compared, in float32."""

    def __init__(self) -> None:
        super().__init__("Flat")
