"""Threads for calls: a number for each kind, so that those that wait never hold up the others."""

from typing import Final

from anyio import CapacityLimiter
from anyio.lowlevel import RunVar

__all__ = ["LONG", "SOON", "STATUS", "Threads"]


class Threads:
    """At most so many threads at once for one kind of calls; the others wait without a thread."""

    def __init__(self, kind: str, most: int) -> None:
        self._most = most
        self._limiter: RunVar[CapacityLimiter | None] = RunVar(f"threads for {kind}", None)

    def limiter(self) -> CapacityLimiter:
        """Return the limiter of the event loop that runs; who came first has the next turn."""
        limiter = self._limiter.get(None)
        if limiter is None:
            limiter = CapacityLimiter(self._most)
            self._limiter.set(limiter)
        return limiter


SOON: Final = Threads("searches", 40)
"""For calls that read, and need no more than the model."""
LONG: Final = Threads("long calls", 16)
"""For calls that wait for whoever writes, or go through the whole library."""
STATUS: Final = Threads("status", 4)
"""For calls that wait for nothing, not even for the model."""
