"""The facade that every face uses: open a library, index, search, look at its state, remove."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from mcp_vlsearch.cache.connecting import make_folder
from mcp_vlsearch.cache.fingerprints import Fingerprints
from mcp_vlsearch.contracts import Encoder
from mcp_vlsearch.core.forgetting import forget, forget_failed, unknown_files
from mcp_vlsearch.core.indexing import Indexer
from mcp_vlsearch.core.keeping import Keeper
from mcp_vlsearch.core.overview import seen
from mcp_vlsearch.core.progress import ProgressCallback, silent
from mcp_vlsearch.core.reading import LibraryReader
from mcp_vlsearch.core.recovering import Recovered, recover
from mcp_vlsearch.core.roots import new_root, refuse_other_files
from mcp_vlsearch.core.runs import Runs, SoFar, nothing_done
from mcp_vlsearch.core.spaces import settle
from mcp_vlsearch.core.stages import Stages
from mcp_vlsearch.core.writing import writer_lock
from mcp_vlsearch.errors import LibraryError
from mcp_vlsearch.memory import give_memory_back
from mcp_vlsearch.pins import follow_pin, pin_encoder, pin_index_kind
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.types import IndexReport, RemoveReport

__all__ = ["Library"]

logger = logging.getLogger(__name__)


class Library(LibraryReader):
    """One directory with everything for one set of pictures.

    Any number of processes and threads may search beside one writer. Opening is cheap: the database
    is opened at first use, the model is loaded in the background at first need.
    """

    def __init__(
        self, settings: Settings, make_encoder: Callable[[Settings], Encoder] | None = None
    ) -> None:
        """Open a library; ``make_encoder`` replaces the plugin that the settings name."""
        super().__init__(settings, make_encoder)
        self.cache = Keeper(
            settings, self._database, self._thumbnails, self._rewriting.known, self._must_write
        )
        self.runs = Runs(self.index)

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
        begun: Callable[[SoFar], None] = lambda _: None,
    ) -> IndexReport:
        """Bring the library up to what lies below ``paths``, by default below every root.

        ``report`` may raise :class:`CancelledError`; finished batches stay. ``stages`` tells by its
        :meth:`Stages.profile` where the time went. ``begun`` is given what says, from any thread,
        how far the run is. A file that was allowed by itself and can't be read the first time is no
        root any more. Raises :class:`RootError` for a path outside the roots, and for a file that
        is no picture.
        """
        stages = stages or Stages()
        self._must_write()
        roots = self._roots()
        resolved = [roots.check(path) for path in paths] or roots.every()
        for path in resolved:
            refuse_other_files(path)
        begun(
            lambda: seen(nothing_done(self._catalog.counts().images), self._catalog, self._fence())
        )
        make_folder(self.settings.library)
        with stages("loading"):
            self._encoder.known(report)  # so that the lock is not held meanwhile
        with writer_lock(self.settings.library, report):
            self._database.make()
            self._encoder.follow()  # whoever had the lock may have been the first to index
            space = self._spaces.current(report)
            pin_index_kind(self.settings)
            spaces = Fingerprints(self._database)
            if not self._catalog.any_entry():
                self._encoder.warm_up()  # while files are looked for: there is something to encode
                pin_encoder(follow_pin(self.settings))
            indexer = Indexer(
                self.settings,
                self._database,
                self._catalog,
                space.embeddings,
                self._encoder,
                roots,
                report,
                stages,
            )
            begun(lambda: seen(indexer.so_far(), self._catalog, self._fence()))
            new = unknown_files(self._catalog, resolved)
            result = indexer.run(resolved, recursive, force)
            forget_failed(self._database, self._catalog, new)
            settle(self.settings, self._encoder.settings, space.embeddings.fingerprint, spaces)
        space.index.settle(report)
        if result.encoded:
            give_memory_back()
        _tell(result)
        return seen(result, self._catalog, self._fence())

    def remove(
        self, paths: Sequence[str | Path], report: ProgressCallback = silent
    ) -> RemoveReport:
        """Forget files, or all files below folders; a root that is named is no root any more.

        No file is deleted, and paths need not exist any more. Cached vectors stay, so indexing
        again costs no encoding. Raises :class:`RootError` for a path outside the roots where the
        settings name some.
        """
        self._must_write()
        fence, roots = self._fence(), self._roots()
        for path in paths:
            roots.refuse_shares(path)
        with writer_lock(self.settings.library, report):
            forgotten = forget(self._database, self._catalog, paths, fence)
            return seen(forgotten, self._catalog, fence)

    def forget_gone(
        self, paths: Sequence[str | Path], report: ProgressCallback = silent
    ) -> IndexReport:
        """Forget those of the files at or below paths that are gone, as :meth:`index` would.

        Nothing is read or encoded, so the model is not needed.
        """
        self._must_write()
        started = time.monotonic()
        resolved = [self._roots().check(path) for path in paths]
        with writer_lock(self.settings.library, report):
            gone = self.news(resolved, report).gone
            self._catalog.forget(gone)
        done = nothing_done(self._catalog.counts().images)
        seconds = time.monotonic() - started
        update = {"removed": len(gone), "seconds": seconds, "complete": True, "remaining": 0}
        return seen(done.model_copy(update=update), self._catalog, self._fence())

    def recover(self, report: ProgressCallback = silent) -> Recovered:
        """Put what can be read of a damaged database in its place, and close the library.

        The damaged file is kept, under the name that the result tells, which also names the files
        that the next index run reads again. Open the library anew after that. ``report`` may raise
        :class:`CancelledError`; nothing has changed then. Raises :class:`LibraryError`.
        """
        self._must_write()
        self.close()
        return recover(self.settings.library, report)

    def close(self) -> None:
        """End what goes on in the background, and close the database."""
        self.runs.stop()
        super().close()

    def _must_write(self) -> None:
        if self.settings.read_only:
            raise LibraryError(
                "the library is read-only: unset MCP_VLSEARCH_READ_ONLY to change it"
            )


def _tell(report: IndexReport) -> None:
    """Log what an index run did, in numbers."""
    counts = report.model_dump(
        include={"scanned", "added", "updated", "moved", "removed", "failed", "encoded"}
    )
    logger.info(
        "indexed in %.1f s: %s",
        report.seconds,
        ", ".join(f"{count} {name}" for name, count in counts.items()),
        extra={**counts, "seconds": round(report.seconds, 3)},
    )
