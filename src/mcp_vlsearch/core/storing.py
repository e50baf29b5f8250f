"""Keeps a stored index in order behind the searches: stored anew when it is due, and verified."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from mcp_vlsearch.cache.embeddings import Embeddings
from mcp_vlsearch.contracts import StoredIndex
from mcp_vlsearch.core.progress import Progress, ProgressCallback
from mcp_vlsearch.core.workers import give_way

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs, Vectors

__all__ = ["THREAD", "Storing"]

THREAD: Final = "stored index"
"""The name of threads that look after one."""

logger = logging.getLogger(__name__)

_COMPLAINT: Final = "the index can't be stored: %s"
_BLOCK: Final = 20_000
"""Vectors that are read in one snapshot of the database, so that none is held for long."""
_HEARTBEAT: Final = 1.0
"""Seconds between two reports; clients reset their time limits on each."""
_AGAIN: Final = 10.0
"""Seconds until storing is tried again that another process was busy with."""
_AFTER_FAILURE: Final = 600.0
"""Seconds more if it failed: a full disk may be emptied."""
_SETTLED: Final = 10.0
"""Seconds before work behind searches begins: a command that ends sooner should begin none."""
_GRACE: Final = 10.0
"""Seconds that work gets to end."""


class Storing:
    """Does what there is to do for one index, in threads of its own that give way to all others.

    Whatever fails there is logged, once, and fails no search.
    """

    def __init__(self, index: StoredIndex, embeddings: Embeddings) -> None:
        self._index = index
        self._embeddings = embeddings
        self._done = self._total = 0
        self._storing: _Job | None = None
        self._verifying: _Job | None = None
        self._not_before = 0.0
        self._beginning = threading.Lock()
        self._is_closed = False

    def look(self) -> None:
        """Begin what there is to do; called when the index is up to date."""
        with self._beginning:
            if self._is_closed:
                return
            if self._index.due and self._may_store():
                self._not_before = time.monotonic() + _AGAIN
                self._storing = _Job(_COMPLAINT, self._store, _SETTLED)
            if self._verifying is None:
                complaint = "the stored index can't be verified: %s"
                self._verifying = _Job(complaint, self._index.verify, _SETTLED)

    def store(self, report: ProgressCallback) -> None:
        """Store what the database has now, which need not be in memory for that; wait for it."""
        with self._beginning:
            if self._is_closed or not self._may_store():
                return
            self._storing = _Job(_COMPLAINT, self._store, 0)
        self.wait(report)

    def wait(self, report: ProgressCallback) -> None:
        """Wait until the index is stored, if that is due; a report that raises ends it."""
        job = self._storing
        if job is not None:
            job.hurry()
        try:
            while job is not None and not job.ended(_HEARTBEAT):
                said = f"storing the index, {self._done} of {self._total} vectors"
                report(Progress(self._done, self._total, said))
        except BaseException:
            assert job is not None
            job.stop()
            raise

    def close(self) -> None:
        """End what goes on; nothing begins any more."""
        with self._beginning:
            self._is_closed = True
            jobs = [job for job in (self._storing, self._verifying) if job is not None]
        for job in jobs:
            job.stop()
        for job in jobs:
            job.ended(_GRACE)

    def _may_store(self) -> bool:
        last = self._storing
        if last is None:
            return True
        rest = _AFTER_FAILURE if last.failed else 0
        return last.ended(0) and time.monotonic() >= self._not_before + rest

    def _store(self, check: Callable[[], None]) -> None:
        def progress(done: int) -> None:
            self._done = done
            check()

        until, last_removal = self._embeddings.newest()
        self._done, self._total = 0, self._embeddings.count()
        rows = self._rows(until, last_removal)
        self._index.store(rows, self._total, last_removal, progress)

    def _rows(self, until: int, last_removal: int) -> "Iterator[tuple[Seqs, Vectors]]":
        """Read all entries up to a seq, so that one who only adds can't be chased for ever."""
        after, block = 0, _BLOCK
        while block == _BLOCK and after < until:
            seqs, vectors, _, _ = self._embeddings.changes(after, last_removal, _BLOCK)
            block = len(seqs)
            if block:
                after = int(seqs[-1])
                is_wanted = seqs <= until
                yield seqs[is_wanted], vectors[is_wanted]


class _StoppedError(Exception):
    """Whoever began a job wants it no more."""


class _Job:
    """Work in a thread, after a delay; it is given what it must call often, and what ends it.

    ``complaint`` is logged, with the error in it, if it fails.
    """

    def __init__(
        self, complaint: str, work: Callable[[Callable[[], None]], None], delay: float
    ) -> None:
        self.failed = False
        self._complaint, self._work, self._delay = complaint, work, delay
        self._awake = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=THREAD, daemon=True)
        self._thread.start()

    def ended(self, seconds: float) -> bool:
        """Wait so long for the end; say whether it came."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def hurry(self) -> None:
        """Begin now."""
        self._awake.set()

    def stop(self) -> None:
        """Let it end soon."""
        self._stopped.set()
        self._awake.set()

    def _run(self) -> None:
        self._awake.wait(self._delay)
        if self._stopped.is_set():
            return
        give_way()
        try:
            self._work(self._check)
        except _StoppedError:
            return
        except Exception as error:  # whatever an index raises, it must not end searches
            self.failed = True
            if not self._stopped.is_set():  # else it met a library that was closed meanwhile
                logger.warning(self._complaint, error)

    def _check(self) -> None:
        if self._stopped.is_set():
            raise _StoppedError
