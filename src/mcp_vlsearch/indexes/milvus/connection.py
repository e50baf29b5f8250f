"""The way to a Milvus: made at first use, within time limits, with errors in one line."""

import logging
import re
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import grpc
from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

from mcp_vlsearch.errors import (
    LibraryBusyError,
    LibraryError,
    MissingExtraError,
    SettingsError,
    VLSearchError,
)
from mcp_vlsearch.settings import Settings

__all__ = ["NOTHING_THERE", "AbsentError", "Connection"]

NOTHING_THERE: Final = (
    "the library is read-only, and nothing of it is in Milvus yet: search once without "
    "MCP_VLSEARCH_READ_ONLY, which puts it there"
)

LITE: Final = "milvus.db"
"""Folder of Milvus Lite in the library."""

_ATTEMPTS: Final = 4
_FIRST_PAUSE: Final = 0.25
_CONNECTING: Final = 10.0
_ANSWER: Final = 30.0
"""Seconds for a call; so long pymilvus sends it again, too, while the server is away."""
_WRITING: Final = {"upsert": 120.0, "flush": 120.0, "load_collection": 300.0}
_OLDEST: Final = (2, 4)
_ABSENT: Final = frozenset({100, 101, 200})
"""Codes for a collection that is not there or not loaded, and for a partition."""
_REFUSED: Final = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_QUIET: Final = {
    "grpc.keepalive_permit_without_calls": False,
    "grpc.keepalive_time_ms": 60_000,
}
"""Fewer pings, which other machines need and Milvus Lite takes for an attack."""

# What goes wrong is told once, in our words; theirs are tracebacks on stderr.
for _name in ("pymilvus", "milvus_lite", "grpc._server"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

pause = time.sleep

_users: Final[Counter[str]] = Counter()
"""How many connections of this process use a file: Milvus Lite runs once for all."""
_using: Final = threading.Lock()


class AbsentError(LibraryError):
    """The collection or partition is not there, or not loaded."""


class Connection:
    """Milvus Lite in a library's folder or, where ``milvus_uri`` is set, a server.

    May be used by several threads at once. Raises :class:`SettingsError` for a URI that is none.
    """

    def __init__(self, settings: Settings) -> None:
        self._uri = _checked(settings.milvus_uri)
        self._file = settings.library.absolute() / LITE
        self._token = settings.milvus_token or ""
        self._read_only = settings.read_only
        self._shown = _shown(self._uri) if self._uri else str(self._file)
        self._client: MilvusClient | None = None
        self._connecting = threading.Lock()
        self.is_lite = self._uri is None
        """Whether it is Milvus Lite, in this process or as a server, once it is connected to."""

    def call(self, method: str, **arguments: Any) -> Any:
        """Call a method of pymilvus's client, and again with growing pauses where that may help.

        Raises :class:`AbsentError`, :class:`LibraryBusyError` if another process has the file open,
        :class:`SettingsError` if the token is refused, and :class:`LibraryError`.
        """
        client = self.client()
        try:
            return getattr(client, method)(timeout=_WRITING.get(method, _ANSWER), **arguments)
        except (MilvusException, grpc.RpcError) as error:
            raise self._explained(error, method) from error

    def client(self) -> MilvusClient:
        """Return pymilvus's client, connected."""
        with self._connecting:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def close(self) -> None:
        """Let go of the connection, and of the file if nobody else here uses it."""
        with self._connecting:
            client, self._client = self._client, None
            if client is None:
                return
            client.close()
            if self._uri is None:
                _let_go(self._file)

    def _connect(self) -> MilvusClient:
        if self._uri is None:
            return self._open()
        for attempt in range(_ATTEMPTS):
            if attempt:
                pause(_FIRST_PAUSE * 2**attempt)
            try:
                client = MilvusClient(
                    self._uri, token=self._token, timeout=_CONNECTING, **_options(self._uri)
                )
                self._look_at(client)
                return client
            except (MilvusException, grpc.RpcError) as error:
                explained = self._explained(error, "connect")
                if isinstance(explained, SettingsError):
                    raise explained from error
                last, cause = explained, error
        raise last from cause

    def _look_at(self, client: MilvusClient) -> None:
        version = str(client.get_server_version(timeout=_ANSWER))
        self.is_lite = "lite" in version.lower()
        numbers = tuple(map(int, re.findall(r"\d+", version)[:2]))
        if numbers < _OLDEST:
            wanted = ".".join(map(str, _OLDEST))
            raise LibraryError(
                f"{self._shown} is Milvus {version}: upgrade it to {wanted} or newer"
            )

    def _open(self) -> MilvusClient:
        if self._read_only and not self._file.exists():
            raise LibraryError(NOTHING_THERE)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with _using:
            try:
                client = MilvusClient(str(self._file), grpc_options=_QUIET)
            except MilvusException as error:
                raise _why_it_does_not_open(self._file) from error
            _users[str(self._file)] += 1
        return client

    def _explained(self, error: Any, method: str) -> VLSearchError:
        """Return what to raise in place of what pymilvus or gRPC raised."""
        if isinstance(error.__cause__, grpc.RpcError):
            error = error.__cause__  # pymilvus does not pass on why it can't connect
        is_rpc = isinstance(error, grpc.RpcError)
        code, said = (error.code(), error.details()) if is_rpc else (error.code, error.message)
        reason = " ".join(str(said or code).split())[:200]
        if code in _ABSENT:
            return AbsentError(f"{self._shown}: {reason}")
        if code in _REFUSED or "auth check failure" in reason:
            return SettingsError(
                f"Milvus at {self._shown} refuses us: give its token by --milvus-token or "
                "MCP_VLSEARCH_MILVUS_TOKEN"
            )
        if code == grpc.StatusCode.DEADLINE_EXCEEDED:
            return LibraryError(
                f"Milvus at {self._shown} did not answer in time: is it overloaded? Try again "
                "when it is not"
            )
        if method == "connect" or code == grpc.StatusCode.UNAVAILABLE:
            return LibraryError(
                f"can't reach Milvus at {self._shown} ({reason}): start the server there, or give "
                "another --milvus-uri"
            )
        return LibraryError(
            f"Milvus at {self._shown} fails to {method}: {reason}; look into its log"
        )


def _checked(uri: str | None) -> str | None:
    if not uri:
        return None
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https", "tcp") or not parts.hostname:
        raise SettingsError(
            "--milvus-uri: give the address of a server, such as http://127.0.0.1:19530 (got "
            f"{_shown(uri)!r})"
        )
    return uri


def _options(uri: str) -> dict[str, Any]:
    return {"grpc_options": _QUIET} if urlsplit(uri).hostname in _LOOPBACK else {}


def _shown(uri: str) -> str:
    """Return a URI without a name and password in it."""
    return re.sub(r"//[^/]*@", "//", uri)


def _let_go(file: Path) -> None:
    from milvus_lite.server_manager import server_manager_instance

    with _using:
        _users[str(file)] -= 1
        if not _users[str(file)]:
            server_manager_instance.release_server(str(file))


def _why_it_does_not_open(file: Path) -> VLSearchError:
    """Open the file as pymilvus did, for it does not tell why it could not."""
    try:
        from milvus_lite.db import MilvusLite
        from milvus_lite.exceptions import DataDirLockedError
    except ImportError as error:
        return MissingExtraError(
            f"index 'milvus' needs the package {error.name!r}: pip install 'mcp-vlsearch[milvus]'"
        )
    try:
        MilvusLite(str(file)).close()
    except DataDirLockedError:
        return LibraryBusyError(
            f"{file} is open in another process, and Milvus Lite lets one in at a time: stop that "
            f"one, or run `milvus-lite server --data-dir {file} --host 127.0.0.1` and give all "
            "--milvus-uri http://127.0.0.1:19530"
        )
    except Exception as error:  # whatever Milvus Lite finds wrong with its files
        reason = " ".join(str(error).split()) or type(error).__name__
        return LibraryError(
            f"{file} can't be opened ({reason}): make it writable, or delete it and search again"
        )
    return LibraryBusyError(f"{file} was open in another process: try again")
