"""MCP over stdin and stdout."""

import logging
import os
import signal
import sys
from typing import TextIO

import anyio

# On Windows, a first import of numpy in a thread while stdin is being read deadlocks.
import numpy as np  # noqa: F401

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.encoders.shared import SharedEncoder
from mcp_vlsearch.leaving import leave
from mcp_vlsearch.server.building import GRACE, build_server
from mcp_vlsearch.server.watching import in_background
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.wording import on_a_line

__all__ = ["serve_stdio"]

logger = logging.getLogger(__name__)


def serve_stdio(settings: Settings) -> None:
    """Serve one client on stdin and stdout until it closes stdin; the last call of a process.

    From here on only protocol goes to stdout: whatever else is written there, by ``print`` or by C
    code, comes out of stderr. Raises :class:`VLSearchError` if the server can't start.
    """
    wire = _take_stdout()
    # Reading stdin can't be interrupted, so Ctrl-C ends the process at once, as SIGTERM does.
    # What was indexed is committed.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    shares = settings.share == "auto" and settings.encoder != "remote"
    with Library(settings, SharedEncoder if shares else None) as library:
        server = build_server(library)
        logger.info("serving MCP over stdio; the library is %s", on_a_line(str(settings.library)))
        try:
            with in_background(library):
                anyio.run(server.run_over_stdio, wire)
        except* BrokenPipeError:  # the client went without closing stdin first
            pass
        leave(grace=GRACE)  # the library still open, for the batch in flight


def _take_stdout() -> TextIO:
    """Return a stream to what stdout was, and let everybody else's stdout be stderr."""
    sys.stdout.flush()
    wire = os.dup(1)
    try:
        os.dup2(2, 1)
    except OSError:  # there is no stderr
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
    return os.fdopen(wire, "w", encoding="utf-8", newline="\n")
