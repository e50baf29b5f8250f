"""The process that holds the model for all servers of a user; it ends when nobody needs it.

It gets its settings as JSON on stdin, takes the lock of its place for life, writes its address into
a file that only the user can read, and says ``ready`` on stdout, or what is wrong.
"""

import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_vlsearch.contracts import Encoder
from mcp_vlsearch.core.encoding import EncoderSlot
from mcp_vlsearch.encoders.address import PROOF, Address, Place, proof
from mcp_vlsearch.errors import VLSearchError
from mcp_vlsearch.leaving import leave
from mcp_vlsearch.plugins import resolve
from mcp_vlsearch.server.encoder import encoder_app
from mcp_vlsearch.server.listening import listen, run
from mcp_vlsearch.settings import Settings

__all__ = ["Notice", "Proving", "UntilIdle", "main"]

_HOST: Final = "127.0.0.1"
_IDLE: Final = 600.0
"""Seconds without a request after which the process ends."""
_LOCKED: Final = 10.0
"""Seconds that the lock is waited for: one that looks whether it is free has it for a moment."""


class UntilIdle:
    """An application that calls ``end`` once no request has come for so many seconds."""

    def __init__(self, app: ASGIApp, seconds: float, end: Callable[[], None]) -> None:
        self._app = app
        self._seconds = seconds
        self._end = end
        self._running = 0
        self._timer: threading.Timer | None = None
        self._wait()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and begin to wait anew when no other request is under way."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._running += 1
        if self._timer:
            self._timer.cancel()
        try:
            await self._app(scope, receive, send)
        finally:
            self._running -= 1
            if not self._running:
                self._wait()

    def _wait(self) -> None:
        self._timer = threading.Timer(self._seconds, self._end)
        self._timer.daemon = True
        self._timer.start()


class Proving:
    """An application that proves to everybody that it knows the secret; the rest is the app's.

    So clients need not tell it to whoever has the port of a process that has ended.
    """

    def __init__(self, app: ASGIApp, url: str, secret: str) -> None:
        self._app = app
        self._url = url
        self._secret = secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a nonce with its proof."""
        if scope["type"] == "http" and scope["path"] == PROOF:
            nonce = QueryParams(scope["query_string"]).get("nonce", "")
            answer = JSONResponse({"proof": proof(self._url, self._secret, nonce)})
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class Notice:
    """Tells at its place where this process is, until it is withdrawn."""

    def __init__(self, place: Place, url: str, secret: str) -> None:
        self._place = place
        self._url = url
        self._secret = secret
        self._turn = threading.Lock()
        self._withdrawn = False

    def tell(self, precision: str) -> None:
        """Say in which precision the model is; ``auto`` until that is known."""
        with self._turn:
            if not self._withdrawn:
                self._place.tell(Address(self._url, self._secret, precision))

    def withdraw(self) -> None:
        """Let nobody new find this process: it is about to end."""
        with self._turn:
            self._withdrawn = True
            self._place.forget()


def main() -> None:
    """Serve until idle or told to stop.

    Who finds the process gone waits for its lock, which is freed by its end: so it takes its
    address back first, then answers what has come, and holds the lock to the last.
    """
    place = Place(Path(sys.argv[1]))
    wire = _take_stdout()
    lock = place.lock()  # referred to until the end: it is released with its object
    try:
        settings = Settings.model_validate_json(sys.stdin.buffer.read())
        lock.acquire(timeout=_LOCKED)
        place.forget()  # what another one has left that was killed
        listening = listen(_HOST, 0)
        url, secret = f"http://{_HOST}:{listening.getsockname()[1]}", secrets.token_urlsafe(32)
        notice = Notice(place, url, secret)
        notice.tell(settings.precision)
    except (ValueError, OSError, VLSearchError) as error:
        _say(wire, " ".join(str(error).split()))
        sys.exit(1)
    with listening:
        slot = EncoderSlot(settings, lambda given: _made(given, notice))
        slot.warm_up()
        app = Proving(encoder_app(slot, settings, _HOST, secret), url, secret)
        _say(wire, "ready")
        run(UntilIdle(app, _IDLE, lambda: _end(notice)), listening)
    notice.withdraw()
    leave()


def _made(settings: Settings, notice: Notice) -> Encoder:
    """Make the encoder; its precision is told before anybody can know it from the encoder."""
    encoder: Encoder = resolve("encoders", settings.encoder)(settings)
    with suppress(OSError):  # a full disk: whoever asks for that precision starts its own process
        notice.tell(encoder.precision)
    return encoder


def _end(notice: Notice) -> None:
    notice.withdraw()
    os.kill(os.getpid(), signal.SIGTERM)


def _take_stdout() -> int:
    """Return a descriptor of what stdout was, and let everybody else's stdout go nowhere."""
    wire = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return wire


def _say(wire: int, line: str) -> None:
    """Say the one line that is waited for, unless who waited has gone."""
    with suppress(OSError):
        os.write(wire, line.encode() + b"\n")
    os.close(wire)


if __name__ == "__main__":
    main()
