"""The facade that every face uses: open a library, index, search, look at its state, remove."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.spaces import Spaces
from mcp_vlsearch.contracts import Encoder, Query
from mcp_vlsearch.core.decode import open_upright
from mcp_vlsearch.core.encoding import EncoderSlot
from mcp_vlsearch.core.fence import check_folder
from mcp_vlsearch.core.following import followed
from mcp_vlsearch.core.forgetting import forget
from mcp_vlsearch.core.fuse import fuse
from mcp_vlsearch.core.indexing import Indexer
from mcp_vlsearch.core.keeping import Keeper
from mcp_vlsearch.core.overview import overview, seen
from mcp_vlsearch.core.phrasings import phrasings
from mcp_vlsearch.core.picture import find_picture, read_known
from mcp_vlsearch.core.progress import ProgressCallback, silent
from mcp_vlsearch.core.roots import Roots, new_root, real, refuse_other_files
from mcp_vlsearch.core.searching import SearchRequest, check_top_k, nothing_found
from mcp_vlsearch.core.spaces import OpenSpace, SpaceSlot, settle
from mcp_vlsearch.core.stages import Stages
from mcp_vlsearch.core.writing import writer_lock
from mcp_vlsearch.errors import LibraryError
from mcp_vlsearch.settings import Settings, follow_pin, load_settings, pin_encoder
from mcp_vlsearch.types import (
    Filters,
    IndexReport,
    LibraryStatus,
    MinRelevance,
    RemoveReport,
    SearchResult,
)

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Vectors

__all__ = ["Library"]

NO_FILTERS = Filters()
_DATABASE: Final = "library.db"


class Library:
    """One directory with everything for one set of pictures.

    Any number of processes and threads may search beside one writer. Opening is cheap: the database
    is opened at first use, the model is loaded in the background at first need.
    """

    def __init__(
        self, settings: Settings, make_encoder: Callable[[Settings], Encoder] | None = None
    ) -> None:
        """Open a library; ``make_encoder`` replaces the plugin that the settings name."""
        self.settings = settings
        self._database = Database(settings.library / _DATABASE, read_only=settings.read_only)
        self._catalog = Catalog(self._database)
        self._encoder = EncoderSlot(
            settings, make_encoder, lambda given: followed(given, self._database)
        )
        self._spaces = SpaceSlot(settings, self._database, self._catalog, self._encoder)
        self.cache = Keeper(settings, self._database, self._must_write)

    @classmethod
    def open(cls, library: str | Path | None = None, **flags: Any) -> Self:
        """Open a library, by default the user's own, with any setting as a keyword.

        Raises :class:`SettingsError`.
        """
        return cls(load_settings({"library": library, **flags}))

    @staticmethod
    def is_at(folder: Path) -> bool:
        """Say whether there is a library in a folder; nothing is made."""
        return (folder / _DATABASE).exists()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End what goes on in the background, and close the database."""
        self._spaces.close()
        self._database.close()

    def warm_up(self) -> None:
        """Start loading the model in the background."""
        self._encoder.warm_up()

    def allow(self, folders: Iterable[str | Path]) -> None:
        """Make folders or single files roots, from now on.

        Raises :class:`RootError` if one does not exist, or is a file that is no picture.
        """
        self._must_write()
        with self._database.write():
            for folder in folders:
                self._catalog.add_root(new_root(folder))

    def index(
        self,
        paths: Sequence[str | Path] = (),
        *,
        recursive: bool = True,
        force: bool = False,
        report: ProgressCallback = silent,
        stages: Stages | None = None,
    ) -> IndexReport:
        """Bring the library up to what lies below ``paths``, by default below every root.

        ``report`` may raise :class:`CancelledError`; finished batches stay. ``stages`` tells by its
        :meth:`Stages.profile` where the time went. Raises :class:`RootError` for a path outside
        the roots, and for a file that is no picture.
        """
        stages = stages or Stages()
        self._must_write()
        roots = self._roots()
        resolved = [roots.check(path) for path in paths] or roots.every()
        for path in resolved:
            refuse_other_files(path)
        self.settings.library.mkdir(parents=True, exist_ok=True)
        with stages("loading"):
            self._encoder.known(report)  # so that the lock is not held meanwhile
        with writer_lock(self.settings.library, report):
            self._database.make()
            self._encoder.follow()  # whoever had the lock may have been the first to index
            space = self._spaces.current(report)
            spaces = Spaces(self._database)
            if not self._catalog.any_entry():
                pin_encoder(follow_pin(self.settings))
            indexer = Indexer(
                self._database,
                self._catalog,
                space.embeddings,
                self._encoder,
                roots,
                report,
                stages,
            )
            result = indexer.run(resolved, recursive, force)
            settle(self.settings, self._encoder.settings, space.embeddings.fingerprint, spaces)
        space.index.settle(report)
        return seen(result, self._catalog, self._fence())

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
        report: ProgressCallback = silent,
    ) -> SearchResult:
        """Find pictures that a text describes. Raises :class:`QueryError`."""
        request = SearchRequest(
            texts=phrasings(query, alternatives, rewrite, self.settings),
            exclude=exclude,
            top_k=top_k,
            filters=filters,
            min_relevance=min_relevance,
        )
        return self._search(request, self._roots(), lambda _: request, report)

    def search_by_image(
        self,
        image: str,
        *,
        text: str = "",
        top_k: int = 10,
        filters: Filters = NO_FILTERS,
        min_relevance: MinRelevance = "any",
        report: ProgressCallback = silent,
    ) -> SearchResult:
        """Find pictures like a given one: a path under a root, an image id, or base64.

        With ``text`` it is a composed query: the picture, changed as the text says. A picture that
        the library knows is searched by its cached vector, without the model. Raises
        :class:`QueryError`, :class:`RootError` and :class:`ImageError`.
        """
        roots = self._roots()
        given = find_picture(image, roots, self._catalog)
        bare = SearchRequest(
            texts=(text,) if text.strip() else (),
            top_k=top_k,
            filters=filters,
            min_relevance=min_relevance,
        )

        def complete(space: OpenSpace | None) -> SearchRequest:
            known = None if space is None or bare.texts else space.embeddings.vector(given.image_id)
            if known is not None:
                return replace(bare, vector=known)
            data = given.data
            if data is None:
                data = read_known(given.image_id, roots, self._catalog)
            return replace(bare, image=open_upright(data))

        return self._search(bare, roots, complete, report)

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

    def query_vectors(
        self, queries: Sequence[str], report: ProgressCallback = silent
    ) -> "list[Vectors]":
        """Return the unit-norm vector, shape (dim,), that a search for each text looks up."""
        texts = [phrasings(query, (), None, self.settings) for query in queries]
        flat = [Query(text) for phrased in texts for text in phrased]
        vectors = self._spaces.run(
            lambda space: self._encoder.encode_queries(flat, report, space.embeddings.fingerprint),
            report,
        )
        ends = accumulate(len(phrased) for phrased in texts)
        return [fuse(vectors[end - len(t) : end]) for t, end in zip(texts, ends, strict=True)]

    def remove(
        self, paths: Sequence[str | Path], report: ProgressCallback = silent
    ) -> RemoveReport:
        """Forget files, or all files below folders; a root that is named is no root any more.

        No file is deleted, and paths need not exist any more. Cached vectors stay, so indexing
        again costs no encoding. Raises :class:`RootError` for a path outside the roots where the
        settings name some.
        """
        self._must_write()
        fence = self._fence()
        with writer_lock(self.settings.library, report):
            forgotten = forget(self._database, self._catalog, paths, fence)
            return seen(forgotten, self._catalog, fence)

    def knows(self, path: str | Path) -> bool:
        """Say whether a path was allowed by :meth:`allow`, or files are known at or below it."""
        resolved = real(path)
        return resolved in self._catalog.roots() or self._catalog.file_count(resolved) > 0

    def status(self) -> LibraryStatus:
        """Say what the library holds and what it runs on; never waits for the model.

        With roots in the settings, the counts are of what lies below the roots.
        """
        return overview(
            self.settings,
            self._database,
            self._catalog,
            self._roots(),
            self._encoder.status(),
            self._spaces.opened,
        )

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
        check_top_k(bare)

        def search(space: OpenSpace) -> SearchResult:
            searcher = space.searcher(self._catalog, self._encoder, roots if is_fenced else None)
            return searcher.search(complete(space), report)

        if not self._catalog.any_entry():  # which is told at once, not when the model is loaded
            return nothing_found(complete(None))
        return self._spaces.run(search, report)

    def _roots(self) -> Roots:
        return Roots(self._allowed())

    def _allowed(self) -> Iterator[str | Path]:
        yield from self._catalog.roots()
        yield from self.settings.roots

    def _fence(self) -> Roots | None:
        return self._roots() if self.settings.roots else None

    def _must_write(self) -> None:
        if self.settings.read_only:
            raise LibraryError("the library is read-only: unset READ_ONLY to change it")
