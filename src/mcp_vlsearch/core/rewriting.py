"""The library's rewriters: made once, asked for what is not known, done without where they fail."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Final, TypeVar

from mcp_vlsearch.cache.phrasings import Phrasings
from mcp_vlsearch.contracts import ModelRewriter, QueryRewriter
from mcp_vlsearch.core.progress import Progress, ProgressCallback, silent
from mcp_vlsearch.errors import CheckpointError, MissingExtraError, RewriterError, SettingsError
from mcp_vlsearch.plugins import available, resolve
from mcp_vlsearch.settings import Settings

__all__ = ["OFF", "Rewriting"]

T = TypeVar("T")

OFF: Final = "off"
_HEARTBEAT: Final = 1.0
"""Seconds between two reports while waiting; clients reset their time limits on each."""
_PAUSE: Final = 30.0
"""Seconds for which one that failed is not asked again, unless it is asked for by name."""
_CANT_BE: Final = (SettingsError, CheckpointError, MissingExtraError)
"""What says that a rewriter can't be had as it was asked for, whatever the query."""

logger = logging.getLogger(__name__)
clock = time.monotonic


class Rewriting:
    """Puts queries into other words with the rewriter that is asked for, or that of the settings.

    A query that can't be rewritten is searched as it is, with a warning in the log.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.known = Phrasings(settings.library, read_only=settings.read_only)
        self._made: dict[str, QueryRewriter] = {}
        self._making = threading.Lock()
        self._asking = threading.Lock()
        self._rests_until = 0.0

    def name(self, wanted: str | None) -> str:
        """Return which rewriter that is. Raises :class:`PluginError` if there is none."""
        name = self._settings.rewrite if wanted is None else wanted
        if name != OFF and name not in self._made and name not in available("rewriters"):
            resolve("rewriters", name)  # which says what there is; a known one is not imported yet
        return name

    def warm_up(self) -> None:
        """Start making the settings' rewriter in the background, with its weights."""
        name = self._settings.rewrite
        if name != OFF:
            _begun(lambda: self._load(name))  # whoever asks it hears of what is wrong

    def rewrite(
        self, query: str, wanted: str | None = None, report: ProgressCallback = silent
    ) -> list[str]:
        """Return further phrasings of a query, none where rewriting is off or fails.

        Raises :class:`PluginError`, :class:`SettingsError` and :class:`CheckpointError` if the
        rewriter can't be had and somebody asked for it by name, not just by a setting.
        """
        is_named = wanted is not None or self._settings.is_flag("rewrite")
        if not is_named and clock() < self._rests_until:
            return []
        try:
            return self.write(query, wanted, report)
        except (RewriterError, *_CANT_BE) as error:
            if is_named and isinstance(error, _CANT_BE):
                raise
            logger.warning("searching the query as it is: %s", error)
        self._rests_until = clock() + _PAUSE
        return []

    def write(
        self, query: str, wanted: str | None = None, report: ProgressCallback = silent
    ) -> list[str]:
        """Return what the rewriter writes. Raises as :meth:`rewrite` and :class:`RewriterError`."""
        name = self.name(wanted)
        if name == OFF:
            return []
        making = f"getting the rewriter {name} ready"
        rewriter = self._made.get(name) or _awaited(lambda: self._make(name), report, making)
        if not isinstance(rewriter, ModelRewriter):
            return _asked(rewriter, query)
        found = self.known.find(rewriter.fingerprint, query)
        if found is not None:
            return found
        _awaited(lambda: self._load(name), report, f"loading the model of the rewriter {name}")
        return _awaited(
            lambda: self._ask(rewriter, query), report, f"{name} is rewriting the query"
        )

    def _ask(self, rewriter: ModelRewriter, query: str) -> list[str]:
        with self._asking:
            written = _asked(rewriter, query)
        self.known.keep(rewriter.fingerprint, query, written)
        return written

    def _make(self, name: str) -> QueryRewriter:
        with self._making:
            if name not in self._made:
                self._made[name] = resolve("rewriters", name)(self._settings)
            return self._made[name]

    def _load(self, name: str) -> None:
        rewriter = self._make(name)
        if isinstance(rewriter, ModelRewriter):
            rewriter.load()


def _asked(rewriter: QueryRewriter, query: str) -> list[str]:
    try:
        return rewriter.rewrite(query)
    except (RewriterError, *_CANT_BE):
        raise
    except Exception as error:  # whatever a plugin raises, the original can be searched
        raise RewriterError(
            f"rewriter {rewriter.name!r} failed: {error!r}; mend it, or give --rewrite off"
        ) from error


def _awaited(work: Callable[[], T], report: ProgressCallback, doing: str) -> T:
    """Return what work returns; it goes on in the background if ``report`` stops the wait."""
    begun = _begun(work)
    seconds = 0
    while not wait([begun], _HEARTBEAT).done:
        seconds += 1
        report(Progress(0, None, f"{doing}, {seconds} s"))
    return begun.result()


def _begun(work: Callable[[], T]) -> "Future[T]":
    """Do work in a thread that holds up no exit."""
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, name="rewriter", daemon=True).start()
    return outcome
