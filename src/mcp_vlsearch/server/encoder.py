"""The encoder as an HTTP server, so that one process holds the model for many.

It answers ``/v1/embeddings`` as OpenAI and vLLM do; what comes at the same time is encoded
together, texts before pictures that are to be indexed.
"""

import re
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio
import numpy as np
from anyio.to_thread import run_sync
from numpy.typing import NDArray
from PIL import Image
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request as HTTPRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_vlsearch.contracts import Encoder, Query
from mcp_vlsearch.core.decode import decode, open_upright
from mcp_vlsearch.core.encoding import EncoderSlot, prepared
from mcp_vlsearch.core.pillow import MAX_DECODED_PIXELS
from mcp_vlsearch.core.progress import silent
from mcp_vlsearch.encoders.wire import CARD, EXPLAIN, OUT_OF_MEMORY, finished, packed_numbers
from mcp_vlsearch.errors import (
    ImageError,
    OutOfMemoryError,
    QueryError,
    SettingsError,
    VLSearchError,
)
from mcp_vlsearch.leaving import leave
from mcp_vlsearch.server.embedding_requests import (
    Input,
    answer,
    read_explanation,
    read_request,
)
from mcp_vlsearch.server.guards import Bounded
from mcp_vlsearch.server.listening import (
    LOCAL_NAMES,
    BearerToken,
    bracketed,
    is_loopback,
    listen,
    new_token,
    run,
    say,
)
from mcp_vlsearch.server.metrics import (
    HEALTH,
    METRICS,
    EncoderNumbers,
    health,
    new_registry,
    scraped,
)
from mcp_vlsearch.settings import Settings

__all__ = ["encoder_app", "serve_encoder"]

_MAX_BODY: Final = 32 * 2**20
_HELD_BODIES: Final = 32
"""As many of the largest bodies are in memory at once."""
_BODY_SECONDS: Final = 300.0
"""From the end of a request's headers to that of its body: pictures of a library over a slow line
come many at a time."""
_AT_ONCE: Final = 32
"""Requests of pictures, and as many of texts, that are under way; more of them wait unread."""
_MAX_DIGITS: Final = len(str(MAX_DECODED_PIXELS))

Vectors = NDArray[np.float32]


def serve_encoder(settings: Settings, host: str = "127.0.0.1", port: int = 8766) -> None:
    """Serve the encoder at ``http://host:port/v1/embeddings`` until SIGINT or SIGTERM.

    Port 0 takes a free one; stderr says which. Beyond loopback a token is always asked for: that
    of the settings, or else one that is made here and printed once to stderr. Raises
    :class:`ServerError` if the address can't be used, :class:`SettingsError` for ``remote``.
    """
    if settings.encoder == "remote":  # it might be asking this very server
        raise SettingsError("a remote encoder can't be served again: give --encoder qwen3-vl")
    with listen(host, port) as listening:
        token = settings.token or (None if is_loopback(host) else new_token())
        slot = EncoderSlot(settings)
        slot.warm_up()
        port = listening.getsockname()[1]
        say(f"serving the encoder at http://{bracketed(host)}:{port}; Ctrl-C stops it")
        threading.Thread(target=_introduce, args=(slot,), name="introduce", daemon=True).start()
        run(encoder_app(slot, settings, host, token), listening)
    leave()


def _introduce(slot: EncoderSlot) -> None:
    """Say what the encoder is, or why there is none, once that is known."""
    try:
        encoder = slot.known(silent)
    except VLSearchError as error:
        say(f"error: {error}")
    else:
        say(f"encoder: {encoder.model} in {encoder.precision} on {encoder.device}")


def encoder_app(slot: EncoderSlot, settings: Settings, host: str, token: str | None) -> ASGIApp:
    """Return the web application, for requests that know the token if any."""
    service = _Service(slot, settings)
    routes = [
        Route("/v1/embeddings", _explained(service.embeddings), methods=["POST"]),
        Route("/v1/models", _explained(service.models)),
        Route(EXPLAIN, _explained(service.explain), methods=["POST"]),
        Route("/target_size", _explained(service.target_size)),
        Route("/health", _explained(service.health)),
    ]
    registry = new_registry()
    registry.register(EncoderNumbers(slot.encoded))

    async def metrics(_: HTTPRequest) -> Response:
        return await scraped(registry)

    async def healthz(_: HTTPRequest) -> Response:
        return await health(lambda: slot.state)

    routes += [
        Route(METRICS, _explained(metrics)),
        Route(HEALTH, _explained(healthz)),
    ]
    app: ASGIApp = Bounded(
        Starlette(routes=routes),
        most_bytes=lambda _: _MAX_BODY,
        held_bytes=_HELD_BODIES * _MAX_BODY,
        seconds=_BODY_SECONDS,
        refusal=_refusal,
    )
    app = BearerToken(app, token, besides=(HEALTH,)) if token else app
    return _NoPages(app, host)


class _NoPages:
    """Refuses what a browser sends for a web page: by its Origin, or under a foreign name.

    That is known before a body is: such a page could else fill the place of bodies with its own.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._names = None if host in ("", "0.0.0.0", "::") else (*LOCAL_NAMES, bracketed(host))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 to a web page, and close: what may still come of its request is not read."""
        if scope["type"] == "http" and not self._is_meant(Headers(scope=scope)):
            refusal = _error(403, "requests of web pages and for other names are refused")
            refusal.headers["connection"] = "close"
            return await refusal(scope, receive, send)
        return await self._app(scope, receive, send)

    def _is_meant(self, headers: Headers) -> bool:
        if "origin" in headers:
            return False
        name = re.sub(r":\d+$", "", headers.get("host", ""))
        return self._names is None or name in self._names


class _Service:
    """What the routes do."""

    def __init__(self, slot: EncoderSlot, settings: Settings) -> None:
        self._slot = slot
        self._settings = settings
        self._image_instruction = finished(settings.image_instruction)
        self._query_instruction = finished(settings.query_instruction)
        self._pictures = anyio.CapacityLimiter(_AT_ONCE)
        self._texts = anyio.CapacityLimiter(_AT_ONCE)

    async def embeddings(self, http: HTTPRequest) -> Response:
        """Encode what the body asks for."""
        request = read_request(await http.body())
        if request.model != self._settings.model:
            raise QueryError(
                f"there is no model {request.model!r} here: ask for {self._settings.model!r}"
            )
        inputs = request.inputs()
        has_picture = any(given.picture is not None for given in inputs)
        vectors = await run_sync(
            self._encode, inputs, limiter=self._pictures if has_picture else self._texts
        )
        if request.dimensions is not None and request.dimensions > vectors.shape[1]:
            raise QueryError(f"dimensions: vectors have {vectors.shape[1]}; ask for no more")
        # known without waiting, and the one that made the vectors: once it has encoded, it stays
        fingerprint = self._slot.known(silent).fingerprint
        return JSONResponse({**answer(request, vectors), CARD: {"fingerprint": fingerprint}})

    async def explain(self, http: HTTPRequest) -> Response:
        """Say which part of a picture matches a vector."""
        picture, vector = read_explanation(await http.body())
        heat = await run_sync(self._explain, picture, vector, limiter=self._texts)
        fingerprint = self._slot.known(silent).fingerprint
        rows, columns = heat.shape
        content = {"rows": rows, "columns": columns, "heat": packed_numbers(heat)}
        return JSONResponse({**content, CARD: {"fingerprint": fingerprint}})

    async def models(self, _: HTTPRequest) -> Response:
        """Say which model there is, and to our own client all about it, as soon as it is known."""
        encoder = await run_sync(self._slot.known, silent)
        card = {
            "model": encoder.model,
            "fingerprint": encoder.fingerprint,
            "dim": encoder.dim,
            "precision": encoder.precision,
            "device": encoder.device,
            "composes": getattr(encoder, "composes", True),
            "image_instruction": self._image_instruction,
            "query_instruction": self._query_instruction,
        }
        # an encoder may have a name of its own for what the settings ask for
        entry = {
            "id": self._settings.model,
            "object": "model",
            "owned_by": "mcp-vlsearch",
            CARD: card,
        }
        return JSONResponse({"object": "list", "data": [entry]})

    async def target_size(self, http: HTTPRequest) -> Response:
        """Say at which size the encoder looks at a picture, so that it can be sent in that."""
        encoder = await run_sync(self._slot.known, silent)
        width, height = encoder.target_size(_side(http, "width"), _side(http, "height"))
        return JSONResponse({"width": width, "height": height})

    async def health(self, _: HTTPRequest) -> Response:
        """Say where the encoder stands, and its precision if that is known; never waits for it."""
        status = self._slot.status()
        return JSONResponse({"state": status.state, "precision": status.precision})

    def _explain(self, picture: bytes, vector: Vectors) -> Vectors:
        encoder = self._slot.known(silent)
        if len(vector) > encoder.dim:
            raise QueryError(f"vector: give {encoder.dim} numbers")
        image = open_upright(picture)
        return self._slot.explain(image, vector, silent, encoder.fingerprint)

    def _encode(self, inputs: list[Input]) -> Vectors:
        encoder = self._slot.known(silent)
        if len(inputs) == 1 and self._is_indexed(inputs[0]):
            ready = prepared(encoder, _decoded(inputs[0], encoder))
            return self._slot.encode_images([ready], silent, encoder.fingerprint)
        for given in inputs:
            if given.instruction not in (None, "", self._query_instruction):
                raise QueryError(
                    f"this server encodes pictures with the instruction "
                    f"{self._image_instruction!r} and queries with {self._query_instruction!r}: "
                    "send one of these, or none"
                )
        queries = [
            Query(given.text, None if given.picture is None else _decoded(given, encoder))
            for given in inputs
        ]
        return self._slot.encode_queries(queries, silent, encoder.fingerprint)

    def _is_indexed(self, given: Input) -> bool:
        """Say whether a picture is one of a library: alone, and not with a query's instruction."""
        instructions = (None, "", self._image_instruction)
        return given.picture is not None and not given.text and given.instruction in instructions


def _decoded(given: Input, encoder: Encoder) -> Image.Image:
    assert given.picture is not None
    return decode(given.picture, encoder.target_size).image


def _side(http: HTTPRequest, name: str) -> int:
    text = http.query_params.get(name, "")
    is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    if not (is_number and 0 < int(text) <= MAX_DECODED_PIXELS):
        raise QueryError(f"{name}: give a number of pixels up to {MAX_DECODED_PIXELS}")
    return int(text)


def _explained(
    handle: Callable[[HTTPRequest], Awaitable[Response]],
) -> Callable[[HTTPRequest], Awaitable[Response]]:
    """Turn errors into OpenAI's form, one line each."""

    async def handled(http: HTTPRequest) -> Response:
        try:
            return await handle(http)
        except (QueryError, ImageError) as error:
            return _error(400, str(error))
        except (OutOfMemoryError, MemoryError) as error:
            return _error(503, str(error) or "not enough memory for this request", OUT_OF_MEMORY)
        except VLSearchError as error:
            return _error(500, str(error))
        except Exception as error:
            return _error(500, f"the encoder failed: {error!r}")

    return handled


def _refusal(status: int, line: str) -> Response:
    """Return what is answered to a request that :class:`Bounded` does not let in."""
    return _error(status, line, again=status == 503)


def _error(status: int, message: str, kind: str | None = None, *, again: bool = False) -> Response:
    kind = kind or ("invalid_request_error" if status < 500 else "server_error")
    content: dict[str, Any] = {"error": {"message": " ".join(message.split()), "type": kind}}
    # else the same request would fail again: OpenAI's clients and ours heed this header
    return JSONResponse(content, status, headers=None if again else {"x-should-retry": "false"})
