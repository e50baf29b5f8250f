"""What a library answers without changing anything: searches, and the vectors behind them."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_vlsearch.contracts import Query
from mcp_vlsearch.core.decode import open_upright
from mcp_vlsearch.core.duplicates import DuplicateRequest, Duplicates, no_duplicates
from mcp_vlsearch.core.embedding import Embedder, Embedding
from mcp_vlsearch.core.explaining import Explanation, explain
from mcp_vlsearch.core.fence import check_folder
from mcp_vlsearch.core.fuse import fuse
from mcp_vlsearch.core.news import News, look
from mcp_vlsearch.core.opening import OpenLibrary
from mcp_vlsearch.core.phrasings import phrasings
from mcp_vlsearch.core.picture import find_picture, open_known
from mcp_vlsearch.core.progress import ProgressCallback, silent
from mcp_vlsearch.core.requests import SearchRequest, check, nothing_found
from mcp_vlsearch.core.roots import Roots, real
from mcp_vlsearch.core.searching import Searcher
from mcp_vlsearch.core.spaces import OpenSpace
from mcp_vlsearch.errors import QueryError
from mcp_vlsearch.types import Filters, MinRelevance, SearchResult
from mcp_vlsearch.types.copies import DuplicateReport

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Vectors
    from mcp_vlsearch.core.viewing import Layout, View

__all__ = ["LibraryReader"]

NO_FILTERS = Filters()


class LibraryReader(OpenLibrary):
    """The half of a library that only reads, which any number of processes and threads may do."""

    def search_by_text(
        self,
        query: str,
        *,
        top_k: int = 10,
        alternatives: Sequence[str] = (),
        exclude: str = "",
        rewrite: str | None = None,
        filters: Filters = NO_FILTERS,
        min_relevance: MinRelevance = "any",
        group_by_file: bool = False,
        report: ProgressCallback = silent,
    ) -> SearchResult:
        """Find pictures that a text describes, in the words of a rewriter, too.

        Raises :class:`QueryError`, and :class:`PluginError`, :class:`SettingsError` or
        :class:`CheckpointError` if the rewriter that ``rewrite`` names can't be had.
        """
        started = time.monotonic()
        self._rewriting.name(rewrite)
        request = SearchRequest(
            texts=phrasings(query, alternatives),
            exclude=exclude,
            top_k=top_k,
            filters=filters,
            min_relevance=min_relevance,
            group_by_file=group_by_file,
            started=started,
        )

        def complete(space: OpenSpace | None) -> SearchRequest:
            if space is None:
                return request
            rewritten = self._rewriting.rewrite(query, rewrite, report)
            all_texts = phrasings(query, alternatives, rewritten)
            return replace(request, rewritten=all_texts[len(request.texts) :])

        return self._search(request, self._roots(), complete, report)

    def search_by_image(
        self,
        image: str,
        *,
        text: str = "",
        top_k: int = 10,
        filters: Filters = NO_FILTERS,
        min_relevance: MinRelevance = "any",
        group_by_file: bool = False,
        report: ProgressCallback = silent,
    ) -> SearchResult:
        """Find pictures like a given one: a path under a root, an image id, or base64.

        With ``text`` it is a composed query: the picture, changed as the text says, and never the
        given one itself. A picture that the library knows is searched by its cached vector, without
        the model. Raises :class:`QueryError`, :class:`RootError` and :class:`ImageError`.
        """
        started = time.monotonic()
        roots = self._roots()
        given = find_picture(image, roots, self._catalog, self._fence())
        bare = SearchRequest(
            texts=(text,) if text.strip() else (),
            given=given.image_id if text.strip() else "",
            top_k=top_k,
            filters=filters,
            min_relevance=min_relevance,
            group_by_file=group_by_file,
            started=started,
        )

        def complete(space: OpenSpace | None) -> SearchRequest:
            known = None
            if space is not None:
                known = space.embeddings.vector(given.image_id)
                if known is not None and not (bare.texts and space.composes):
                    return replace(bare, vector=known)
            if given.data is not None:
                return replace(bare, image=open_upright(given.data), vector=known)
            image = open_known(given.image_id, roots, self._catalog)
            return replace(bare, image=image, vector=known)

        return self._search(bare, roots, complete, report)

    def view(
        self,
        images: Sequence[str],
        *,
        layout: "Layout" = "sheet",
        remarks: Sequence[str] = (),
        report: ProgressCallback = silent,
    ) -> "View":
        """Return images, by id or by a path under a root, as JPEG that is small enough to send.

        A sheet has a numbered cell for each, in the order given, with the file's name and with a
        line of ``remarks`` where there is one. One that can't be shown is an empty cell, or has an
        error. Small copies are kept in the library unless it is read-only. Raises
        :class:`QueryError` for more than 50 images or none, and :class:`ImageError` if none of them
        can be shown.
        """
        from mcp_vlsearch.core.viewing import Viewer

        viewer = Viewer(self._catalog, self._roots(), self._thumbnails)
        return viewer.view(images, layout, remarks, report)

    def explain_match(
        self, image: str, query: str, *, report: ProgressCallback = silent
    ) -> Explanation:
        """Show which part of a picture matches a text; the picture need not be indexed.

        ``image`` is a path under a root, an image id, or base64. Raises :class:`QueryError`,
        :class:`RootError`, :class:`ImageError`, and :class:`EncoderError` if the encoder can't say.
        """
        roots = self._roots()
        given = find_picture(image, roots, self._catalog, self._fence())
        if given.data is None:
            picture = open_known(given.image_id, roots, self._catalog)
        else:
            picture = open_upright(given.data)
        texts = [Query(text) for text in phrasings(query)]

        def explained(space: OpenSpace) -> Explanation:
            fingerprint = space.embeddings.fingerprint
            vector = fuse(self._encoder.encode_queries(texts, report, fingerprint))
            return explain(picture, given.image_id, query, vector, space, self._encoder, report)

        return self._spaces.run(explained, report)

    def duplicates(
        self,
        *,
        threshold: float = 0.95,
        filters: Filters = NO_FILTERS,
        top_k: int = 50,
        report: ProgressCallback = silent,
    ) -> DuplicateReport:
        """Find files with the same bytes, and pictures that look the same; nothing is deleted.

        Vectors with a cosine of at least ``threshold`` propose, pixels decide. ``report`` may raise
        :class:`CancelledError`; looks that were made by then are kept. Raises :class:`QueryError`,
        and :class:`RootError` for a folder outside the roots.
        """
        request = DuplicateRequest(threshold, filters, top_k)
        request.check()
        roots, fence = self._roots(), self._fence()
        if filters.folder is not None:
            check_folder(filters.folder, roots, self._catalog, fence is not None)
        if not self._catalog.any_entry():
            return no_duplicates(request)

        def find(space: OpenSpace) -> DuplicateReport:
            may_keep = not self.settings.read_only
            finder = Duplicates(self._database, self._catalog, space, roots, fence, may_keep)
            return finder.find(request, report)

        return self._spaces.run(find, report)

    def embed(
        self, text: str = "", *, image: str = "", report: ProgressCallback = silent
    ) -> Embedding:
        """Return the vector of a text, of a picture (as in :meth:`search_by_image`), or of both.

        A picture alone has the vector that the index holds of it, or would; a text, with or without
        a picture, that of a query. Raises as :meth:`search_by_image`.
        """
        text = text.strip()
        if not (text or image):
            raise QueryError("nothing to embed: give a text, a picture, or both")
        roots = self._roots()
        given = find_picture(image, roots, self._catalog, self._fence()) if image else None
        return self._spaces.run(
            lambda space: Embedder(space, self._encoder, self._catalog, roots, report).embed(
                text, given
            ),
            report,
        )

    def image_vectors(
        self, paths: Iterable[Path], report: ProgressCallback = silent
    ) -> "dict[Path, tuple[str, Vectors]]":
        """Return image id and unit-norm vector, shape (dim,), of every path that is indexed."""
        embeddings = self._spaces.current(report).embeddings
        found = {}
        for path in paths:
            resolved = real(path)
            record = self._catalog.known(resolved, False).get(resolved)
            vector = embeddings.vector(record.image_id) if record and record.image_id else None
            if record and record.image_id and vector is not None:
                found[path] = record.image_id, vector
        return found

    def rewritten(
        self, query: str, rewrite: str | None = None, report: ProgressCallback = silent
    ) -> tuple[str, ...]:
        """Return the texts that a search for a query searches, the original first.

        Other than a search, it raises :class:`RewriterError` where the rewriter fails.
        """
        return phrasings(query, (), self._rewriting.write(query, rewrite, report))

    def query_vectors(
        self, queries: Sequence[str], report: ProgressCallback = silent, rewrite: str | None = None
    ) -> "list[Vectors]":
        """Return the unit-norm vector, shape (dim,), that a search for each text looks up.

        Raises as :meth:`rewritten`.
        """
        texts = [self.rewritten(query, rewrite, report) for query in queries]
        flat = [Query(text) for phrased in texts for text in phrased]
        vectors = self._spaces.run(
            lambda space: self._encoder.encode_queries(flat, report, space.embeddings.fingerprint),
            report,
        )
        ends = accumulate(len(phrased) for phrased in texts)
        return [fuse(vectors[end - len(t) : end]) for t, end in zip(texts, ends, strict=True)]

    def news(self, paths: Sequence[str], report: ProgressCallback = silent) -> News:
        """Say what an index run over paths (resolved, below the roots) would read or forget.

        Neither the model nor the lock is needed for that, and paths need not exist.
        """
        return look(self.settings, self._database, self._catalog, self._roots(), paths, report)

    def _search(
        self,
        bare: SearchRequest,
        roots: Roots,
        complete: Callable[[OpenSpace | None], SearchRequest],
        report: ProgressCallback,
    ) -> SearchResult:
        """Search; ``complete`` makes the request whole for the space that is searched, if any."""
        is_fenced = bool(self.settings.roots)
        if bare.filters.folder is not None:
            check_folder(bare.filters.folder, roots, self._catalog, is_fenced)
        check(bare)

        def search(space: OpenSpace) -> SearchResult:
            fence = roots if is_fenced else None
            searcher = Searcher(space, self._catalog, self._encoder, fence)
            return searcher.search(complete(space), report)

        if not self._has_entries():  # which is told at once, not when the model is loaded
            return nothing_found(complete(None))
        if bare.texts:
            self._encoder.warm_up()  # while the index is read
        return self._spaces.run(search, report)
