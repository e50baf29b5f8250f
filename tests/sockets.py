"""Requests byte by byte, as attackers send them, and an application that remembers what it got."""

import socket
import threading
import time
from collections.abc import Callable
from typing import Final

from starlette.types import Receive, Scope, Send

PATIENCE: Final = 60
"""Seconds after which the other side is taken to hang."""


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE)


def answer(connection: socket.socket) -> bytes:
    """Return all that comes until the other side closes."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


def status_of(port: int, sent: bytes) -> int:
    with connected(port) as connection:
        connection.sendall(sent)
        return int(answer(connection).split()[1])


def get(host: str = "127.0.0.1", path: str = "/mcp", **headers: str) -> bytes:
    lines = [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(
        [f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: close", *lines, "", ""]
    ).encode()


def post(length: str, body: bytes, path: str = "/mcp") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{length}\r\n\r\n".encode() + body


class Echo:
    """Answers with the body; remembers what it was given."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        assert not message["more_body"]
        self.bodies.append(message["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": message["body"]})


def until(holds: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < limit
        threading.Event().wait(0.005)
