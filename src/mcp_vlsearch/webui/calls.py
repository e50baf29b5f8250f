"""Calls of the library from the page: in a thread of their own, with progress, errors as a line."""

import functools
import html
import inspect
import logging
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final, ParamSpec, TypeVar

import gradio as gr

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.progress import Progress, ProgressCallback
from mcp_vlsearch.errors import MEMORY_HAS_RUN_OUT, CancelledError, VLSearchError
from mcp_vlsearch.server.calls import told as logged

__all__ = ["Shown", "follow", "telling"]

T = TypeVar("T")
P = ParamSpec("P")

Shown = dict[Any, Any]
"""New values by the component that shows them."""

_LOG: Final = logging.getLogger(__name__)


def follow(
    library: Library,
    name: str,
    work: Callable[[ProgressCallback], T],
    show: Callable[[Progress], Shown],
    stop: threading.Event | None = None,
) -> Generator[Shown, None, T]:
    """Do work in a thread, yield what shows its latest progress, and return its result.

    It is logged as a call of the library's method ``name``. It is stopped if the page goes away
    meanwhile, or when ``stop`` is set.
    """
    stopped = stop or threading.Event()
    steps: queue.SimpleQueue[Progress | None] = queue.SimpleQueue()
    results: list[T] = []
    errors: list[BaseException] = []

    def report(progress: Progress) -> None:
        if stopped.is_set():
            raise CancelledError("stopped: what is done stays")
        steps.put(progress)

    def run() -> None:
        try:
            with logged(name, {}, None, library.settings.slow_call_seconds):
                results.append(work(report))
        except BaseException as error:  # is told in the page
            errors.append(error)
        finally:
            steps.put(None)

    threading.Thread(target=run, name="web page").start()
    try:
        while (step := _latest(steps)) is not None:
            yield show(step)
    except GeneratorExit:
        stopped.set()
        raise
    if errors:
        raise errors[0]
    return results[0]


def _latest(steps: "queue.SimpleQueue[Progress | None]") -> Progress | None:
    """Wait for a step and return the newest one: a browser need not paint what is past."""
    step = steps.get()
    while step is not None and not steps.empty():
        step = steps.get()
    return step


def telling(
    failed: Callable[[str], Shown], stopped: Callable[[str], Shown] | None = None
) -> Callable[[Callable[P, Iterator[Shown]]], Callable[P, Iterator[Shown]]]:
    """Show a handler's errors as one line, in the page by ``failed`` and as a notice that goes.

    That it was cancelled is no error: ``stopped`` says so, if it is given.
    """

    def decorate(handler: Callable[P, Iterator[Shown]]) -> Callable[P, Iterator[Shown]]:
        assert inspect.isgeneratorfunction(handler)

        @functools.wraps(handler)
        def told(*args: P.args, **kwargs: P.kwargs) -> Iterator[Shown]:
            try:
                yield from handler(*args, **kwargs)
            except GeneratorExit:
                raise
            except CancelledError as error:
                yield (stopped or failed)(_line(error))
            except Exception as error:
                text = _words(error)
                yield failed(text)
                gr.Warning(html.escape(text), duration=8)

        return told

    return decorate


def _words(error: Exception) -> str:
    if isinstance(error, VLSearchError):
        return _line(error)
    if isinstance(error, MemoryError):
        return MEMORY_HAS_RUN_OUT
    _LOG.error("the web page failed", exc_info=error)
    return f"it failed unexpectedly ({_line(error)}): look into the server's log and report it"


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
