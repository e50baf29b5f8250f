"""An album in a library, a host of MCP Apps for it, and a browser that looks at it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from examples.gallery_host import Host
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.settings import load_settings
from tests.browser import MISSING, Browser, browser
from tests.server.fake import COLOURS, ColourEncoder

from .hosts import hosting

SHAPES = ((48, 32), (32, 48), (40, 40))
"""Of pictures in each colour: wide, tall, square."""


def draw(folder: Path) -> None:
    """Draw pictures of each colour in each shape, one a day."""
    folder.mkdir()
    day = 0
    for name, colour in COLOURS.items():
        for width, height in SHAPES:
            day += 1
            exif = Image.Exif()
            taken = f"2024:03:{day:02} 12:00:00"
            exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = taken
            image = Image.new("RGB", (width, height), tuple(c * 9 // 10 + day for c in colour))
            image.save(folder / f"{name}-{width}x{height}.jpg", quality=95, exif=exif)


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """A library of fifteen pictures."""
    folder = tmp_path_factory.mktemp("album")
    draw(folder / "pictures")
    flags = {"library": folder / "library", "roots": (folder / "pictures",), "model": "plain"}
    settings = load_settings(flags, environment={})
    with Library(settings, make_encoder=ColourEncoder) as library:
        library.index()
        yield library


Start = Callable[..., tuple[str, Host]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a host for a library, and gives its address and it."""
    with ExitStack() as stack:
        yield lambda *given, **more: stack.enter_context(hosting(*given, **more))


@pytest.fixture(scope="session")
def window() -> Iterator[Browser]:
    if MISSING:
        pytest.skip(MISSING)
    with browser() as opened:
        yield opened
