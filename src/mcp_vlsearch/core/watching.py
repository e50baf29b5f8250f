"""Watching: what changes below the roots becomes searchable, or is forgotten, by itself.

The system's notices say where to look; what has changed is told by comparing with the catalog, as
for every index run. So a notice too many costs a look, and a root that is offline loses nothing.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePath
from typing import Final

from mcp_vlsearch.core.changes import Change
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.news import News
from mcp_vlsearch.core.progress import Progress, ProgressCallback, silent
from mcp_vlsearch.core.scan import is_passed_by, is_picture
from mcp_vlsearch.core.settling import Settling
from mcp_vlsearch.core.watched import WatchedRoot
from mcp_vlsearch.errors import CancelledError, VLSearchError

__all__ = ["Watcher"]

_QUIET: Final = 1.0
"""Seconds that a file must have been as it is."""
_AT_MOST: Final = 60.0
"""Seconds after which it is read even so."""
_TICK: Final = 0.2
_ROOTS: Final = 1.0
"""Seconds between two looks at which roots there are, and whether they are there."""
_AT_ONCE: Final = 200
"""Files that one run takes, at most: between runs, other writers have their turn."""
_STORM: Final = 1000
"""Changes at a time after which the whole root is looked at: the system may have dropped some."""
_LONGEST_PAUSE: Final = 300.0
"""Seconds between two tries at most, while something keeps failing."""


class Watcher:
    """Follows the roots of one library.

    Of several processes that watch a root, one does the work; another takes over when it ends.
    ``tell`` hears of every change, ``say`` gets lines for people, ``report`` the progress of runs.
    After ``stop`` is set, :meth:`run` returns soon, with the batch in flight finished. ``quiet``
    are the seconds that a file must have been as it is.
    """

    def __init__(
        self,
        library: Library,
        tell: Callable[[Change], None],
        say: Callable[[str], None],
        *,
        stop: threading.Event,
        report: ProgressCallback = silent,
        quiet: float = _QUIET,
    ) -> None:
        self._library = library
        self._tell = tell
        self._say = say
        self._report = report
        self._stop = stop
        self._roots: dict[str, WatchedRoot] = {}
        self._looked = 0.0
        self._quiet = quiet
        self._files = Settling(quiet, _AT_MOST)
        self._folders = Settling(quiet, _AT_MOST)
        self._tried: dict[str, tuple[int, int]] = {}
        self._complaint = ""

    def run(self) -> None:
        """Watch until stopped. No error ends it: it is said, and work tried again ever later."""
        pause = 0.0
        try:
            while not self._stop.wait(pause or _TICK):
                try:
                    self.round()
                    pause, self._complaint = 0.0, ""
                except CancelledError:
                    if not self._stop.is_set():
                        raise
                except Exception as error:
                    pause = min(max(1.0, 2 * pause), _LONGEST_PAUSE)
                    self._complain(error, pause)
        finally:
            for root in self._roots.values():
                root.close()

    def round(self) -> None:
        """Take up what has come, and do what is ready; raises what a run raises."""
        if time.monotonic() - self._looked >= _ROOTS:
            self._follow_roots()
            self._looked = time.monotonic()
        for root in self._roots.values():
            self._listen(root)
        for folder in self._folders.ready():
            self._look(folder)
        ready = self._files.ready()[:_AT_ONCE]
        if ready:
            news = self._run(ready)
            self._files.drop(ready)
            self._remember(news, ready)

    def _follow_roots(self) -> None:
        """Take up roots that are new or back, and let go of those that are none any more."""
        now = self._library.roots()
        for path in self._roots.keys() - set(now):
            self._roots.pop(path).close()
        for path in now:
            if path not in self._roots:
                settings = self._library.settings
                self._roots[path] = WatchedRoot(
                    path, settings.library, settings.rescan_seconds, self._stop, self._say
                )
            root = self._roots[path]
            if not root.is_due():
                continue
            if root.is_folder:
                self._folders.add(path, rests=True)
            else:
                self._files.add(path)

    def _listen(self, root: WatchedRoot) -> None:
        touched = root.take()
        for path in touched:
            self._notice(root.path, path)
        if len(touched) >= _STORM:
            self._folders.add(root.path)

    def _notice(self, root: str, path: str) -> None:
        """Remember what to look at for a touched path: a file, or a folder and all below it."""
        place = _place_of(root, path)
        if place is None:
            return
        self._folders.touch(_above(place, root))
        if os.path.isdir(place):  # noqa: PTH112 - of thousands at a time
            self._folders.add(place)
        elif is_picture(place) or not os.path.lexists(place):  # the latter may have been a folder
            self._files.add(place)

    def _look(self, folder: str) -> None:
        """Find the files at or below a folder that differ from what is known of them."""
        started = time.monotonic()
        news = self._library.news([folder], self._watchful)
        now = time.time_ns()
        for file in news.to_read:
            if self._tried.get(file.path) != (file.size, file.mtime_ns):
                self._files.add(file.path, rests=now - file.mtime_ns > self._quiet * 10**9)
        for path in news.gone:
            self._files.add(path)
        self._folders.drop([folder])
        if folder in self._roots:
            self._roots[folder].looked(time.monotonic() - started)

    def _run(self, paths: Sequence[str]) -> News:
        """Bring the library up to files that are at rest; return what there was to do."""
        news = self._library.news(paths, self._watchful)
        if not news:
            return news
        if news.to_read:
            places = {_indexable(file.path) for file in news.to_read}
            report = self._library.index(sorted(places.union(news.gone)), report=self._watchful)
        else:
            report = self._library.forget_gone(news.gone, self._watchful)
        if report.added or report.updated or report.moved or report.removed or report.failed:
            self._tell(Change(report, sorted({f.path for f in news.to_read}.union(news.gone))))
        return news

    def _remember(self, before: News, paths: Sequence[str]) -> None:
        """Note which files a run left: they are tried again once they change, or are touched."""
        for path in paths:
            self._tried.pop(path, None)
        if not before.to_read:
            return
        had = {file.path: (file.size, file.mtime_ns) for file in before.to_read}
        for file in self._library.news(paths, self._watchful).to_read:
            now = file.size, file.mtime_ns
            if had.get(file.path) == now:
                self._tried[file.path] = now
            else:  # written to since it was read
                self._files.add(file.path)

    def _watchful(self, progress: Progress) -> None:
        if self._stop.is_set():
            raise CancelledError("stopped watching")
        self._report(progress)

    def _complain(self, error: Exception, pause: float) -> None:
        """Say what goes wrong, once."""
        known = isinstance(error, VLSearchError)
        text = " ".join(str(error if known else repr(error)).split())
        if text != self._complaint:
            self._complaint = text
            self._say(f"watching: {text} (trying again, next in {pause:.0f} s)")


def _place_of(root: str, path: str) -> str | None:
    """Return what to look at for a touched path below a root, if a scan looks at it at all.

    That is the path itself; of what is gone, the topmost folder that went with it; of links, the
    folder that they are in, and of what lies behind a linked folder nothing: it has its own place.
    """
    if any(map(is_passed_by, PurePath(path[len(root) :].lstrip(os.sep)).parts)):
        return None
    while path != root and not os.path.lexists(above := _parent(path)) and above != root:
        path = above
    above = _parent(path)
    if os.path.realpath(above) != above:
        return None
    return above if os.path.islink(path) else path  # noqa: PTH114


def _indexable(path: str) -> str:
    """Return a file, or the folder in which an index run finds it by this path: links are met."""
    while os.path.realpath(path) != path:
        path = _parent(path)
    return path


def _above(path: str, root: str) -> Iterable[str]:
    """Give the folders around a path, up to the root."""
    while path != root and len(path) > len(root):
        path = _parent(path)
        yield path


def _parent(path: str) -> str:
    return os.path.dirname(path)  # noqa: PTH120 - of thousands at a time
