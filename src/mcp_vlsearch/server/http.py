"""MCP over streamable HTTP, fenced: loopback by default, a token beyond it."""

import hmac
import ipaddress
import secrets
import signal
import socket
import sys
from contextlib import suppress
from typing import Final

from mcp.server.transport_security import TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.picture import MAX_BASE64
from mcp_vlsearch.errors import ServerError
from mcp_vlsearch.leaving import leave
from mcp_vlsearch.server.building import GRACE, build_server
from mcp_vlsearch.settings import Settings

__all__ = ["BearerToken", "http_app", "serve_http"]

_PATH: Final = "/mcp"
_LOCAL_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
_MAX_BODY: Final = MAX_BASE64 + 2**20
_CLOSING: Final = 3
"""Seconds that open connections get at shutdown."""


def serve_http(settings: Settings, host: str = "127.0.0.1", port: int = 8765) -> None:
    """Serve any number of clients at ``http://host:port/mcp`` until SIGINT or SIGTERM.

    Port 0 takes a free one; stderr says which. Beyond loopback a token is always asked for: that
    of the settings, or else one that is made here and printed once to stderr. Raises
    :class:`ServerError` if the address can't be used.
    """
    import uvicorn  # not needed over stdio, where start-up time counts

    with _listen(host, port) as listening, Library(settings) as library:
        token = settings.token or (None if is_loopback(host) else _new_token())
        config = uvicorn.Config(
            http_app(library, host, token),
            log_config=None,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=_CLOSING,
        )
        port = listening.getsockname()[1]
        _say(f"serving MCP at http://{_bracketed(host)}:{port}{_PATH}; Ctrl-C stops it")
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])
        leave(grace=GRACE)  # the library still open, for the batch in flight


def http_app(library: Library, host: str, token: str | None) -> ASGIApp:
    """Return the web application: MCP at ``/mcp``, for requests that know the token if any."""
    app = build_server(library).streamable_http_app(
        streamable_http_path=_PATH,
        transport_security=_fence(host),
        max_request_body_size=_MAX_BODY,
    )
    return BearerToken(app, token) if token else app


class BearerToken:
    """Lets only requests through that carry ``Authorization: Bearer <token>``."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 to a request without the token."""
        if scope["type"] == "http" and not self._allows(Headers(scope=scope)):
            refusal = PlainTextResponse(
                "a bearer token is needed: the one that the server printed or MCP_VLSEARCH_TOKEN\n",
                status_code=401,
                headers={"WWW-Authenticate": "Bearer"},
            )
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _allows(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        sent = given.strip().encode("latin-1")  # the bytes as they came
        return scheme.lower() == "bearer" and hmac.compare_digest(sent, self._token)


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _fence(host: str) -> TransportSecuritySettings:
    """Refuse foreign Host and Origin headers, by which a web page could reach a local server.

    A server on all addresses has names that it can't know; there the token keeps web pages out.
    """
    if host in ("", "0.0.0.0", "::"):
        return TransportSecuritySettings(enable_dns_rebinding_protection=False)
    names = dict.fromkeys((*_LOCAL_NAMES, _bracketed(host)))
    hosts = [form for name in names for form in (name, f"{name}:*")]
    return TransportSecuritySettings(
        allowed_hosts=hosts,
        allowed_origins=[f"{scheme}://{form}" for scheme in ("http", "https") for form in hosts],
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]
        raise ServerError(
            f"can't listen on {_bracketed(host)}:{port} ({reason}): choose another --host or --port"
        ) from error


def _new_token() -> str:
    token = secrets.token_urlsafe(32)
    _say(f"clients must send the header Authorization: Bearer {token}")
    _say("this token is new at every start; set MCP_VLSEARCH_TOKEN to keep one")
    return token


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
