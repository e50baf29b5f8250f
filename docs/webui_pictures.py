"""The web page as it looks, for the documentation: see make_pictures.py."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from PIL import Image

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.webui.mounting import web_app
from tests.browser import KEYS, Browser, browser
from tests.http_servers import serving

__all__ = ["duplicates", "embedding", "heat", "indexing", "narrow", "retrieve"]

_READY: Final = "document.querySelector('#search') && document.querySelector('#headline h1')"
_TEXT: Final = "#text input, #text textarea"
_CARDS: Final = "document.querySelectorAll('.card img').length"


def retrieve(library: Library) -> Image.Image:
    """Show the hits of a picture that a text changes."""
    given = library.search_by_text("a pink bus in a meadow", top_k=1).hits[0].path
    with _page(library) as window:
        window.upload(given, "#picture input[type=file]")
        window.until("document.querySelector('#picture img')?.naturalWidth")
        window.type(f"but at night{KEYS['Enter']}", _TEXT)
        window.until(f"{_CARDS} > 5")
        return _seen(window)


def heat(library: Library) -> Image.Image:
    """Show a hit with its facts and its heat map, and the phrasings that were searched."""
    with _page(library) as window:
        window.get(
            "[...document.querySelectorAll('button.label-wrap')]"
            ".find((button) => button.textContent.includes('More words')).click()"
        )
        window.until("document.querySelector('#rewrite')?.offsetParent")
        window.get("document.querySelector('#rewrite input[value=template]').click()")
        window.type(f"粉色的公交车{KEYS['Enter']}", _TEXT)
        window.until(f"{_CARDS} > 5")
        window.click(".card")
        window.until("document.querySelector('.detail img')")
        window.click("#heat")
        window.until("document.querySelector('#told').textContent.includes('brighter')")
        window.get("window.scrollTo(0, 0)")
        return _seen(window)


def embedding(library: Library) -> Image.Image:
    """Show a text's vector."""
    with _page(library, height=760) as window:
        _open(window, "Embedding", "#embed")
        window.type(
            f"两只猫 two cats{KEYS['Enter']}", "#embedding-text input, #embedding-text textarea"
        )
        window.until("document.querySelectorAll('#files a').length >= 2")
        return _seen(window)


def indexing(library: Library) -> Image.Image:
    """Show the report of an index run that encodes all pictures again."""
    with _page(library, height=560) as window:
        _open(window, "Index", "#index")
        window.get(
            "[...document.querySelectorAll('label')]"
            ".find((label) => label.textContent.includes('Encode again')).click()"
        )
        window.click("#index")
        window.until(
            "document.querySelector('[role=progressbar] b') && "
            "/[1-9] of/.test(document.querySelector('#index-told').textContent)"
        )
        seen = _seen(window)
        window.until("document.querySelector('#report .tile')")
        return seen


def duplicates(library: Library) -> Image.Image:
    """Show a picture, a smaller one of it and one with the same bytes, as copies."""
    folder = Path(library.roots()[0])
    original = min(folder.glob("*.jpg"))
    copies = [folder / "copy of it.jpg", folder / "smaller.jpg"]
    copies[0].write_bytes(original.read_bytes())
    with Image.open(original) as image:
        image.resize((image.width * 2 // 3, image.height * 2 // 3)).save(copies[1], quality=70)
    library.index()
    try:
        with _page(library, height=700) as window:
            _open(window, "Duplicates", "#find")
            window.click("#find")
            window.until("document.querySelector('#groups figure.near img')")
            return _seen(window)
    finally:
        for copy in copies:
            copy.unlink()
        library.index()


def narrow(library: Library) -> Image.Image:
    """Show the page as wide as a phone."""
    with _page(library, width=400, height=1500) as window:
        window.type(f"a pink bus{KEYS['Enter']}", _TEXT)
        window.until(f"{_CARDS} > 5")
        return _seen(window)


@contextmanager
def _page(library: Library, width: int = 1280, height: int = 900) -> Iterator[Browser]:
    """Open the page; the browser ends before its server, which waits for it."""
    with (
        web_app(library, "127.0.0.1", None) as app,
        serving(app) as address,
        browser() as window,
    ):
        window.open(address, width, height)
        window.until(_READY)
        yield window


def _open(window: Browser, tab: str, selector: str) -> None:
    window.get(
        "[...document.querySelectorAll('[role=tab]')]"
        f".find((tab) => tab.textContent.trim() === '{tab}').click()"
    )
    window.until(f"document.querySelector('{selector}')?.offsetParent")


def _seen(window: Browser) -> Image.Image:
    return Image.open(io.BytesIO(window.screenshot()))
