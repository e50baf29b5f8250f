"""What an HTTP server takes from the network, over real sockets: who, how much, how slowly."""

import asyncio
import json
import signal
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_vlsearch.server import http, patience
from mcp_vlsearch.server.guards import Bounded, KnownHosts
from mcp_vlsearch.server.http import http_app
from mcp_vlsearch.server.listening import BearerToken, listen, run
from mcp_vlsearch.server.patience import PatientProtocol
from tests.sockets import Echo, answer, connected, get, post, status_of, until

from .conftest import PATIENCE, MakeLibrary

Serve = Callable[[ASGIApp], int]
LIMITS: dict[str, Any] = {
    "most_bytes": lambda _: 1000,
    "seconds": 60,
    "at_once": 100,
    "held_bytes": 10_000,
}


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that serves an application as the server does; it gives the port."""
    with ExitStack() as stack:

        def serve(app: ASGIApp) -> int:
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            config = uvicorn.Config(app, http=PatientProtocol, log_config=None, access_log=False)
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()
            stack.callback(thread.join)
            stack.callback(lambda: setattr(server, "should_exit", True))
            port: int = listening.getsockname()[1]
            return port

        yield serve


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", 200),
        ("LOCALHOST:80", 200),
        ("[::1]:8765", 200),
        ("192.168.1.5:1", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("127.0.0.1:80:evil", 421),
        ("localhost@evil.example", 421),
        ("", 421),
    ],
)
def test_only_its_own_names_are_answered_to(serve: Serve, host: str, expected: int) -> None:
    assert status_of(serve(KnownHosts(Echo(), "192.168.1.5")), get(host)) == expected


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://localhost:5173", 200),
        ("https://127.0.0.1", 200),
        ("http://evil.example", 403),
        ("http://localhost.evil.example", 403),
        ("null", 403),
        ("file://localhost", 403),
        ("localhost", 403),
    ],
)
def test_pages_of_other_sites_are_refused(serve: Serve, origin: str, expected: int) -> None:
    assert status_of(serve(KnownHosts(Echo(), "127.0.0.1")), get(Origin=origin)) == expected


def test_every_path_is_behind_names_and_token(serve: Serve, make_library: MakeLibrary) -> None:
    port = serve(http_app(make_library(), "127.0.0.1", "secret"))
    assert status_of(port, get()) == 401
    assert status_of(port, get("evil.example", Authorization="Bearer secret")) == 421


def test_who_may_not_ask_is_told_before_a_body_has_come(
    serve: Serve, make_library: MakeLibrary
) -> None:
    port = serve(http_app(make_library(), "127.0.0.1", "secret"))
    assert status_of(port, post("Content-Length: 100", b"{")) == 401


def test_a_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    import hmac

    compared: list[tuple[bytes, bytes]] = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return False

    monkeypatch.setattr(hmac, "compare_digest", compare)

    async def receive() -> dict[str, Any]:
        return {}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "headers": [(b"authorization", b"Bearer s")]}
    asyncio.run(BearerToken(Echo(), "secret")(scope, receive, send))
    assert compared == [(b"s", b"secret")]
    assert sent[0]["status"] == 401


def test_a_body_within_bounds_arrives_whole(serve: Serve) -> None:
    echo = Echo()
    port = serve(Bounded(echo, **LIMITS))
    body = bytes(range(256)) * 3
    with connected(port) as connection:
        connection.sendall(post(f"Content-Length: {len(body)}\r\nConnection: close", body[:5]))
        connection.sendall(body[5:])
        assert body in answer(connection)
    assert echo.bodies == [body]


def test_a_body_that_is_told_to_be_too_large_is_refused_unread(serve: Serve) -> None:
    echo = Echo()
    assert status_of(serve(Bounded(echo, **LIMITS)), post("Content-Length: 1001", b"")) == 413
    assert echo.bodies == []


def test_a_body_in_chunks_is_refused_as_soon_as_it_is_too_large(serve: Serve) -> None:
    echo = Echo()
    chunk = b"1F4\r\n" + bytes(500) + b"\r\n"  # and no last one
    sent = post("Transfer-Encoding: chunked", 3 * chunk)
    assert status_of(serve(Bounded(echo, **LIMITS)), sent) == 413
    assert echo.bodies == []


def test_bodies_that_wait_together_are_bounded(serve: Serve) -> None:
    bounded = Bounded(Echo(), **{**LIMITS, "held_bytes": 1200})
    port = serve(bounded)
    with connected(port) as slow:
        slow.sendall(post("Content-Length: 1000", bytes(900)))
        until(lambda: bounded._held == 900)
        assert status_of(port, post("Content-Length: 400", bytes(400))) == 503
    until(lambda: bounded._held == 0)
    assert status_of(port, post("Content-Length: 400\r\nConnection: close", bytes(400))) == 200


def test_a_body_is_in_memory_once_while_it_is_answered() -> None:
    size, part = 2**23, 2**16
    seen: list[int] = []

    async def app(_: Scope, receive: Receive, __: Send) -> None:
        message = await receive()
        seen.extend([len(message["body"]), bounded._held, *tracemalloc.get_traced_memory()])

    bounded = Bounded(app, most_bytes=lambda _: size, held_bytes=size)
    tracemalloc.start()
    try:
        statuses_of(bounded, in_parts(*[part] * (size // part)))
    finally:
        tracemalloc.stop()
    length, held, now, peak = seen
    assert (length, held) == (size, size), "counted as long as it may be in use"
    assert now <= peak < 1.5 * size


async def gone() -> Message:
    return {"type": "http.disconnect"}


async def stalled() -> Message:
    await asyncio.Event().wait()
    raise AssertionError("nothing sets it")


async def failing(_: Scope, receive: Receive, __: Send) -> None:
    await receive()
    raise ValueError("broken")


@pytest.mark.parametrize(
    ("app", "sizes", "then", "expected"),
    [
        (Echo(), [300, 300], None, [200]),
        (Echo(), [300, 300, 900], None, [413]),
        (Echo(), [300, 300, 300], None, [503]),
        (Echo(), [300], stalled, [408]),
        (Echo(), [300], gone, []),
        (failing, [300, 300], None, []),
    ],
    ids=["answered", "too large", "no room", "too slow", "gone", "failed"],
)
def test_no_request_leaves_its_body_counted(
    app: ASGIApp, sizes: list[int], then: Receive | None, expected: list[int]
) -> None:
    bounded = Bounded(app, **{**LIMITS, "held_bytes": 800, "seconds": 0.02})
    assert statuses_of(bounded, in_parts(*sizes, then=then)) == expected
    assert (bounded._held, bounded.under_way) == (0, 0)


def in_parts(*sizes: int, then: Receive | None = None) -> Receive:
    """Return a ``receive`` that gives a body in parts, made when they are asked for.

    With ``then`` the body does not end, and that comes after the parts.
    """
    left = list(sizes)

    async def receive() -> Message:
        if not left and then is not None:
            return await then()
        body = bytes(left.pop(0))
        return {"type": "http.request", "body": body, "more_body": bool(left) or then is not None}

    return receive


def statuses_of(app: ASGIApp, receive: Receive) -> list[int]:
    """Return the statuses that an application answers with; none if it fails."""
    statuses: list[int] = []

    async def send(message: Message) -> None:
        statuses.extend([message["status"]] if "status" in message else [])

    with suppress(ValueError):
        asyncio.run(app({"type": "http", "headers": []}, receive, send))  # type: ignore[arg-type]
    return statuses


def test_requests_beyond_the_bound_are_told_to_come_again(serve: Serve) -> None:
    bounded = Bounded(Echo(), **{**LIMITS, "at_once": 1})
    port = serve(bounded)
    with connected(port) as first:
        first.sendall(post("Content-Length: 10", b""))
        until(lambda: bounded.under_way == 1)
        with connected(port) as second:
            second.sendall(get())
            refusal = answer(second)
    assert b" 503 " in refusal
    assert b"retry-after: 1" in refusal
    until(lambda: bounded.under_way == 0)
    assert status_of(port, get()) == 200


def test_a_body_that_comes_too_slowly_is_given_up(serve: Serve) -> None:
    echo = Echo()
    port = serve(Bounded(echo, **{**LIMITS, "seconds": 0.05}))
    assert status_of(port, post("Content-Length: 10", b"12345")) == 408
    assert echo.bodies == []


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HTTP/1.1\r\nHost: local", b"GET / HTTP/1.1\r\n" + 40 * b"a: b\r\n"]
)
def test_headers_that_do_not_end_end_the_connection(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(patience, "HEAD_SECONDS", 0.05)
    with connected(serve(Echo())) as connection:
        connection.sendall(sent)
        assert ended(connection)


def test_a_byte_now_and_then_does_not_keep_a_connection_open(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "HEAD_SECONDS", 0.2)
    with connected(serve(Echo())) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.settimeout(0.02)
        began = time.monotonic()
        while is_open(connection):
            assert time.monotonic() - began < PATIENCE


def test_a_client_that_stops_reading_is_cut_off(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "STALL_SECONDS", 0.05)
    over = threading.Event()

    async def endless(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})

        async def pour() -> None:
            while True:
                chunk = {"type": "http.response.body", "body": bytes(2**20), "more_body": True}
                await send(chunk)
                await asyncio.sleep(0)

        pouring = asyncio.create_task(pour())
        assert (await receive())["type"] == "http.disconnect"
        pouring.cancel()
        over.set()

    with connected(serve(endless)) as connection:
        connection.sendall(get())
        assert over.wait(PATIENCE)


def test_a_server_is_bounded_by_what_the_tools_take(
    serve: Serve, make_library: MakeLibrary
) -> None:
    port = serve(http_app(make_library(), "127.0.0.1", None))
    assert status_of(port, post(f"Content-Length: {http._MAX_BODY + 1}", b"")) == 413
    message = json.dumps({"jsonrpc": "2.0"}).encode()
    assert (
        status_of(port, post(f"Content-Length: {len(message)}\r\nConnection: close", message)) < 500
    )


def ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def is_open(connection: socket.socket) -> bool:
    """Send a byte and say, after a moment, whether the other side still listens."""
    try:
        connection.sendall(b"G")
        return connection.recv(1) != b""
    except TimeoutError:
        return True
    except OSError:
        return False


def test_answers_do_not_wait_for_their_first_part_to_be_acknowledged() -> None:
    with (
        listen("127.0.0.1", 0) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_connection_is_kept_longer_than_clients_keep_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[uvicorn.Config] = []

    class Server:
        def __init__(self, config: uvicorn.Config) -> None:
            seen.append(config)

        def run(self, sockets: list[socket.socket]) -> None:
            assert sockets

    monkeypatch.setattr(uvicorn, "Server", Server)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with listen("127.0.0.1", 0) as listening:
        run(Starlette(), listening)
    expiry = httpx2.Limits().keepalive_expiry
    assert expiry is not None
    assert seen[0].timeout_keep_alive > 2 * expiry
