"""From settings to a web page that is served: library, address, token, browser."""

import logging
import threading
import webbrowser
from typing import Final
from urllib.parse import quote

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.encoders.shared import SharedEncoder
from mcp_vlsearch.leaving import leave
from mcp_vlsearch.server.building import GRACE
from mcp_vlsearch.server.listening import bracketed, is_loopback, listen, run, say
from mcp_vlsearch.server.watching import in_background
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.webui.fencing import new_token
from mcp_vlsearch.webui.mounting import web_app
from mcp_vlsearch.wording import on_a_line

__all__ = ["serve"]

logger = logging.getLogger(__name__)

_OPENS_AFTER: Final = 0.5
"""Seconds before a browser is opened; the socket already listens, so it may come early."""


def serve(settings: Settings, host: str, port: int, is_opened: bool) -> None:
    """Serve the page at ``http://host:port`` until SIGINT or SIGTERM.

    Beyond loopback a token is always asked for: that of the settings, or else one that is made here
    and printed once to stderr. Raises :class:`ServerError` if the address can't be used.
    """
    shares = settings.share == "auto" and settings.encoder != "remote"
    make_encoder = SharedEncoder if shares else None
    with listen(host, port) as listening, Library(settings, make_encoder) as library:
        port = listening.getsockname()[1]
        address = f"http://{bracketed(host)}:{port}/"
        logger.info("the library is %s", on_a_line(str(settings.library)))
        token, is_new = settings.token or None, False  # an empty one is none
        if token is None and not is_loopback(host):
            token, is_new = new_token(), True
        with web_app(library, host, token) as app:
            say(f"the web page is at {address}; Ctrl-C stops it")
            _tell_token(address, token, is_new)
            if is_opened:
                there = f"{address}?token={quote(token, safe='')}" if token else address
                threading.Timer(_OPENS_AFTER, webbrowser.open, (there,)).start()
            with in_background(library):
                run(app, listening)
        leave(grace=GRACE)  # the library still open, for the batch in flight


def _tell_token(address: str, token: str | None, is_new: bool) -> None:
    if is_new:
        say(f"open it as {address}?token={token}")
        say("this token is new at every start; set MCP_VLSEARCH_TOKEN to keep one")
    elif token:
        say(f"open it as {address}?token=… with the token of MCP_VLSEARCH_TOKEN")
