"""What people see and do in the gallery, in a real browser, through a host of MCP Apps."""

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from examples.gallery_host import Host
from mcp_vlsearch.core.library import Library
from tests.browser import KEYS, Browser

from .conftest import Start

CARDS = "document.querySelectorAll('.card .open').length"
SHOWN = "document.querySelectorAll('.card img').length"
TOLD = "document.getElementById('told').textContent"
IDLE = "document.getElementById('bar').hidden"
NAMES = "[...document.querySelectorAll('.card .name')].map((name) => name.textContent)"
NOTICE = "document.querySelector('.notice')?.textContent"
FOCUSED = "document.activeElement.getAttribute('aria-label')"


def opened(window: Browser, address: str, options: str = "", **size: int) -> None:
    window.open(f"{address}/?{options}", **size)
    window.enter()


def ready(window: Browser, cards: int) -> list[str]:
    """Wait for so many cards with their pictures; return their names."""
    window.until(f"{CARDS} === {cards} && {SHOWN} === {cards} && {IDLE}")
    names: list[str] = window.get(NAMES)
    return names


def searches(host: Host) -> list[tuple[str, dict[str, Any]]]:
    return [call for call in host.calls if call[0] != "view_images"]


def brightness(window: Browser) -> float:
    screen = Image.open(io.BytesIO(window.screenshot())).convert("L")
    return float(np.median(np.asarray(screen)))


def test_hits_are_a_grid_with_pictures_ranks_relevance_and_dates(
    window: Browser, start: Start, album: Library
) -> None:
    address, host = start(album, query="red", top_k=15)
    opened(window, address)
    names = ready(window, 15)
    assert all(name.startswith("red") for name in names[:3])
    ranks = window.get("[...document.querySelectorAll('.card .rank')].map((r) => r.textContent)")
    assert ranks == [str(rank) for rank in range(1, 16)]
    assert "2024" in window.get("document.querySelector('.card .line').textContent")
    assert window.get(TOLD) == "15 pictures, best first, among 15"
    assert [len(given["images"]) for name, given in host.calls if name == "view_images"] == [12, 3]
    colour = window.get(
        """(() => { const at = document.createElement('canvas').getContext('2d');
        at.drawImage(document.querySelector('.card img'), 0, 0);
        return [...at.getImageData(9, 9, 1, 1).data].slice(0, 3); })()"""
    )
    assert colour == pytest.approx([230, 1, 1], abs=8), "the picture of the first hit"
    assert window.errors() == []


def test_pictures_are_of_their_shape_and_rows_fill_the_width(
    window: Browser, start: Start, album: Library
) -> None:
    address, _ = start(album, query="red", top_k=15)
    opened(window, address)
    ready(window, 15)
    boxes = window.get(
        "[...document.querySelectorAll('.card .frame')]"
        ".map((frame) => frame.getBoundingClientRect().toJSON())"
    )
    shapes = sorted({round(box["width"] / box["height"], 1) for box in boxes})
    assert shapes == [0.7, 1.0, 1.5]
    width = window.get("document.documentElement.clientWidth")
    rows: dict[float, list[float]] = {}
    for box in boxes:
        rows.setdefault(round(box["top"]), []).append(box["right"])
    assert all(max(rights) > width - 40 for rights in list(rows.values())[:-1])


def test_more_like_this_and_text_search_from_the_page_and_back(
    window: Browser, start: Start, album: Library
) -> None:
    address, host = start(album, query="red", top_k=4)
    opened(window, address)
    ready(window, 4)
    window.get("document.querySelectorAll('.card .alike')[1].click()")
    window.until(f"document.getElementById('reference').hidden === false && {IDLE}")
    ready(window, 4)
    tool, given = searches(host)[-1]
    assert tool == "search_by_image"
    assert given["image"] == window.get(
        "document.getElementById('reference-picture').dataset.small"
    )
    window.type(f"blue{KEYS['Enter']}", "#text")
    window.until(f"document.getElementById('text').value === 'blue' && {IDLE}")
    assert searches(host)[-1] == ("search_by_image", {**given, "text": "blue"})
    window.click("#drop")
    window.until(f"{NAMES}[0].startsWith('blue')")
    assert searches(host)[-1][1]["query"] == "blue"
    assert ready(window, 4)[0].startswith("blue")
    for _ in range(3):
        window.click("#back")
    window.until(f"{NAMES}[0].startsWith('red')")
    assert window.get("document.getElementById('text').value") == "red"
    assert window.get("document.getElementById('back').hidden")
    assert len(searches(host)) == 4, "going back searches nothing"


def test_a_hit_opens_large_with_its_facts_and_the_host_is_told(
    window: Browser, start: Start, album: Library
) -> None:
    address, host = start(album, query="green", top_k=3)
    opened(window, address)
    first = ready(window, 3)[0]
    window.click(".card .open")
    window.until("document.querySelector('.detail img')")
    about = window.get("document.querySelector('.about').innerText")
    assert first in about
    assert "48 × 32" in about or "40 × 40" in about or "32 × 48" in about
    assert str(album.settings.roots[0]) in about
    window.click(".arrow.next")
    window.until(f"{TOLD} === 'Picture 2 of 3'")
    window.type("blue" + KEYS["Enter"], ".change input")
    window.until("document.getElementById('text').value === 'blue'")
    ready(window, 3)
    assert searches(host)[-1][1]["text"] == "blue"
    window.enter("")
    told = window.get("said.filter((m) => m.method === 'ui/update-model-context').at(-1).params")
    assert "hit 2:" in told["content"][0]["text"]


def test_large_pictures_are_kept_until_twenty_others_were_looked_at(
    window: Browser, start: Start, album: Library
) -> None:
    address, host = start(album, query="green", top_k=2)
    opened(window, address)
    ready(window, 2)

    def turned(to: int) -> int:
        """Turn to a picture; return how often one was fetched large by then."""
        window.get(f"open({to - 1})")
        window.until(f"{TOLD} === 'Picture {to} of 2' && pictures.size >= 2")
        window.until("pictures.get(now.found.hits[opened].image_id).large?.src")
        fetched = [given["images"] for name, given in host.calls if name == "view_images"]
        return sum(len(images) == 1 for images in fetched)

    assert [turned(1), turned(2), turned(1)] == [1, 2, 2]
    large = "[...pictures.values()].filter((picture) => picture.large).length"
    others = (
        "for (let n = 0; n < 19; n += 1) keep({ image_id: `other ${n}` }, 'large', { src: '' })"
    )
    window.get(f"(() => {{ {others} }})()")
    assert window.get(large) == 20
    assert [turned(1), turned(2)] == [2, 3], "the second is fetched again, the first is not"


def test_filters_narrow_the_search_and_are_cleared(
    window: Browser, start: Start, album: Library
) -> None:
    folder = str(album.settings.roots[0])
    address, host = start(album, query="red", top_k=15, filters={"folder": folder})
    opened(window, address)
    ready(window, 15)
    window.click("#toggle")
    window.get(
        "(() => { const to = document.getElementById('to'); to.value = '2024-03-06'; "
        "to.dispatchEvent(new Event('change')); })()"
    )
    ready(window, 6)
    assert searches(host)[-1][1]["filters"] == {"folder": folder, "taken_before": "2024-03-07"}
    assert window.get("document.getElementById('to').value") == "2024-03-06"
    window.get("document.querySelector('#shape input[value=portrait]').click()")
    assert all("32x48" in name for name in ready(window, 2))
    window.get("document.querySelector('.chip').click()")
    window.until("!document.querySelector('.chip')")
    ready(window, 2)
    window.get("document.querySelector('#relevance input[value=likely]').click()")
    window.until("document.getElementById('count').textContent === '3'")
    window.until(IDLE)
    assert searches(host)[-1][1]["min_relevance"] == "likely"
    window.click("#clear")
    ready(window, 15)


def test_keys_reach_everything(window: Browser, start: Start, album: Library) -> None:
    address, _ = start(album, query="red", top_k=15)
    opened(window, address)
    ready(window, 15)
    window.get("document.querySelector('.card .open').focus()")
    window.type(KEYS["Right"])
    assert window.get(FOCUSED).startswith("2: ")
    window.type(KEYS["Down"])
    below = window.get(FOCUSED)
    assert int(below.split(":")[0]) > 3
    window.type(KEYS["Up"])
    assert int(window.get(FOCUSED).split(":")[0]) < 4
    window.type(KEYS["Enter"])
    window.until("document.querySelector('.detail')")
    window.type(KEYS["Right"])
    window.type(KEYS["Escape"])
    window.until(f"{CARDS} === 15")
    assert window.get(FOCUSED).split(":")[0] in {"2", "3", "4"}
    window.type("/")
    assert window.get("document.activeElement.id") == "text"
    assert window.get("document.querySelectorAll('.grid [tabindex=\"0\"]').length") == 2


def test_more_hits_are_shown_when_asked_for(window: Browser, start: Start, album: Library) -> None:
    address, host = start(album, query="red", top_k=5)
    opened(window, address)
    ready(window, 5)
    window.click("#more")
    ready(window, 15)
    assert searches(host)[-1][1]["top_k"] == 25
    assert window.get("document.getElementById('more').hidden")


@pytest.mark.parametrize(("theme", "is_dark"), [("light", False), ("dark", True)])
def test_the_page_takes_the_hosts_theme_and_follows_it(
    window: Browser, start: Start, album: Library, theme: str, is_dark: bool
) -> None:
    address, _ = start(album, query="white", top_k=2)
    opened(window, address, f"theme={theme}")
    ready(window, 2)
    assert (brightness(window) < 100) is is_dark
    window.enter("")
    window.get(f"window.change({{ theme: '{'light' if is_dark else 'dark'}' }})")
    window.enter()
    window.until(f"document.documentElement.dataset.theme !== '{theme}'")
    assert (brightness(window) < 100) is not is_dark


def test_a_narrow_window_has_everything_within_its_width(
    window: Browser, start: Start, album: Library
) -> None:
    address, _ = start(album, query="red", top_k=6)
    opened(window, address, width=400, height=800)
    ready(window, 6)
    wide = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert window.get(wide)
    window.click("#toggle")
    assert window.get(wide)
    window.click(".card .open")
    window.until("document.querySelector('.detail')")
    assert window.get(wide)


def test_the_frame_is_as_high_as_the_page_and_fills_the_screen_when_asked(
    window: Browser, start: Start, album: Library
) -> None:
    address, _ = start(album, query="red", top_k=15)
    opened(window, address)
    ready(window, 15)
    window.until(
        "innerHeight === Math.ceil(document.documentElement.getBoundingClientRect().height)"
    )
    window.click("#expand")
    window.until("document.documentElement.classList.contains('fullscreen')")
    window.click("#expand")
    window.until("!document.documentElement.classList.contains('fullscreen')")


def test_while_nothing_came_yet_there_are_placeholders(
    window: Browser, start: Start, album: Library
) -> None:
    address, _ = start(album, query="red")
    opened(window, address, "waits=1")
    window.until(f"document.querySelectorAll('.frame.loading').length === 6 && {CARDS} === 0")


def test_no_hits_and_no_pictures_are_told_apart(
    window: Browser, start: Start, album: Library, tmp_path: Path
) -> None:
    address, _ = start(album, query="red", filters={"camera": "Box"})
    opened(window, address)
    assert "No picture passes the filters." in window.until(NOTICE)
    window.click(".notice .go")
    ready(window, 10)
    with Library.open(tmp_path / "empty", model="plain") as empty:
        address, _ = start(empty, query="red")
        opened(window, address)
        assert "Nothing is indexed" in window.until(NOTICE)


def test_an_error_is_shown_and_the_search_can_be_tried_again(
    window: Browser, start: Start, album: Library
) -> None:
    address, host = start(album, "search_by_image", image="0123456789abcdef")
    opened(window, address)
    assert "No image 0123456789abcdef in this library" in window.until(NOTICE)
    window.click(".notice .go")
    window.until(IDLE)
    assert len(searches(host)) == 2
    window.type(f"red{KEYS['Enter']}", "#text")
    window.click("#drop")
    ready(window, 10)


def test_a_picture_that_is_gone_leaves_a_card_that_says_so(
    window: Browser, start: Start, album: Library
) -> None:
    [file] = album.settings.roots[0].glob("red-48x32.jpg")
    shutil.rmtree(album.settings.library / "thumbnails", ignore_errors=True)
    away = file.rename(file.with_suffix(".away"))
    try:
        address, _ = start(album, query="red", top_k=4)
        opened(window, address)
        window.until(f"{SHOWN} === 3 && document.querySelectorAll('.broken').length === 1")
        assert "no file that can be read" in window.get("document.querySelector('.broken').title")
    finally:
        away.rename(file)


def test_names_of_files_are_never_markup(window: Browser, start: Start, tmp_path: Path) -> None:
    from mcp_vlsearch.settings import load_settings
    from tests.server.fake import ColourEncoder

    folder = tmp_path / "odd"
    folder.mkdir()
    name = "<img src=x onerror=alert(1)>&amp;.png"
    Image.new("RGB", (30, 20), "red").save(folder / name)
    flags = {"library": tmp_path / "library", "roots": (folder,), "model": "plain"}
    with Library(load_settings(flags, environment={}), make_encoder=ColourEncoder) as library:
        library.index()
        address, _ = start(library, query="red")
        opened(window, address)
        assert ready(window, 1) == [name]
