"""Make the pictures of the documentation anew, in docs/images: python -m docs.make_pictures.

Run in the repository's folder. The gallery and the web page need chromium and chromedriver.
"""

import argparse
import io
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from PIL import Image

from docs import webui_pictures
from examples.agent_session import draw_album
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.settings import load_settings
from tests.browser import MISSING, browser
from tests.gallery.hosts import hosting

IMAGES: Final = Path(__file__).parent / "images"
QUERY: Final = "robots and a pink bus in a sunny meadow"
SCENES: Final = 36
SEED: Final = 7
MAX_BYTES: Final = 300_000


def contact_sheet(library: Library) -> Image.Image:
    """Draw what an assistant sees of twelve hits."""
    hits = library.search_by_text(QUERY, top_k=12).hits
    view = library.view([hit.image_id for hit in hits])
    return Image.open(io.BytesIO(view.sheet))


def gallery(library: Library) -> Image.Image:
    """Show the same hits as people see them in a host with MCP Apps."""
    with ExitStack() as stack:
        window = stack.enter_context(browser())
        address, _ = stack.enter_context(hosting(library, query=QUERY, top_k=12))
        window.open(address, 1000, 860)
        window.enter()
        window.until("document.querySelectorAll('.card img').length === 12")
        window.enter("")
        return Image.open(io.BytesIO(window.screenshot()))


def heat_map(library: Library) -> Image.Image:
    """Show which part of the best hit matches a thing that the album's first query asks for."""
    hit = library.search_by_text(QUERY, top_k=1).hits[0]
    return Image.open(io.BytesIO(library.explain_match(hit.image_id, "a pink bus").jpeg))


PICTURES: Final[dict[str, Callable[[Library], Image.Image]]] = {
    "contact-sheet": contact_sheet,
    "gallery": gallery,
    "heat-map": heat_map,
    "webui-retrieve": webui_pictures.retrieve,
    "webui-heat": webui_pictures.heat,
    "webui-embedding": webui_pictures.embedding,
    "webui-index": webui_pictures.indexing,
    "webui-duplicates": webui_pictures.duplicates,
    "webui-narrow": webui_pictures.narrow,
}
"""What each picture shows; to add one, add its name and a function from the album's library."""
NEEDS_BROWSER: Final = {"gallery", *(name for name in PICTURES if name.startswith("webui"))}


@contextmanager
def album() -> Iterator[Library]:
    """Draw the album that all pictures are of, and index it with storybook."""
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder) / "pictures"
        draw_album(pictures, SCENES, SEED)
        flags = {"library": Path(folder) / "library", "model": "storybook", "roots": (pictures,)}
        with Library(load_settings(flags, environment={})) as library:
            library.index()
            yield library


def save(image: Image.Image, name: str) -> Path:
    """Write a picture as JPEG of at most :data:`MAX_BYTES`."""
    file = IMAGES / f"{name}.jpg"
    for quality in (88, 80, 70, 60, 50):
        image.convert("RGB").save(file, quality=quality, optimize=True)
        if file.stat().st_size <= MAX_BYTES:
            break
    return file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PICTURES)}")
    names = parser.parse_args().names or list(PICTURES)
    if unknown := set(names) - set(PICTURES):
        parser.error(f"no picture is called {unknown.pop()!r}")
    with album() as library:
        for name in names:
            if MISSING and name in NEEDS_BROWSER:
                print(f"{name}: {MISSING}", file=sys.stderr)
                continue
            file = save(PICTURES[name](library), name)
            print(f"{file.relative_to(IMAGES.parent)}: {file.stat().st_size // 1000} KB")


if __name__ == "__main__":
    main()
