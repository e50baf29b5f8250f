"""A host of MCP Apps for a library, in this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio.from_thread
import anyio.to_thread
from mcp import Client

from examples.gallery_host import Host
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.server import build_server
from tests.http_servers import serving


@contextmanager
def hosting(
    library: Library, tool: str = "search_by_text", **arguments: Any
) -> Iterator[tuple[str, Host]]:
    """Start a host that shows the hits of a search; give its address and it."""
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Client(build_server(library))) as client,
    ):
        host = Host(_InPortal(client, portal), tool, arguments)  # type: ignore[arg-type]
        with serving(host.app()) as address:
            yield address, host


class _InPortal:
    """A client that lives in another thread's event loop."""

    def __init__(self, client: Client, portal: anyio.from_thread.BlockingPortal) -> None:
        self._client = client
        self._portal = portal

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any) -> Any:
            method = getattr(self._client, name)
            return await anyio.to_thread.run_sync(self._portal.call, method, *arguments)

        return call
