"""MCP over streamable HTTP, fenced: loopback by default, a token beyond it."""

from typing import Final

from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import ASGIApp

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.picture import MAX_BASE64
from mcp_vlsearch.leaving import leave
from mcp_vlsearch.server.building import GRACE, build_server
from mcp_vlsearch.server.listening import (
    LOCAL_NAMES,
    BearerToken,
    bracketed,
    is_loopback,
    listen,
    new_token,
    run,
    say,
)
from mcp_vlsearch.server.watching import in_background
from mcp_vlsearch.settings import Settings

__all__ = ["http_app", "serve_http"]

_PATH: Final = "/mcp"
_MAX_BODY: Final = MAX_BASE64 + 2**20


def serve_http(settings: Settings, host: str = "127.0.0.1", port: int = 8765) -> None:
    """Serve any number of clients at ``http://host:port/mcp`` until SIGINT or SIGTERM.

    Port 0 takes a free one; stderr says which. Beyond loopback a token is always asked for: that
    of the settings, or else one that is made here and printed once to stderr. Raises
    :class:`ServerError` if the address can't be used.
    """
    with listen(host, port) as listening, Library(settings) as library:
        token = settings.token or (None if is_loopback(host) else new_token())
        port = listening.getsockname()[1]
        say(f"serving MCP at http://{bracketed(host)}:{port}{_PATH}; Ctrl-C stops it")
        app = http_app(library, host, token)
        with in_background(library):
            run(app, listening)
        leave(grace=GRACE)  # the library still open, for the batch in flight


def http_app(library: Library, host: str, token: str | None) -> ASGIApp:
    """Return the web application: MCP at ``/mcp``, for requests that know the token if any."""
    app = build_server(library).streamable_http_app(
        streamable_http_path=_PATH,
        transport_security=_fence(host),
        max_request_body_size=_MAX_BODY,
    )
    return BearerToken(app, token) if token else app


def _fence(host: str) -> TransportSecuritySettings:
    """Refuse foreign Host and Origin headers, by which a web page could reach a local server.

    A server on all addresses has names that it can't know; there the token keeps web pages out.
    """
    if host in ("", "0.0.0.0", "::"):
        return TransportSecuritySettings(enable_dns_rebinding_protection=False)
    names = dict.fromkeys((*LOCAL_NAMES, bracketed(host)))
    hosts = [form for name in names for form in (name, f"{name}:*")]
    return TransportSecuritySettings(
        allowed_hosts=hosts,
        allowed_origins=[f"{scheme}://{form}" for scheme in ("http", "https") for form in hosts],
    )
