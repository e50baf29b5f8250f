"""What stands between the network and an application: names, sizes, times and numbers are bounded.

Plain ASGI, for any server of ours. Who may come in is up to
:class:`mcp_vlsearch.server.listening.BearerToken`.
"""

from collections.abc import Callable
from io import BytesIO
from typing import Final

import anyio
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_vlsearch.server.listening import LOCAL_NAMES, bracketed

__all__ = ["AT_ONCE", "BODY_SECONDS", "Bounded", "KnownHosts", "replayed"]

BODY_SECONDS: Final = 60.0
"""What a server gives a client, from the end of a request's headers to that of its body."""
AT_ONCE: Final = 2_000
"""Requests under way in a server, those that wait for their turn and open event streams too."""
_ALL_ADDRESSES: Final = ("", "0.0.0.0", "::")


def _plain(status: int, line: str) -> Response:
    return PlainTextResponse(line + "\n", status)


class KnownHosts:
    """Refuses foreign Host and Origin headers, by which a web page could reach a local server.

    A server on all addresses has names that it can't know; there the token keeps web pages out.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._is_open = host in _ALL_ADDRESSES
        self._names = {name.lower() for name in (*LOCAL_NAMES, bracketed(host))}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 421 for a foreign Host, 403 for a foreign Origin."""
        if scope["type"] == "http" and not self._is_open:
            headers = Headers(scope=scope)
            hosts, origins = headers.getlist("host"), headers.getlist("origin")
            if len(hosts) != 1 or not self._knows(hosts[0]):
                foreign = _plain(421, "this server is not known by that name")
                return await _refuse(foreign, scope, send)
            if not all(self._knows_origin(origin) for origin in origins):
                page = _plain(403, "pages of other sites may not ask here")
                return await _refuse(page, scope, send)
        return await self._app(scope, receive, send)

    def _knows_origin(self, origin: str) -> bool:
        scheme, separator, host = origin.partition("://")
        return bool(separator) and scheme in ("http", "https") and self._knows(host)

    def _knows(self, host: str) -> bool:
        name, colon, port = host.rpartition(":")
        if not colon or port.endswith("]"):  # none, or one inside an IPv6 address
            name = host
        elif not port.isdecimal():
            return False
        return name.lower() in self._names


class Bounded:
    """Bounds what requests may cost before anybody has looked at them.

    A body has at most ``most_bytes`` of what is asked for (413, told before more is read) and comes
    within ``seconds`` (408). At most ``at_once`` requests are under way, and hold at most
    ``held_bytes`` of bodies together (503, to be sent again). The application gets each body whole.
    ``refusal`` makes the answer to what is refused, of the status and a line that says why.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        most_bytes: Callable[[Scope], int],
        held_bytes: int,
        seconds: float = BODY_SECONDS,
        at_once: int = AT_ONCE,
        refusal: Callable[[int, str], Response] = _plain,
    ) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self._seconds = seconds
        self._at_once = at_once
        self._refusal = refusal
        self._held_bytes = held_bytes
        self._held = 0
        self.under_way = 0
        """Requests that are not answered yet."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by the application, or refuse."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if self.under_way >= self._at_once:
            return await self._refuse(503, "too many requests at once: send it again", scope, send)
        body = _Body()
        self.under_way += 1
        try:
            return await self._serve(scope, receive, send, body)
        finally:
            self.under_way -= 1
            self._held -= body.length

    async def _serve(self, scope: Scope, receive: Receive, send: Send, body: "_Body") -> None:
        most = self._most_bytes(scope)
        too_large = f"the body is larger than {most} bytes: send less"
        if _told_length(scope) > most:
            return await self._refuse(413, too_large, scope, send)
        with anyio.move_on_after(self._seconds) as limit:
            status = await self._read(receive, body, most)
        if limit.cancelled_caught:
            too_slow = f"the body took more than {self._seconds:g} s: send less at a time"
            return await self._refuse(408, too_slow, scope, send)
        if status == 413:
            return await self._refuse(413, too_large, scope, send)
        if status == 503:
            return await self._refuse(503, "too many large requests: send it again", scope, send)
        if status is None:  # the client has gone
            return None
        return await self._app(scope, replayed(body.take(), receive), send)

    async def _read(self, receive: Receive, body: "_Body", most: int) -> int | None:
        """Read a body; return 200, 413 or 503, or None if the client went away."""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            chunk: bytes = message.get("body", b"")
            if body.length + len(chunk) > most:
                return 413
            if self._held + len(chunk) > self._held_bytes:
                return 503
            self._held += len(chunk)
            body.add(chunk)
            if not message.get("more_body", False):
                return 200

    async def _refuse(self, status: int, line: str, scope: Scope, send: Send) -> None:
        response = self._refusal(status, line)
        if status == 503:
            response.headers["retry-after"] = "1"
        await _refuse(response, scope, send)


class _Body:
    """What has come of a body. Its length stays known after its bytes were handed on."""

    def __init__(self) -> None:
        self.length = 0
        self._come = BytesIO()

    def add(self, chunk: bytes) -> None:
        self._come.write(chunk)
        self.length += len(chunk)

    def take(self) -> bytes:
        """Return the bytes, which are not copied for that, and keep none."""
        come, self._come = self._come, BytesIO()
        return come.getvalue()


def _told_length(scope: Scope) -> int:
    told = Headers(scope=scope).get("content-length", "0")
    return int(told) if told.isdecimal() else 0


def replayed(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that gives a body that was read, and then what comes after it."""
    waiting: list[Message] = [
        {"type": "http.request", "body": body, "more_body": False},
    ]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


async def _refuse(response: Response, scope: Scope, send: Send) -> None:
    """Answer, and close: what may still come of the request is not read."""
    response.headers["connection"] = "close"
    await response(scope, _nothing, send)


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
