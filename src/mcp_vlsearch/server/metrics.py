"""Numbers of a server for Prometheus at ``/metrics``, and at ``/healthz`` whether it can serve."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from anyio.to_thread import run_sync
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_vlsearch.core.encoding import Encoded
from mcp_vlsearch.errors import VLSearchError
from mcp_vlsearch.server.calls import Outcome
from mcp_vlsearch.tools.threads import Threads
from mcp_vlsearch.types import EncoderState, LibraryStatus

__all__ = [
    "HEALTH",
    "METRICS",
    "CallMetrics",
    "EncoderNumbers",
    "LibraryNumbers",
    "Numbered",
    "health",
    "new_registry",
    "scraped",
]

METRICS: Final = "/metrics"
HEALTH: Final = "/healthz"

_THREADS: Final = Threads("numbers", 2)
"""Of its own: calls that wait may take all of theirs."""
_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60)


def new_registry() -> CollectorRegistry:
    """Return a registry of one server's own, with the figures of its process."""
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    return registry


class CallMetrics:
    """Counts the calls of tools."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "vlsearch_calls", "Calls that have ended.", ["tool", "outcome"], registry=registry
        )
        self._seconds = Histogram(
            "vlsearch_call_seconds",
            "How long calls took.",
            ["tool"],
            registry=registry,
            buckets=_BUCKETS,
        )
        self._running = Gauge("vlsearch_calls_running", "Calls under way.", registry=registry)

    def began(self) -> None:
        """Take note of a call."""
        self._running.inc()

    def ended(self, tool: str, outcome: Outcome, seconds: float) -> None:
        """Take note of its end."""
        self._running.dec()
        self._calls.labels(tool, outcome).inc()
        self._seconds.labels(tool).observe(seconds)


class LibraryNumbers(Collector):
    """Tells what a library holds, at the moment when it is asked."""

    def __init__(self, status: Callable[[], LibraryStatus]) -> None:
        self._status = status

    def collect(self) -> Iterable[Metric]:
        """Return the figures; without a library that can be read, only that it can't be."""
        try:
            status = self._status()
        except VLSearchError:
            yield _gauge("vlsearch_library_readable", "1 if the library can be read.", 0)
            return
        yield _gauge("vlsearch_library_readable", "1 if the library can be read.", 1)
        yield _gauge("vlsearch_images", "Images of the library.", status.images)
        yield _gauge("vlsearch_files", "Files of the library.", status.files)
        yield _gauge("vlsearch_failed_files", "Files that could not be read.", status.failed)
        yield _gauge("vlsearch_index_rows", "Vectors that are searched.", status.index.vectors)
        yield _gauge("vlsearch_database_bytes", "Size of the database.", status.database_bytes)


class EncoderNumbers(Collector):
    """Tells what an encoder has done."""

    def __init__(self, encoded: Callable[[], Encoded]) -> None:
        self._encoded = encoded

    def collect(self) -> Iterable[Metric]:
        """Return the figures."""
        encoded = self._encoded()
        yield CounterMetricFamily(
            "vlsearch_encoded_images", "Images that were encoded.", encoded.images
        )
        yield CounterMetricFamily(
            "vlsearch_encoded_queries", "Queries that were encoded.", encoded.queries
        )
        yield CounterMetricFamily(
            "vlsearch_query_cache_hits",
            "Queries whose vectors were still known.",
            encoded.known_queries,
        )


class Numbered:
    """An application with ``/metrics``, and ``/healthz`` beside; the rest is the app's."""

    def __init__(
        self, app: ASGIApp, registry: CollectorRegistry, state: Callable[[], EncoderState]
    ) -> None:
        self._app = app
        self._registry = registry
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for the two paths."""
        answers: dict[str, Callable[[], Awaitable[Response]]] = {
            METRICS: lambda: scraped(self._registry),
            HEALTH: lambda: health(self._state),
        }
        answer = answers.get(scope.get("path", "")) if scope["type"] == "http" else None
        if answer is None:
            await self._app(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            await PlainTextResponse("only GET is answered here\n", 405)(scope, receive, send)
        else:
            await (await answer())(scope, receive, send)


async def scraped(registry: CollectorRegistry) -> Response:
    """Return the answer of ``/metrics``."""
    text = await run_sync(generate_latest, registry, limiter=_THREADS.limiter())
    return Response(text, headers=Headers({"content-type": _TYPE}))


async def health(state: Callable[[], EncoderState]) -> Response:
    """Return the answer of ``/healthz``: whether a call would be served, and nothing else.

    A model that nobody has needed yet is no reason against it.
    """
    now = await run_sync(state, limiter=_THREADS.limiter())
    word = now if now in ("loading", "failed") else "ok"
    return PlainTextResponse(word + "\n", 200 if word == "ok" else 503)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value)
