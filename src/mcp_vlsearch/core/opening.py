"""A library that is open: its parts, what it allows, and what can be told of it at once."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.failing import failures
from mcp_vlsearch.contracts import Encoder
from mcp_vlsearch.core.encoding import Encoded, EncoderSlot
from mcp_vlsearch.core.following import followed
from mcp_vlsearch.core.memo import Memo
from mcp_vlsearch.core.mending import mended
from mcp_vlsearch.core.overview import overview
from mcp_vlsearch.core.rewriting import Rewriting
from mcp_vlsearch.core.roots import Roots, real
from mcp_vlsearch.core.spaces import SpaceSlot
from mcp_vlsearch.core.thumbnails import Thumbnails
from mcp_vlsearch.settings import Settings, load_settings
from mcp_vlsearch.types import EncoderState, Failure, LibraryStatus

__all__ = ["OpenLibrary"]

_DATABASE: Final = "library.db"


class OpenLibrary:
    """What reading and writing share; opening is cheap.

    The database is opened at first use, the model is loaded in the background at first need.
    """

    def __init__(
        self, settings: Settings, make_encoder: Callable[[Settings], Encoder] | None = None
    ) -> None:
        """Open a library; ``make_encoder`` replaces the plugin that the settings name."""
        self.settings = settings
        self._database = Database(settings.library / _DATABASE, read_only=settings.read_only)
        self._catalog = Catalog(self._database)
        self._has_entries = Memo(self._catalog.version, self._catalog.any_entry)
        self._encoder = EncoderSlot(
            settings, mended(make_encoder), lambda given: followed(given, self._database)
        )
        self._rewriting = Rewriting(settings)
        self._spaces = SpaceSlot(settings, self._database, self._catalog, self._encoder)
        self._thumbnails = Thumbnails(settings.library, is_read_only=settings.read_only)

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
        """Start loading the model in the background, and that of the rewriter if there is one."""
        self._encoder.warm_up()
        self._rewriting.warm_up()

    def roots(self) -> list[str]:
        """Return the roots as they are now, resolved and sorted."""
        return self._roots().folders

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

    def encoded(self) -> Encoded:
        """Say how much was encoded since the library was opened."""
        return self._encoder.encoded()

    def encoder_state(self) -> EncoderState:
        """Say where the encoder stands; neither waits nor asks the database."""
        return self._encoder.state

    def failures(self, limit: int = 100) -> list[Failure]:
        """Return files that could not be read, wholly or in part, and why; by path, some of them.

        With roots in the settings, they are those below the roots.
        """
        fence = self._fence()
        found = failures(self._database, limit, fence.folders if fence else None)
        return [Failure(path=path, error=error) for path, error in found]

    def _roots(self) -> Roots:
        return Roots(self._allowed())

    def _allowed(self) -> Iterator[str | Path]:
        yield from self._catalog.roots()
        yield from self.settings.roots

    def _fence(self) -> Roots | None:
        return self._roots() if self.settings.roots else None
