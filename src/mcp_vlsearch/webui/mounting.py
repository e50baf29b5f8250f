"""Gradio's application inside our own, with a folder of its own for what is uploaded."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import gradio
from starlette.applications import Starlette
from starlette.types import ASGIApp

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.server.listening import is_loopback
from mcp_vlsearch.webui.fencing import MAX_UPLOAD, Fence
from mcp_vlsearch.webui.page import HEAD, STYLE, THEME, build_page

__all__ = ["web_app"]

_CACHE: Final = "GRADIO_TEMP_DIR"


@contextmanager
def web_app(library: Library, host: str, token: str | None) -> Iterator[ASGIApp]:
    """Give the web application for a library; what was uploaded to it is deleted at the end.

    One at a time in a process: Gradio reads from the environment where it may write.
    """
    cache = Path(tempfile.mkdtemp(prefix="mcp-vlsearch-"))
    before = os.environ.get(_CACHE)
    os.environ[_CACHE] = str(cache)
    try:
        app = asyncio.run(_mounted(library, is_loopback(host)))
        yield Fence(app, host, token, cache)
    finally:
        shutil.rmtree(cache, ignore_errors=True)
        if before is None:
            del os.environ[_CACHE]
        else:
            os.environ[_CACHE] = before


async def _mounted(library: Library, may_allow: bool) -> ASGIApp:
    """Build the page where an event loop runs: elsewhere Gradio leaves loops of its own open."""
    blocks = build_page(library, may_allow=may_allow)
    app = Starlette()
    gradio.mount_gradio_app(
        app,
        blocks,
        path="/",
        footer_links=[],
        run_history=False,
        show_error=True,
        max_file_size=MAX_UPLOAD,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=THEME,
        css=STYLE,
        head=HEAD,
    )
    # Gradio checks that a call's files were uploaded only where it was launched by itself.
    blocks.has_launched = True
    return app
