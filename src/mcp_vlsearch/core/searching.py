"""The search pipeline, one step a line: queries → vector → allowed ids → hits → relevance."""

import time
from dataclasses import dataclass, field
from os.path import lexists
from typing import TYPE_CHECKING

import numpy as np

from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.cache.embeddings import Embeddings
from mcp_vlsearch.contracts import Query
from mcp_vlsearch.core.allowed import Allowed
from mcp_vlsearch.core.encoding import EncoderSlot
from mcp_vlsearch.core.fence import Fence
from mcp_vlsearch.core.filters import compile_filters
from mcp_vlsearch.core.fuse import exclude, fuse
from mcp_vlsearch.core.grouping import best_of_each_file
from mcp_vlsearch.core.lookup import IndexSlot
from mcp_vlsearch.core.progress import ProgressCallback, silent
from mcp_vlsearch.core.pushing import Pushing
from mcp_vlsearch.core.relevance import Background, judge, reaches
from mcp_vlsearch.core.roots import Roots
from mcp_vlsearch.core.sample import Sample
from mcp_vlsearch.errors import LibraryError, QueryError
from mcp_vlsearch.types import Filters, Hit, MinRelevance, SearchResult

if TYPE_CHECKING:
    from PIL import Image

    from mcp_vlsearch.contracts import Seqs, Vectors

__all__ = ["SearchRequest", "Searcher", "check_top_k", "nothing_found"]


@dataclass(frozen=True)
class SearchRequest:
    """What to search for, and which hits count.

    ``texts`` are phrasings of one wish, the original first. ``image`` is a picture to go with them
    (a composed query), ``vector`` a ready one, shape (dim,), in place of both. ``group_by_file``
    keeps the best image of each file.
    """

    texts: tuple[str, ...] = ()
    image: "Image.Image | None" = None
    vector: "Vectors | None" = None
    exclude: str = ""
    top_k: int = 10
    filters: Filters = field(default_factory=Filters)
    min_relevance: MinRelevance = "any"
    group_by_file: bool = False


def check_top_k(request: SearchRequest) -> None:
    """Raise :class:`QueryError` for a number of hits that is not given."""
    if not 1 <= request.top_k <= 100:
        raise QueryError(f"top_k is {request.top_k}: give a number from 1 to 100")


def nothing_found(request: SearchRequest) -> SearchResult:
    """Return what a search of an empty library finds."""
    return SearchResult(
        queries=list(request.texts), hits=[], total_images=0, searched_images=0, seconds=0
    )


class Searcher:
    """Runs searches over one fingerprint; with ``roots``, over what lies below them only."""

    def __init__(
        self,
        catalog: Catalog,
        embeddings: Embeddings,
        encoder: EncoderSlot,
        index: IndexSlot,
        sample: Sample,
        fence: Fence,
        filtered: Allowed,
        roots: Roots | None,
    ) -> None:
        self._catalog = catalog
        self._embeddings = embeddings
        self._encoder = encoder
        self._index = index
        self._sample = sample
        self._fence = fence
        self._filtered = filtered
        self._roots = roots

    def search(self, request: SearchRequest, report: ProgressCallback = silent) -> SearchResult:
        """Return the nearest pictures, best first.

        Raises :class:`QueryError`, and :class:`LibraryError` if all pictures were indexed under
        other settings.
        """
        started = time.monotonic()
        check_top_k(request)
        index = self._index.current(report)
        if not len(index):
            self._explain_emptiness()
        vector = self._vector(request, report)
        inside = self._fence.seqs(self._roots) if self._roots else None
        total = len(index) if inside is None else len(inside)
        filtering = Pushing(index, request.filters)
        allowed = self._allowed(filtering.rest, inside)
        searched = filtering.count(allowed)
        most = max(searched, 1)

        def find(k: int) -> "tuple[Vectors, Seqs]":
            scores, seqs = filtering.search(vector[None], k, allowed)
            return scores[0], seqs[0]

        if request.group_by_file:
            files = self._catalog.parts.sources
            scores, seqs = best_of_each_file(find, files, request.top_k, most)
        else:
            scores, seqs = find(min(request.top_k, most))
        background = Background.of(self._sample.scores(vector, index), len(index))
        hits = self._describe(scores, seqs, background)
        return SearchResult(
            queries=list(request.texts),
            hits=[hit for hit in hits if reaches(hit.relevance, request.min_relevance)],
            total_images=total,
            searched_images=searched,
            seconds=time.monotonic() - started,
        )

    def _vector(self, request: SearchRequest, report: ProgressCallback) -> "Vectors":
        if request.vector is not None:
            return request.vector
        queries = [Query(text, request.image) for text in request.texts or ("",)]
        unwanted = request.exclude.strip()
        if unwanted:
            queries.append(Query(unwanted))
        vectors = self._encoder.encode_queries(queries, report, self._embeddings.fingerprint)
        if unwanted:
            return exclude(fuse(vectors[:-1]), vectors[-1])
        return fuse(vectors)

    def _allowed(self, filters: Filters, inside: "Seqs | None") -> "Seqs | None":
        condition = compile_filters(filters)
        if condition is None:
            return inside
        allowed = self._filtered.seqs(condition)
        if inside is None:
            return allowed
        return allowed[np.isin(allowed, inside, assume_unique=True, kind="table")]

    def _explain_emptiness(self) -> None:
        """Raise if the library has pictures, but no vectors of this encoder and its settings."""
        used = self._catalog.indexed_with()
        # Another process may have begun to index since the index was read.
        if used is not None and not self._embeddings.any():
            raise LibraryError(
                f"all pictures here were indexed with other settings ({used}): search with those, "
                "or index again with these"
            )

    def _describe(
        self, scores: "Vectors", seqs: "Seqs", background: Background | None
    ) -> list[Hit]:
        found = {int(s): float(score) for s, score in zip(seqs, scores, strict=True) if s >= 0}
        hits: list[Hit] = []
        for record in self._catalog.describe(list(found)):
            score = found[record.seq]
            path, *others = self._shown(record.paths)
            hits.append(
                Hit(
                    rank=len(hits) + 1,
                    image_id=record.image_id,
                    path=path,
                    other_paths=others,
                    part=record.part,
                    score=score,
                    relevance=judge(score, background),
                    width=record.width,
                    height=record.height,
                    format=record.format,
                    bytes=record.bytes,
                    taken_at=record.taken_at,
                )
            )
        return hits

    def _shown(self, paths: tuple[str, ...]) -> list[str]:
        """Return the paths that may be shown: those that are there, or all if none is."""
        inside = [p for p in paths if self._roots is None or self._roots.of(p)]
        if len(inside) < 2:
            return inside
        return [p for p in inside if lexists(p)] or inside
