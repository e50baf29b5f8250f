"""What stands between the network and Gradio: only our own page, for those who may see it."""

import hashlib
import hmac
import json
import os
import re
import secrets
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_vlsearch.core.picture import MAX_BASE64
from mcp_vlsearch.server.guards import Bounded, replayed
from mcp_vlsearch.server.listening import LOCAL_NAMES, bracketed

__all__ = ["MAX_UPLOAD", "Fence", "new_token"]

MAX_UPLOAD: Final = MAX_BASE64 // 4 * 3
"""Bytes of an uploaded picture at most: 48 MiB, as the tools take."""
_MAX_FORM: Final = MAX_UPLOAD + 2**16
_MAX_CALL: Final = 2**20
"""Bytes of any other request's body."""
_HELD_BYTES: Final = 4 * _MAX_FORM
"""Bodies of requests under way, together."""

_UPLOAD: Final = "/gradio_api/upload"
_PAGE: Final = "/"
_ROUTES: Final = re.compile(
    r"/|/config/?|/theme\.css|/favicon\.ico|/manifest\.json|/robots\.txt"
    r"|/(?:assets|static)/.*"
    r"|/gradio_api/(?:queue/(?:join|data)|upload|upload_progress|cancel|reset|startup-events"
    r"|heartbeat/\w+|file=.*)"
)
"""All that our page asks for; of Gradio's other routes it needs none."""
_SOCIAL: Final = re.compile(rb'<meta\s+(?:property|name)="(?:og|twitter):[^>]*>\s*')
"""What tells other sites of Gradio's own: neither the page nor its title is theirs."""

_HEADERS: Final = {
    # Gradio's page has scripts inside, and its HTML component makes a function of its script.
    "content-security-policy": "default-src 'self'; script-src 'self' 'unsafe-inline' "
    "'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",  # the address may hold the token
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


def new_token() -> str:
    """Return a new token that can't be guessed."""
    return secrets.token_urlsafe(32)


class Fence:
    """Lets only requests for our page through, and of them only those that may be made.

    Foreign Host and Origin headers are refused, by which a web page elsewhere could reach a server
    on this machine. With a token, a request must carry it: as bearer, as the cookie that the page's
    first visit gets, or once in the page's address. Then it is bounded in size, time and number,
    and names no file but those in ``cache``, where Gradio keeps what was uploaded.
    """

    def __init__(self, app: ASGIApp, host: str, token: str | None, cache: Path) -> None:
        self._app = app
        # Only those who may ask are given time and memory, so nobody else can take them away.
        self._bounded = Bounded(self._checked, most_bytes=_most_bytes, held_bytes=_HELD_BYTES)
        self._token = token
        self._cache = os.path.realpath(cache)
        is_open = host in ("", "0.0.0.0", "::")  # its names can't be known; the token keeps it
        self._hosts = None if is_open and token else {*LOCAL_NAMES, bracketed(host).lower()}
        self._session = secrets.token_urlsafe(32)
        # Cookies don't know ports: two servers on one machine must not share a name.
        self._cookie = f"mcp-vlsearch-{hashlib.sha256(self._session.encode()).hexdigest()[:8]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by the application, or refuse."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        send = _with_headers(send)
        answer = self._answer(scope)
        if answer is not None:
            await answer(scope, receive, send)
        else:
            await self._bounded(scope, receive, send)

    def _answer(self, scope: Scope) -> Response | None:
        """Return what is answered at once, if it is not the application's to answer."""
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        if self._hosts is not None and self._hosts.isdisjoint({host, host.rpartition(":")[0]}):
            return _refusal(421, "unknown host: open the address that the server printed")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host:
            return _refusal(403, "another site asked for this: open the page itself")
        if self._token is not None and not self._knows(headers):
            return self._first_visit(scope)
        if not _ROUTES.fullmatch(scope["path"]):
            return _refusal(404, "there is nothing here: open the page itself")
        return None

    def _knows(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(given.strip(), self._token or ""):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return False
        return cookie is not None and _same(cookie.value, self._session)

    def _first_visit(self, scope: Scope) -> Response:
        """Give who knows the token a cookie in its place, and the address without it.

        Not by a redirect: after a click elsewhere, browsers send no strict cookie along with that.
        """
        query = parse_qs(scope["query_string"].decode("latin-1"))
        (given,) = query.get("token", [""])[:1]
        if scope["path"] != _PAGE or not _same(given, self._token or ""):
            refusal = _refusal(
                401,
                "a token is needed: open the address with ?token=… that the server printed, or "
                "send it as a bearer token",
            )
            refusal.headers["www-authenticate"] = "Bearer"
            return refusal
        page = HTMLResponse('<meta http-equiv="refresh" content="0;url=/"><title>…</title>')
        page.set_cookie(self._cookie, self._session, httponly=True, samesite="strict")
        page.headers["cache-control"] = "no-store"
        return page

    async def _checked(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on that has come whole; a call of the page is looked through first."""
        if scope["path"] == _PAGE:
            await self._app(scope, receive, _cleaned(send))
            return
        if scope["method"] == "POST" and scope["path"] != _UPLOAD:
            body = (await receive())["body"]
            if self._names_other_files(body):
                refusal = _refusal(403, "files of this machine are not opened: upload the picture")
                await refusal(scope, receive, send)
                return
            receive = replayed(body, receive)
        await self._app(scope, receive, send)

    def _names_other_files(self, body: bytes) -> bool:
        """Say whether a call names a file that was not uploaded: Gradio would copy it here."""
        try:
            rest: list[Any] = [json.loads(body or b"null")]
        except (ValueError, RecursionError):
            return True
        while rest:
            match rest.pop():
                case dict(fields):
                    if "path" in fields and not self._is_uploaded(fields["path"]):
                        return True
                    rest += fields.values()
                case list(items):
                    rest += items
        return False

    def _is_uploaded(self, path: object) -> bool:
        if path is None:
            return True
        if not isinstance(path, str) or "\0" in path:
            return False
        return os.path.realpath(path).startswith(self._cache + os.sep)


def _most_bytes(scope: Scope) -> int:
    return _MAX_FORM if scope["path"] == _UPLOAD else _MAX_CALL


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _refusal(status: int, text: str) -> PlainTextResponse:
    return PlainTextResponse(text + "\n", status_code=status)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
        await send(message)

    return sending


def _cleaned(send: Send) -> Send:
    """Return what sends an HTML page without what Gradio says of itself to other sites."""
    start: list[Message] = []
    page = bytearray()

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.append(message)
            return
        page.extend(message.get("body", b""))
        if message.get("more_body"):
            return
        body = _SOCIAL.sub(b"", bytes(page))
        headers = MutableHeaders(scope=start[0])
        headers["content-length"] = str(len(body))
        headers["cache-control"] = "no-store"
        await send(start[0])
        await send({"type": "http.response.body", "body": body})

    return sending
