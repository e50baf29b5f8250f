"""MCP over streamable HTTP, fenced: loopback by default, a token beyond it."""

import logging
from typing import Final

from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import ASGIApp

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.picture import MAX_BASE64
from mcp_vlsearch.leaving import leave
from mcp_vlsearch.server.building import GRACE, build_server
from mcp_vlsearch.server.guards import Bounded, KnownHosts
from mcp_vlsearch.server.listening import (
    BearerToken,
    bracketed,
    is_loopback,
    listen,
    new_token,
    run,
    say,
)
from mcp_vlsearch.server.metrics import (
    HEALTH,
    CallMetrics,
    EncoderNumbers,
    LibraryNumbers,
    Numbered,
    new_registry,
)
from mcp_vlsearch.server.watching import in_background
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.wording import on_a_line

__all__ = ["http_app", "serve_http"]

logger = logging.getLogger(__name__)

_PATH: Final = "/mcp"
_MAX_BODY: Final = MAX_BASE64 + 2**20
_HELD_BYTES: Final = 4 * _MAX_BODY
"""Bodies of requests under way, together."""
_NO_SECOND_FENCE: Final = TransportSecuritySettings(enable_dns_rebinding_protection=False)
"""What the SDK would check is checked here for all paths."""


def serve_http(settings: Settings, host: str = "127.0.0.1", port: int = 8765) -> None:
    """Serve any number of clients at ``http://host:port/mcp`` until SIGINT or SIGTERM.

    Port 0 takes a free one; stderr says which. Beyond loopback a token is always asked for: that
    of the settings, or else one that is made here and printed once to stderr. Raises
    :class:`ServerError` if the address can't be used.
    """
    with listen(host, port) as listening, Library(settings) as library:
        token = settings.token or (None if is_loopback(host) else new_token())
        port = listening.getsockname()[1]
        logger.info("the library is %s", on_a_line(str(settings.library)))
        say(f"serving MCP at http://{bracketed(host)}:{port}{_PATH}; Ctrl-C stops it")
        app = http_app(library, host, token)
        with in_background(library):
            run(app, listening, ending=library.runs.end_long)
        leave(grace=GRACE)  # the library still open, for the batch in flight


def http_app(library: Library, host: str, token: str | None) -> ASGIApp:
    """Return the web application: MCP at ``/mcp``, for requests that know the token if any.

    So is ``/metrics``; ``/healthz`` answers to everybody.

    Foreign Host and Origin headers are refused, and what one request may cost is bounded.
    """
    server, registry = build_server(library), new_registry()
    server.counter = CallMetrics(registry)
    registry.register(LibraryNumbers(library.status))
    registry.register(EncoderNumbers(library.encoded))
    app: ASGIApp = server.streamable_http_app(
        streamable_http_path=_PATH,
        transport_security=_NO_SECOND_FENCE,
        max_request_body_size=_MAX_BODY,
    )
    app = Numbered(app, registry, library.encoder_state)
    app = Bounded(app, most_bytes=lambda _: _MAX_BODY, held_bytes=_HELD_BYTES)
    # Who may not ask takes nobody's place.
    app = BearerToken(app, token, besides=(HEALTH,)) if token else app
    return KnownHosts(app, host)
