"""What a server does beside answering: it watches the roots, and ends what outlived its call."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from mcp_vlsearch.core.changes import Change, told
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.server.listening import say
from mcp_vlsearch.wording import on_a_line

__all__ = ["in_background"]

_AFTER: Final = 1.0
"""Seconds before watching begins: the handshake goes first."""


@contextmanager
def in_background(library: Library) -> Iterator[None]:
    """Watch while a server answers, if the settings say so; at the end, let all work finish.

    That is not waited for here: see :func:`mcp_vlsearch.leaving.leave`.
    """
    over = threading.Event()
    if library.settings.watch:
        threading.Thread(target=_watch, args=(library, over), name="watching").start()
    try:
        yield
    finally:
        over.set()
        library.runs.stop()


def _watch(library: Library, over: threading.Event) -> None:
    if over.wait(_AFTER):
        return
    from mcp_vlsearch.core.watching import Watcher

    def tell(change: Change) -> None:
        for failure in change.report.failures:
            say(on_a_line(f"watching: failed: {failure.path}: {failure.error}"))
        say(f"watching: {told(change)}")

    Watcher(library, tell, say, stop=over).run()
