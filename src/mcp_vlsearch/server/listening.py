"""What HTTP servers share: a socket, a bearer token, and running until a signal."""

import asyncio
import hmac
import ipaddress
import logging
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import anyio
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_vlsearch.errors import ServerError
from mcp_vlsearch.wording import shown

__all__ = [
    "LOCAL_NAMES",
    "BearerToken",
    "bracketed",
    "is_loopback",
    "listen",
    "new_token",
    "run",
    "say",
]

LOCAL_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
_KEPT: Final = 30
"""Seconds that a connection stays open for the next request: longer than clients keep theirs, which
is mostly five. Else one sends a request over it while it is closed here, and loses it."""
_DESCRIPTORS: Final = 4_096
"""Open files and connections of a server: systems begin with 1,024 or 256, and a connection that
finds none left waits for others to end."""
_LOOK: Final = 0.02
"""Seconds between two looks at the end whether calls are under way."""
_CUT_OFF: Final = ("Cancel %s running task", "ASGI callable returned without completing response")
"""Of uvicorn."""
_GRACE: Final = 3
"""Seconds that open connections get at shutdown."""


def run(app: ASGIApp, listening: socket.socket, ending: Callable[[], None] = lambda: None) -> None:
    """Serve an application on a listening socket until SIGINT or SIGTERM.

    Then ``ending`` is called, no connection is taken any more, and what is under way gets some
    seconds to be answered.
    """
    import uvicorn  # not needed over stdio, where start-up time counts
    from sse_starlette.sse import AppStatus

    from mcp_vlsearch.server.patience import PatientProtocol

    posts = _Posts(app)

    async def drain() -> None:
        """End the streams that only wait for news, once every call has its answer."""
        while posts.under_way:
            await anyio.sleep(_LOOK)
        AppStatus.should_exit = True

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            ending()
            logging.getLogger("uvicorn.error").addFilter(_is_news)
            async with anyio.create_task_group() as group:
                group.start_soon(drain)
                await super().shutdown(sockets)
                group.cancel_scope.cancel()

    # By itself it ends all streams at a signal, those with an answer to come, too.
    AppStatus.enable_automatic_graceful_drain = False
    config = uvicorn.Config(
        posts,
        http=PatientProtocol,
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=_KEPT,
        timeout_graceful_shutdown=_GRACE,
    )
    _take_descriptors()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        Server(config).run(sockets=[listening])


class _Posts:
    """Counts the calls that are under way: their answers, streams too, end with them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        is_call = scope["type"] == "http" and scope["method"] == "POST"
        self.under_way += is_call
        try:
            await self._app(scope, receive, send)
        finally:
            self.under_way -= is_call


def _is_news(record: logging.LogRecord) -> bool:
    """Say whether a line tells more than that a request was cut off at the end of the server."""
    error = record.exc_info[1] if record.exc_info else None
    return not (isinstance(error, asyncio.CancelledError) or record.msg.startswith(_CUT_OFF))


def _take_descriptors() -> None:
    """Let this process have as many open files as it may need, if the system lets it."""
    if sys.platform == "win32":  # which has no such limit
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class BearerToken:
    """Lets only requests through that carry ``Authorization: Bearer <token>``."""

    def __init__(self, app: ASGIApp, token: str, besides: Sequence[str] = ()) -> None:
        """Guard an application but for the paths that are ``besides``."""
        self._app = app
        self._besides = besides
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 to a request without the token."""
        is_guarded = scope["type"] == "http" and scope.get("path") not in self._besides
        if is_guarded and not self._allows(Headers(scope=scope)):
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


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one. Raises :class:`ServerError`."""
    if not host.strip():
        raise ServerError("--host is empty: is a variable of the shell not set? Give an address")
    if not _can_be_asked_for(host):
        raise ServerError(f"{shown(repr(host))} is no address: choose another --host")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
        # asyncio does this for sockets that name their protocol only; an answer in two parts would
        # wait 40 ms for the client to acknowledge the first. Connections inherit it.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]
        raise ServerError(
            f"can't listen on {bracketed(host)}:{port} ({reason}): choose another --host or --port"
        ) from error


def _can_be_asked_for(host: str) -> bool:
    try:
        host.encode("idna")  # as sockets do
    except UnicodeError:
        return False
    return "\0" not in host


def new_token() -> str:
    """Return a new token, having told the user of it on stderr."""
    token = secrets.token_urlsafe(32)
    say(f"clients must send the header Authorization: Bearer {token}")
    say("this token is new at every start; set MCP_VLSEARCH_TOKEN to keep one")
    return token


def bracketed(host: str) -> str:
    """Return an address as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def say(line: str) -> None:
    """Write a line to stderr."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
