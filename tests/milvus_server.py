"""Milvus Lite as a server: a process of its own, over TCP, in the place of a cluster."""

import base64
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from milvus_lite.adapter.grpc.servicer import MilvusServicer
from milvus_lite.db import MilvusLite
from pymilvus.grpc_gen.milvus_pb2_grpc import add_MilvusServiceServicer_to_server

__all__ = ["Gate", "free_port", "gated_server", "milvus_server"]

_PATIENCE = 60.0


def free_port() -> int:
    """Return a port of this machine at which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def milvus_server(folder: Path, port: int | None = None) -> Iterator[str]:
    """Run a server over what a folder holds; give its URI."""
    port = port or free_port()
    where = ("--data-dir", str(folder), "--host", "127.0.0.1", "--port", str(port))
    process = subprocess.Popen(
        [sys.executable, "-m", "milvus_lite", "server", *where],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until_it_listens(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _wait_until_it_listens(process: "subprocess.Popen[bytes]", port: int) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("Milvus Lite's server does not start")


class Gate(grpc.ServerInterceptor):  # type: ignore[misc]  # gRPC has no types
    """Stands before a server: wants a token, and answers with what a test says, once each."""

    def __init__(self, token: str = "") -> None:
        self.answers: list[tuple[str, grpc.StatusCode]] = []
        """Methods and the errors that their next calls get."""
        self.called: list[str] = []
        self._token = base64.b64encode(token.encode()).decode()

    def intercept_service(self, go_on: Any, details: Any) -> Any:
        """Let a call in, or answer it."""
        method = details.method.rpartition("/")[2]
        self.called.append(method)
        if self._token not in ("", dict(details.invocation_metadata).get("authorization")):
            return _answer(grpc.StatusCode.UNAUTHENTICATED, "auth check failure, check the token")
        for answer in self.answers:
            if answer[0] == method:
                self.answers.remove(answer)
                return _answer(answer[1], "injected")
        return go_on(details)


def _answer(code: grpc.StatusCode, words: str) -> Any:
    def refuse(_: Any, context: Any) -> None:
        context.abort(code, words)

    return grpc.unary_unary_rpc_method_handler(refuse)


@contextmanager
def gated_server(folder: Path, gate: Gate) -> Iterator[str]:
    """Run a server in threads of this process, behind a gate; give its URI."""
    database = MilvusLite(str(folder))
    server = grpc.server(ThreadPoolExecutor(4), interceptors=[gate])
    add_MilvusServiceServicer_to_server(MilvusServicer(database), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
        database.close()
