"""The vectors of a library as a thing of its own: exported, imported, searched, cleared out."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from mcp_vlsearch.cache.connecting import make_folder
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.fingerprints import Fingerprints, SpaceRecord
from mcp_vlsearch.cache.phrasings import Phrasings
from mcp_vlsearch.core.progress import ProgressCallback, silent
from mcp_vlsearch.core.pruning import named, plan, prune, told
from mcp_vlsearch.core.spaces import go_over, pinned, tell_spaces
from mcp_vlsearch.core.thumbnails import Thumbnails
from mcp_vlsearch.core.writing import writer_lock
from mcp_vlsearch.errors import LibraryError
from mcp_vlsearch.pins import is_elsewhere, is_pinned
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.types import ExportReport, ImportReport, PruneReport, SpaceStatus

__all__ = ["Keeper"]


_ADVICE: Final = (
    "the vectors were made with the model in {model}, which is not here: run `mcp-vlsearch index "
    "--model` with the folder or hub id where it is"
)


class Keeper:
    """What can be done with the embedding cache of one library; ``Library.cache`` is one."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        thumbnails: Thumbnails,
        phrasings: Phrasings,
        must_write: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._database = database
        self._thumbnails = thumbnails
        self._phrasings = phrasings
        self._spaces = Fingerprints(database)
        self._must_write = must_write

    def export(
        self, file: str | Path, fingerprint: str | None = None, report: ProgressCallback = silent
    ) -> ExportReport:
        """Write the vectors of a fingerprint, by default the searched one, into a Parquet file.

        A fingerprint may be given by its beginning. Raises :class:`LibraryError`, and
        :class:`MissingExtraError` without pyarrow.
        """
        from mcp_vlsearch.core.moving import export_vectors

        space = self._searched() if fingerprint is None else self._named(fingerprint)
        return export_vectors(self._spaces, space, Path(file), report)

    def import_file(
        self, file: str | Path, *, replace: bool = False, report: ProgressCallback = silent
    ) -> ImportReport:
        """Take the vectors of an exported file in, also those of pictures that are not here yet.

        They are found once their pictures are indexed. A library with nothing in it goes over to
        the file's encoder and model, unless that is a folder of another machine. Raises
        :class:`LibraryError`, and :class:`MissingExtraError` without pyarrow.
        """
        from mcp_vlsearch.core.moving import check_file, import_vectors

        self._must_write()
        check_file(Path(file), report)  # before a library is made for nothing
        make_folder(self._settings.library)
        with writer_lock(self._settings.library, report):
            done = import_vectors(self._database, Path(file), replace, report)
            if not is_pinned(self._settings.library) and not any(
                space.entries for space in self._spaces.all()
            ):
                if is_elsewhere(done.model):
                    return done.model_copy(update={"advice": _ADVICE.format(model=done.model)})
                go_over(self._settings, self._named(done.fingerprint), self._spaces)
            return done

    def prune(
        self,
        *,
        unused: bool = False,
        old: bool = False,
        fingerprints: Sequence[str] = (),
        thumbnails: bool = False,
        phrasings: bool = False,
        dry_run: bool = False,
        report: ProgressCallback = silent,
    ) -> PruneReport:
        """Delete vectors that are not needed, and give their space back to the disk.

        ``unused`` are those of images without files, ``old`` those of fingerprints that were
        searched before; others are named. What is searched keeps every vector of an image with a
        file. With ``thumbnails``, all small copies of pictures go, with ``unused`` those of images
        without files. ``phrasings`` are what rewriters wrote. Raises :class:`LibraryError`.
        """
        self._must_write()
        with writer_lock(self._settings.library, report):
            planned = plan(
                self._settings,
                self._database,
                self._thumbnails,
                unused=unused,
                old=old,
                fingerprints=fingerprints,
                thumbnails=thumbnails,
            )
            if dry_run:
                result = told(planned, self._database, planned.bytes, dry_run=True)
                count = self._phrasings.count() if phrasings else 0
            else:
                result = prune(self._settings, self._database, self._thumbnails, planned, report)
                count = self._phrasings.clear() if phrasings else 0
            return result.model_copy(update={"phrasings": count})

    def use(self, fingerprint: str, report: ProgressCallback = silent) -> SpaceStatus:
        """Let the library search a fingerprint that it has, from now on, whatever that lacks.

        Raises :class:`LibraryError` if there is none that begins so.
        """
        self._must_write()
        with writer_lock(self._settings.library, report):
            space = self._named(fingerprint)
            go_over(self._settings, space, self._spaces)
        every = tell_spaces(self._settings, self._database, None, None)
        return next(status for status in every if status.fingerprint == space.fingerprint)

    def _named(self, fingerprint: str) -> SpaceRecord:
        return named(fingerprint, self._spaces.all())

    def _searched(self) -> SpaceRecord:
        space = pinned(self._settings, self._spaces.all())
        if space is None:
            raise LibraryError(
                "nothing was indexed with the library's encoder and model: index first, or give "
                "a fingerprint that `mcp-vlsearch status` lists"
            )
        return space
