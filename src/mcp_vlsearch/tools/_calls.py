"""How a tool calls the library: in a worker thread, with progress, and stopped when cancelled.

A call ends before clients give up. What it began goes on, and the same call joins it.
"""

import hashlib
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

import anyio
import anyio.to_thread
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.progress import NO_NEWS, Progress, ProgressCallback
from mcp_vlsearch.core.runs import Run
from mcp_vlsearch.errors import CancelledError, VLSearchError
from mcp_vlsearch.tools._hints import hinted
from mcp_vlsearch.tools.threads import LONG, SOON, Threads

__all__ = ["Relay", "Rising", "TimeLeft", "call", "change", "long_call", "waited"]

P = ParamSpec("P")
T = TypeVar("T")
Send = Callable[[float, float | None, str | None], Awaitable[None]]

_LOOK: Final = 0.2
"""Seconds between two looks at the work's progress, so at most five reports a second."""
_HEARTBEAT: Final = 3.0
"""Seconds without news after which the last report is sent again: clients give up on silence."""
_STEP: Final = 0.001
"""What the progress number rises by when nothing was counted."""

_now = time.monotonic


async def call(
    ctx: Context,
    library: Library,
    method: Callable[P, T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Return what a method of the library, which takes ``report``, gives for some arguments.

    While the same is under way, that is waited for, and a result that nobody fetched yet is given
    at once. Raises :class:`ToolError` in place of a :class:`VLSearchError`, and when a client might
    soon give up: then the work goes on for the next call.
    """
    return await _joined(ctx, library, method, args, kwargs)


async def long_call(
    ctx: Context,
    library: Library,
    method: Callable[P, T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Call as :func:`call` does a method that goes through the whole library."""
    return await _joined(ctx, library, method, args, kwargs, is_long=True)


async def change(
    ctx: Context,
    library: Library,
    method: Callable[P, T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Call as :func:`call` does a method that changes the library."""
    return await _joined(ctx, library, method, args, kwargs, is_long=True, changes=True)


async def _joined(
    ctx: Context,
    library: Library,
    method: Callable[..., T],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    is_long: bool = False,
    changes: bool = False,
) -> T:
    left = TimeLeft(library)
    # A picture in base64 may be large, and is kept as long as its result is.
    about = method, hashlib.sha256(repr((args, sorted(kwargs.items()))).encode()).digest()

    def work(run: Run[T]) -> T:
        return method(*args, **kwargs, report=run.note)

    return await waited(
        ctx,
        lambda report: library.runs.join(
            about, work, report, left(), changes=changes, is_long=is_long
        ),
        LONG if is_long else SOON,
    )


class TimeLeft:
    """Seconds until a call, made now, has to be answered: waiting for a thread counts."""

    def __init__(self, library: Library) -> None:
        self._until = _now() + library.settings.call_seconds

    def __call__(self) -> float:
        """Return the seconds, 0 at least."""
        return max(0.0, self._until - _now())


async def waited(ctx: Context, work: Callable[[ProgressCallback], T], threads: Threads) -> T:
    """Run blocking ``work`` in a thread, with a callback for its progress, and return its result.

    While others have all of these ``threads`` it waits for one; who came first has the first.
    When the tool call is cancelled, it ends at once and the work at its next report, between
    batches. Raises :class:`ToolError` in place of a :class:`VLSearchError`.
    """
    relay = Relay()
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(relay.forward, ctx.report_progress)
        try:
            result = await anyio.to_thread.run_sync(
                partial(work, relay.report), abandon_on_cancel=True, limiter=threads.limiter()
            )
        except Exception as error:  # out of the task group it would come wrapped
            failure = error
        finally:
            relay.stop()
        group.cancel_scope.cancel()
    if isinstance(failure, VLSearchError):
        raise ToolError(str(failure)) from failure
    if failure is not None:
        raise failure
    return hinted(result)


class Relay:
    """Carries progress from the working thread to the client, and the wish to stop back.

    ``latest`` is the news that came last.
    """

    def __init__(self) -> None:
        self.latest = NO_NEWS
        self._stopped = threading.Event()

    def report(self, progress: Progress) -> None:
        """Take news from any thread. Raises :class:`CancelledError` once the call is over."""
        if self._stopped.is_set():
            raise CancelledError("stopped; what is done stays, and calling again goes on from it")
        self.latest = progress

    def stop(self) -> None:
        """Make the next report raise."""
        self._stopped.set()

    async def forward(self, send: Send) -> None:
        """Send the latest news until cancelled."""
        rising = Rising()
        sent, sent_at = NO_NEWS, anyio.current_time()
        while True:
            await anyio.sleep(_LOOK)
            latest, now = self.latest, anyio.current_time()
            if latest is not sent or now - sent_at >= _HEARTBEAT:
                await send(*rising.next(latest), latest.message)
                sent, sent_at = latest, now


class Rising:
    """Turns progress of several stages into one number that only rises, as the protocol asks."""

    def __init__(self) -> None:
        self._base = 0.0
        self._done = 0
        self._value = 0.0

    def next(self, progress: Progress) -> tuple[float, float | None]:
        """Return progress and total to send; a stage of unknown length hardly moves it."""
        if progress.total is None:
            self._value += _STEP
            return self._value, None
        if progress.done < self._done:  # a new stage has begun
            self._base = self._value
        self._done = progress.done
        self._value = max(self._base + progress.done, self._value + _STEP)
        return self._value, max(self._base + progress.total, self._value)
