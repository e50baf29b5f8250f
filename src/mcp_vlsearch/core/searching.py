"""The search pipeline, one step a line: queries → vectors → allowed ids → hits → relevance."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from os.path import lexists
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.contracts import Query, VectorIndex
from mcp_vlsearch.core.encoding import EncoderSlot
from mcp_vlsearch.core.excluding import candidates, shows, turned_away
from mcp_vlsearch.core.filters import compile_filters
from mcp_vlsearch.core.fuse import ANYTHING, compose, fuse
from mcp_vlsearch.core.grouping import best_of_each_file
from mcp_vlsearch.core.progress import ProgressCallback, silent
from mcp_vlsearch.core.pushing import Pushing
from mcp_vlsearch.core.relevance import judge, reaches
from mcp_vlsearch.core.requests import SearchRequest
from mcp_vlsearch.core.roots import Roots
from mcp_vlsearch.core.spaces import OpenSpace
from mcp_vlsearch.core.steps import step
from mcp_vlsearch.errors import LibraryError
from mcp_vlsearch.types import Filters, Hit, Relevance, SearchResult

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs, Vectors

__all__ = ["Searcher"]


class _Sought(NamedTuple):
    """What is wanted and, if anything, what is not: unit-norm, shape (dim,).

    ``picture`` is the picture of a composed query alone.
    """

    wanted: "Vectors"
    unwanted: "Vectors | None" = None
    picture: "Vectors | None" = None


class Searcher:
    """Runs searches in one space; with ``roots``, over what lies below them only."""

    def __init__(
        self, space: OpenSpace, catalog: Catalog, encoder: EncoderSlot, roots: Roots | None
    ) -> None:
        self._space = space
        self._catalog = catalog
        self._encoder = encoder
        self._roots = roots

    def search(self, request: SearchRequest, report: ProgressCallback = silent) -> SearchResult:
        """Return the nearest pictures, best first.

        Raises :class:`QueryError` for a request that excludes what it asks for, and
        :class:`LibraryError` if all pictures were indexed under other settings.
        """
        with step("reading the index"):
            index = self._space.index.current(report)
        if not len(index):
            self._explain_emptiness()
        with step("encoding the query"):
            wanted, unwanted, picture = self._vectors(request, report)
        inside = self._space.fence.seqs(self._roots) if self._roots else None
        total = len(index) if inside is None else len(inside)
        filtering = Pushing(index, request.filters)
        with step("filtering"):
            allowed = self._allowed(filtering.rest, inside)
            searched = filtering.count(allowed)
        reach = filtering.reach(searched)
        most = request.top_k + bool(request.given)
        towards = wanted if unwanted is None else turned_away(wanted, unwanted)

        def find(k: int) -> "tuple[Vectors, Seqs]":
            many = k if unwanted is None else candidates(k)
            (scores,), (seqs,) = filtering.search(towards[None], min(many, reach), allowed)
            if unwanted is not None:
                scores, seqs = self._without(unwanted, wanted, index, seqs)
            is_there = seqs >= 0
            return scores[is_there][:k], seqs[is_there][:k]

        with step("searching"):
            if request.group_by_file:
                files = partial(self._catalog.parts.sources, besides=request.given)
                scores, seqs = best_of_each_file(find, files, request.top_k, reach)
            else:
                scores, seqs = find(most)
        with step("judging"):
            background = self._space.sample.background(wanted, index, picture)
            relevances = judge(scores, background)
        with step("describing"):
            hits = self._describe(scores, seqs, relevances, request.given)[: request.top_k]
        return SearchResult(
            queries=list(request.phrasings),
            hits=[hit for hit in hits if reaches(hit.relevance, request.min_relevance)],
            total_images=total,
            searched_images=searched,
            seconds=time.monotonic() - request.started,
        )

    def _vectors(self, request: SearchRequest, report: ProgressCallback) -> _Sought:
        """Return the vectors of what is asked for."""
        fingerprint = self._space.embeddings.fingerprint

        def encode(queries: Sequence[Query]) -> "Vectors":
            return self._encoder.encode_queries(queries, report, fingerprint)

        exclude = request.exclude.strip()
        unwanted = [Query(exclude)] if exclude else []
        if request.image is not None or request.vector is not None:
            wanted, picture = self._with_picture(request, encode)
            return _Sought(wanted, encode(unwanted)[0] if unwanted else None, picture)
        vectors = encode([*map(Query, request.phrasings or ("",)), *unwanted])
        if not unwanted:
            return _Sought(fuse(vectors))
        # A rewriter's phrasings hide from nobody that a query excludes itself.
        turned_away(fuse(vectors[: max(len(request.texts), 1)]), vectors[-1])
        return _Sought(fuse(vectors[:-1]), vectors[-1])

    def _with_picture(
        self, request: SearchRequest, encode: Callable[[Sequence[Query]], "Vectors"]
    ) -> "tuple[Vectors, Vectors | None]":
        """Return the vector of a query by picture and, if it is composed, of its picture alone."""
        together = request.phrasings if request.image and self._space.composes else ()
        alone = [Query(image=request.image)] if request.vector is None else []
        queries = [*(Query(text, request.image) for text in together), *alone]
        vectors = encode(queries) if queries else np.empty((0, 0), np.float32)
        picture = vectors[-1] if request.vector is None else request.vector
        if not request.phrasings:
            return picture, None
        if together:
            return fuse(vectors[: len(together)]), picture
        texts = encode([*map(Query, request.phrasings), Query(ANYTHING)])
        return compose(picture, fuse(texts[:-1]), texts[-1]), picture

    def _without(
        self, unwanted: "Vectors", wanted: "Vectors", index: VectorIndex, seqs: "Seqs"
    ) -> "tuple[Vectors, Seqs]":
        """Return the rows that do not show what is unwanted, with their cosines to what is wanted.

        Best come first.
        """
        there = np.sort(seqs[seqs >= 0])
        if not len(there):
            return np.empty(0, np.float32), there
        scores, rows = index.search(np.stack([wanted, unwanted]), len(there), there)
        by_seq = np.argsort(rows, axis=1)
        found, against = np.take_along_axis(scores, by_seq, axis=1)
        background = self._space.sample.background(unwanted, index)
        left = ~shows(against, found, background)
        best = np.argsort(-found[left], kind="stable")
        return found[left][best], np.sort(rows[0])[left][best]

    def _allowed(self, filters: Filters, inside: "Seqs | None") -> "Seqs | None":
        condition = compile_filters(filters)
        if condition is None:
            return inside
        allowed = self._space.filtered.seqs(condition)
        if inside is None:
            return allowed
        return allowed[np.isin(allowed, inside, assume_unique=True, kind="table")]

    def _explain_emptiness(self) -> None:
        """Raise if the library has pictures, but no vectors of this encoder and its settings."""
        used = self._catalog.indexed_with()
        # Another process may have begun to index since the index was read.
        if used is not None and not self._space.embeddings.any():
            raise LibraryError(
                f"all pictures here were indexed with other settings ({used}): search with those, "
                "or index again with these"
            )

    def _describe(
        self,
        scores: "Vectors",
        seqs: "Seqs",
        relevances: Sequence[Relevance],
        given: str,
    ) -> list[Hit]:
        """Return hits for rows, best first, without the given picture."""
        found = dict(zip(seqs.tolist(), zip(scores.tolist(), relevances, strict=True), strict=True))
        hits: list[Hit] = []
        for record in self._catalog.describe(list(found)):
            if record.image_id == given:
                continue
            score, relevance = found[record.seq]
            path, *others = self._shown(record.paths)
            hits.append(
                Hit(
                    rank=len(hits) + 1,
                    image_id=record.image_id,
                    path=path,
                    other_paths=others,
                    part=record.part,
                    score=min(score, 1.0),  # vectors of half precision may say more
                    relevance=relevance,
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
