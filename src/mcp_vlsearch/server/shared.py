"""The process that holds the model for all servers of a user; it ends when nobody needs it.

It gets its settings as JSON on stdin, writes its address into a file that only the user can read,
and says ``ready`` on stdout, or what is wrong.
"""

import json
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from filelock import FileLock
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_vlsearch.core.encoding import EncoderSlot
from mcp_vlsearch.errors import VLSearchError
from mcp_vlsearch.leaving import leave
from mcp_vlsearch.server.encoder import encoder_app
from mcp_vlsearch.server.listening import listen, run
from mcp_vlsearch.settings import Settings

__all__ = ["UntilIdle", "main"]

_HOST: Final = "127.0.0.1"
_IDLE: Final = 600.0
"""Seconds without a request after which the process ends."""
_LOCKED: Final = 2.0
"""Seconds that a process at its end waits for one that is being started."""


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


def main() -> None:
    """Serve until idle or told to stop."""
    file = Path(sys.argv[1])
    wire = _take_stdout()
    try:
        settings = Settings.model_validate_json(sys.stdin.buffer.read())
        listening = listen(_HOST, 0)
    except (ValueError, VLSearchError) as error:
        _say(wire, " ".join(str(error).split()))
        sys.exit(1)
    with listening:
        token = secrets.token_urlsafe(32)
        slot = EncoderSlot(settings)
        slot.warm_up()
        app = UntilIdle(encoder_app(slot, settings, _HOST, token), _IDLE, _stop)
        content = {"url": f"http://{_HOST}:{listening.getsockname()[1]}", "token": token}
        _write(file, json.dumps(content))
        _say(wire, "ready")
        run(app, listening)
    _forget(file, token)
    leave()


def _write(file: Path, text: str) -> None:
    """Write a file that nobody else can read, not even while it is being written."""
    beside = file.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)
    beside.replace(file)


def _forget(file: Path, token: str) -> None:
    """Remove the file, unless another process has been started meanwhile and has written its own.

    Whoever starts one has the lock; a file that stays for that reason does no harm.
    """
    lock = FileLock(file.with_suffix("").with_suffix(".lock"), timeout=_LOCKED, mode=0o600)
    with suppress(OSError), lock:
        if token in file.read_text("utf-8"):
            file.unlink()


def _take_stdout() -> int:
    """Return a descriptor of what stdout was, and let everybody else's stdout go nowhere."""
    wire = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return wire


def _say(wire: int, line: str) -> None:
    """Say the one line that is waited for."""
    os.write(wire, line.encode() + b"\n")
    os.close(wire)


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
