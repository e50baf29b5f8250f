"""HTTP to an OpenAI-style endpoint: bounded, with time limits, retries and one-line errors."""

import hmac
import ipaddress
import random
import secrets
import time
import weakref
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from mcp_vlsearch.encoders.address import PROOF, proof
from mcp_vlsearch.encoders.wire import OUT_OF_MEMORY
from mcp_vlsearch.errors import (
    EncoderError,
    OutOfMemoryError,
    SettingsError,
    UnreachableError,
)

__all__ = ["CONCURRENT", "Endpoint", "Purpose", "RefusedError"]

CONCURRENT: Final = 16
"""Requests at most that are under way; the server puts those together into batches."""
_ATTEMPTS: Final = 5
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 8.0
_LONGEST_WISH: Final = 30.0
"""Seconds of a server's Retry-After that are waited at most."""
_CONNECT: Final = 5.0
_PROOF: Final = 60.0
"""Seconds for a proof, which a busy process gives between two batches."""
_ANSWER: Final = 300.0
"""Seconds: a server may have to load its model first."""
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})

pause = time.sleep


class RefusedError(EncoderError):
    """The server does not take a request as it is."""


@dataclass(frozen=True)
class Purpose:
    """What a server is asked for, and the beginning of the settings' names that say how."""

    what: str = "encoder 'remote'"
    flags: str = "--encoder"
    example: str = "http://127.0.0.1:8766"


_ENCODING: Final = Purpose()


class Endpoint:
    """One server; ``url`` with or without ``/v1``. May be used by several threads at once.

    A request that finds nobody, or a server that is busy or in trouble, is sent again up to four
    times, after pauses that double and vary. If it ``proves`` itself, it must show before every
    call that it knows the token, and is told nothing otherwise. What messages say to give instead
    depends on its ``purpose``. Raises :class:`SettingsError` for an address that is none.
    """

    def __init__(
        self,
        url: str | None,
        token: str | None,
        attempts: int = _ATTEMPTS,
        limit: float | None = _ANSWER,
        proves: bool = False,
        purpose: Purpose = _ENCODING,
    ) -> None:
        self.url = _base(url, purpose)
        self._flags = purpose.flags
        self._secret = token if proves else None
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._attempts = attempts
        self._limit = limit
        self._client = httpx2.Client(
            base_url=self.url,
            timeout=httpx2.Timeout(limit, connect=_CONNECT),
            limits=httpx2.Limits(max_connections=CONCURRENT),
            # a proxy of the environment can't reach this machine's own addresses
            trust_env=not _is_loopback(httpx2.URL(self.url).host),
        )
        weakref.finalize(self, self._client.close)
        self._pool = ThreadPoolExecutor(CONCURRENT, thread_name_prefix="remote")

    def get(self, path: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """Return the JSON at a path, None if there is none. Raises :class:`EncoderError`."""
        self._authenticate()
        response = self._send("GET", path, params=parameters, headers=self._headers)
        return None if response.status_code == 404 else self._json(response)

    def post_all(self, path: str, bodies: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Return the JSON answers to the bodies, in their order. Raises :class:`EncoderError`."""
        self._authenticate()
        return list(self._pool.map(lambda body: self._post(path, body), bodies))

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the JSON answer to one body. Raises :class:`EncoderError`."""
        self._authenticate()
        return self._post(path, body)

    def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._json(self._send("POST", path, json=body, headers=self._headers))

    def _authenticate(self) -> None:
        """Have the server prove itself: another program may have its port since it ended."""
        if self._secret is None:
            return
        nonce = secrets.token_urlsafe(16)
        response = self._send("GET", PROOF, params={"nonce": nonce}, timeout=_PROOF)
        try:
            said = str(response.json()["proof"])
        except (ValueError, KeyError, TypeError):
            said = ""
        if not hmac.compare_digest(said.encode(), proof(self.url, self._secret, nonce).encode()):
            raise UnreachableError(
                f"{self.url} is another program now: start the server there again"
            )

    def _send(self, method: str, path: str, **content: Any) -> httpx2.Response:
        for attempt in range(1, self._attempts + 1):
            wish = 0.0
            try:
                response = self._client.request(method, path, **content)
                if not _wants_again(response) or attempt == self._attempts:
                    return response
                wish = min(_retry_after(response), self._limit or _LONGEST_WISH)
            except (httpx2.ReadTimeout, httpx2.WriteTimeout) as error:
                raise UnreachableError(
                    f"{self.url} did not answer within "
                    f"{content.get('timeout', self._limit):.0f} s: is it overloaded? "
                    "Try again when it is not"
                ) from error
            except httpx2.TransportError as error:
                if attempt == self._attempts:
                    raise UnreachableError(
                        f"can't reach {self.url} ({_reason(error)}): start the server there, or "
                        f"give another {self._flags}-url"
                    ) from error
            backoff = min(_FIRST_PAUSE * 2 ** (attempt - 1), _LONGEST_PAUSE)
            pause(max(random.uniform(backoff / 2, backoff), wish))
        raise AssertionError("unreachable")

    def _json(self, response: httpx2.Response) -> Any:
        if response.status_code in (401, 403):
            variable = self._flags.strip("-").upper()
            raise UnreachableError(
                f"{self.url} refuses us ({response.status_code}): give its token by "
                f"{self._flags}-token or MCP_VLSEARCH_{variable}_TOKEN"
            )
        if response.status_code != 200:
            kind = _error_class(response)
            raise kind(f"{self.url} answered {response.status_code}: {_message(response)}")
        try:
            return response.json()
        except ValueError as error:
            raise EncoderError(
                f"{self.url} answered with something that is not JSON: check {self._flags}-url"
            ) from error


def _base(url: str | None, purpose: Purpose) -> str:
    flag = f"{purpose.flags}-url"
    if not url:
        raise SettingsError(
            f"{purpose.what} needs the address of a server: give {flag}, such as {purpose.example}"
        )
    try:
        parsed = httpx2.URL(url.strip())
    except httpx2.InvalidURL as error:
        raise SettingsError(
            f"{flag}: give an address such as http://127.0.0.1:8766 ({error}; got {url!r})"
        ) from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise SettingsError(f"{flag}: give an address of http or https (got {url!r})")
    if parsed.userinfo:  # which every message about the server would show
        raise SettingsError(
            f"{flag}: leave out the user and password, and give a token by {purpose.flags}-token"
        )
    return str(parsed).rstrip("/").removesuffix("/v1")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _wants_again(response: httpx2.Response) -> bool:
    return response.status_code in _AGAIN and response.headers.get("x-should-retry") != "false"


def _retry_after(response: httpx2.Response) -> float:
    try:
        return min(float(response.headers.get("retry-after", 0)), _LONGEST_WISH)
    except ValueError:  # a date
        return 0.0


def _error_class(response: httpx2.Response) -> type[EncoderError]:
    if response.status_code == 404:
        return UnreachableError
    if response.status_code in (400, 422):
        return RefusedError
    try:
        is_memory = response.json()["error"]["type"] == OUT_OF_MEMORY
    except (ValueError, KeyError, TypeError):
        is_memory = False
    return OutOfMemoryError if is_memory else EncoderError


def _message(response: httpx2.Response) -> str:
    """Return the server's own words on one line; OpenAI's form and vLLM's older one."""
    try:
        content = response.json()
        text = content["error"]["message"] if "error" in content else content["message"]
    except (ValueError, KeyError, TypeError):
        text = response.text
    return " ".join(str(text).split())[:300] or response.reason_phrase


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
