"""One album, drawn and indexed with storybook, one page for it, and a browser that looks at it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.agent_session import draw_album
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.settings import load_settings
from mcp_vlsearch.webui.mounting import web_app
from tests.browser import MISSING, Browser, browser
from tests.http_servers import serving

SCENES = 6
"""By day; two of them also at night."""


@pytest.fixture(scope="session")
def album(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("album")
    draw_album(folder / "pictures", SCENES, seed=3)
    flags = {"library": folder / "library", "model": "storybook"}
    with Library(load_settings(flags, environment={})) as library:
        library.allow([folder / "pictures"])
        library.index()
        yield library


@pytest.fixture(scope="session")
def pictures(album: Library) -> list[Path]:
    """The album's files, by name."""
    return sorted(Path(album.roots()[0]).iterdir())


@pytest.fixture(scope="session")
def address(album: Library) -> Iterator[str]:
    """Where the page is served, on loopback and without a token."""
    with web_app(album, "127.0.0.1", None) as app, serving(app) as address:
        yield address


@pytest.fixture(scope="session")
def chromium(address: str) -> Iterator[Browser]:
    del address  # a server waits for its pages to be left: the browser goes first
    if MISSING:
        pytest.skip(MISSING)
    with browser() as opened:
        yield opened
