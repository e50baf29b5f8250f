"""What people see and do in the web page, in a real browser."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gradio
import numpy as np
import pytest
from PIL import Image

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.progress import Progress, ProgressCallback
from mcp_vlsearch.errors import CancelledError
from mcp_vlsearch.settings import load_settings
from mcp_vlsearch.webui.duplicates import DuplicatesTab
from mcp_vlsearch.webui.mounting import web_app
from tests.browser import KEYS, Browser
from tests.http_servers import serving
from tests.server.fake import COLOURS, ColourEncoder

READY = "document.querySelector('#search') && document.querySelector('#headline h1')"
TOLD = "document.querySelector('#told').textContent.trim()"
IDS = "[...document.querySelectorAll('.card')].map((card) => card.dataset.image)"
TEXT = "#text input, #text textarea"


@pytest.fixture
def window(chromium: Browser, address: str) -> Browser:
    """The page, just opened."""
    show(chromium, address)
    return chromium


def show(browser: Browser, address: str, **size: int) -> None:
    browser.open(address, **size)
    browser.until(READY)


def search(window: Browser, text: str) -> None:
    window.type(text + KEYS["Enter"], TEXT)


def ids(window: Browser, expected: list[str]) -> None:
    """Wait for these hits, in this order."""
    window.until(f"JSON.stringify({IDS}) === {json.dumps(json.dumps(expected)).replace(' ', '')}")


def found(result: Any) -> list[str]:
    return [hit.image_id for hit in result.hits]


def tab(window: Browser, name: str, selector: str) -> None:
    tabs = "[...document.querySelectorAll('[role=tab]')]"
    window.get(f"{tabs}.find((tab) => tab.textContent.trim() === '{name}').click()")
    window.until(f"document.querySelector('{selector}')?.offsetParent")


def unfold(window: Browser, title: str) -> None:
    labels = "[...document.querySelectorAll('button.label-wrap')]"
    window.get(f"{labels}.find((button) => button.textContent.includes('{title}')).click()")


@pytest.mark.parametrize("text", ["a red bus at night", "夜晚的红色公交车"])
def test_enter_searches_in_english_and_chinese(window: Browser, album: Library, text: str) -> None:
    search(window, text)
    hits = album.search_by_text(text, top_k=24).hits
    ids(window, [hit.image_id for hit in hits])
    card = window.get("document.querySelector('.card').innerText.split('\\n')")
    assert card == ["1", hits[0].name, hits[0].relevance, f"{hits[0].score:.3f}"]
    assert "best first" in window.get(TOLD)
    widths = "[...document.querySelectorAll('.card img')].map((image) => image.naturalWidth)"
    assert min(window.get(widths)) > 100, "every hit has its picture"


def test_a_picture_is_shown_searched_and_changed_by_a_text(
    window: Browser, album: Library, pictures: list[Path]
) -> None:
    given = str(pictures[0])
    window.upload(given, "#picture input[type=file]")
    window.until("document.querySelector('#picture img')?.naturalWidth > 100")
    window.click("#search")
    ids(window, found(album.search_by_image(given, top_k=24)))
    assert "pictures like the given" in window.get(TOLD)
    search(window, "at night")
    ids(window, found(album.search_by_image(given, text="at night", top_k=24)))
    assert "the picture changed as the text says" in window.get(TOLD)


def test_a_hit_opens_with_its_facts_its_likes_and_what_matches(
    window: Browser, album: Library, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mcp_vlsearch")
    search(window, "a red bus")
    hits = album.search_by_text("a red bus", top_k=24).hits
    ids(window, [hit.image_id for hit in hits])
    window.type(KEYS["Tab"])
    window.get("document.querySelectorAll('.card')[1].focus()")
    window.type(KEYS["Enter"])
    window.until("document.querySelector('.detail img')")
    about = window.get("document.querySelector('.about').innerText")
    for fact in (hits[1].path, f"{hits[1].score:.4f}", str(hits[1].taken_at), hits[1].image_id):
        assert fact in about
    before = window.get("document.querySelector('.detail img').src")
    window.click("#heat")
    window.until(f"{TOLD}.includes('the brighter the more')")
    assert window.get("document.querySelector('.detail img').src") != before
    window.click("#alike")
    ids(window, found(album.search_by_image(hits[1].image_id, top_k=24)))
    assert not window.get("document.querySelector('#chosen')?.offsetParent")
    called = [vars(record)["tool"] for record in caplog.records if hasattr(record, "tool")]
    assert called == ["search_by_text", "explain_match", "search_by_image"]
    assert "red bus" not in caplog.text


def test_phrasings_filters_and_what_is_excluded_narrow_a_search_down(
    window: Browser, album: Library
) -> None:
    unfold(window, "More words")
    window.until("document.querySelector('#exclude')?.offsetParent")
    window.type("night", "#exclude input, #exclude textarea")
    window.get("document.querySelector('#rewrite input[value=template]').click()")
    search(window, "bus")
    expected = album.search_by_text("bus", exclude="night", rewrite="template", top_k=24)
    ids(window, found(expected))
    phrasings = "[...document.querySelectorAll('.phrasings li')].map((item) => item.textContent)"
    assert window.get(phrasings) == expected.queries
    assert len(expected.queries) > 1
    unfold(window, "Filters")
    window.until("document.querySelector('#filter-taken-after')?.offsetParent")
    window.type("June", "#filter-taken-after input, #filter-taken-after textarea")
    window.click("#search")
    window.until("document.querySelector('.failed')")
    assert window.get(TOLD).startswith("Taken from: give a date, such as 2024-12-31")
    window.type("2024-07-01", "#filter-taken-after input, #filter-taken-after textarea")
    window.click("#search")
    window.until(f"{TOLD}.includes('without filters')")
    late = window.get("[...document.querySelectorAll('.card .name')].map((n) => n.textContent)")
    assert late
    assert all(name[4:12] >= "20240701" for name in late)


def test_the_vector_of_a_picture_is_the_one_of_the_index(
    window: Browser, album: Library, pictures: list[Path]
) -> None:
    tab(window, "Embedding", "#embed")
    window.upload(str(pictures[0]), "#embedding-picture input[type=file]")
    window.until("document.querySelector('#embedding-picture img')")
    window.click("#embed")
    window.until("document.querySelectorAll('#files a').length >= 2")
    shown = json.loads(window.get("document.querySelector('#whole textarea').value"))
    [(_, vector)] = album.image_vectors([pictures[0]]).values()
    np.testing.assert_allclose(shown, vector, atol=1e-6)
    about = window.get("document.querySelector('#embedding').innerText")
    assert str(len(vector)) in about
    assert album.status().spaces[0].fingerprint in about
    read = """fetch([...document.querySelectorAll('#files a')]
        .find((link) => link.href.endsWith('.json')).href)
        .then((answer) => answer.text()).then((text) => { window.file = text; })"""
    window.get(f"void {read}")
    window.until("window.file")
    assert json.loads(window.get("window.file"))["vector"] == shown


def test_errors_are_one_line_in_the_page(window: Browser, tmp_path: Path) -> None:
    window.click("#search")
    window.until("document.querySelector('.failed')")
    assert window.get(TOLD) == "nothing to search for: give a text, a picture, or both"
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n no picture at all <b>")
    window.upload(str(broken), "#picture input[type=file]")
    window.until("document.querySelector('#picture img')")
    window.click("#search")
    window.until(f"document.querySelector('.failed') && !{TOLD}.startsWith('nothing')")
    assert "picture" in window.get(TOLD)
    assert "Traceback" not in window.get("document.body.innerText")
    assert str(tmp_path) not in window.get(TOLD)


def test_a_narrow_window_holds_everything(chromium: Browser, address: str) -> None:
    show(chromium, address, width=400, height=800)
    search(chromium, "a red bus")
    chromium.until("document.querySelectorAll('.card').length > 3")
    chromium.click(".card")
    chromium.until("document.querySelector('.detail img')")
    assert chromium.get("document.documentElement.scrollWidth") <= 400
    rows = "document.querySelector('.card').getBoundingClientRect().width"
    assert chromium.get(rows) > 140


def test_no_other_host_is_asked_for_anything(window: Browser) -> None:
    search(window, "a bus")
    window.until("document.querySelector('.card')")
    asked = window.get("performance.getEntriesByType('resource').map((entry) => entry.name)")
    own = window.get("location.origin")
    assert len(asked) > 20
    assert [name for name in asked if not name.startswith((own, "data:", "blob:"))] == []
    assert window.errors() == [], "nor was any refused by the content security policy"


Open = Callable[..., str]


@pytest.fixture
def start(chromium: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Return a function that serves a page for a new library with the fake encoder."""
    monkeypatch.setattr(ColourEncoder, "encoded", [])
    with ExitStack() as stack:

        def serve(**flags: Any) -> str:
            given = {"library": tmp_path / "library", "batch_size": 2, **flags}
            settings = load_settings(given, environment={})
            library = stack.enter_context(Library(settings, make_encoder=ColourEncoder))
            app = stack.enter_context(web_app(library, "127.0.0.1", None))
            return stack.enter_context(serving(app))

        yield serve
        ColourEncoder.gate.set()
        chromium.open("about:blank")


def draw(folder: Path, count: int = 8) -> Path:
    folder.mkdir()
    colours = list(COLOURS.values())
    for number in range(count):
        colour = tuple(c * 9 // 10 + number for c in colours[number % len(colours)])
        Image.new("RGB", (64, 48), colour).save(folder / f"{number}.png")
    return folder


def test_a_folder_is_indexed_with_live_progress_and_shown_in_every_tab(
    chromium: Browser, start: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = draw(tmp_path / "pictures")
    (pictures / "broken.png").write_bytes(b"no picture")
    window = chromium
    ColourEncoder.loading.clear()
    show(window, start())
    search(window, "red")
    window.until(f"{TOLD}.includes('The library is empty: add a folder under Index')")
    assert not ColourEncoder.loading.is_set(), "no model is loaded for nothing"
    tab(window, "Index", "#index")
    told = "document.querySelector('#index-told').textContent"
    folder = "#folder input, #folder textarea"
    window.type(str(tmp_path / "nowhere") + KEYS["Enter"], folder)
    window.until(f"{told}.includes('does not exist: give a file or folder that does')")
    seen = threading.Event()
    monkeypatch.setattr(ColourEncoder, "before_batch", lambda batch: batch < 2 or seen.wait(60))
    window.type(str(pictures) + KEYS["Enter"], folder)
    window.until(f"document.querySelector('[role=progressbar]') && /[1-9] of 9/.test({told})")
    window.until(f"{told}.includes('/s, ')")  # rate and time left
    seen.set()
    window.until("document.querySelector('#report .tile')")
    tiles = window.get("[...document.querySelectorAll('.tile')].map((tile) => tile.innerText)")
    counts = {name: int(count) for count, name in (tile.split("\n") for tile in tiles)}
    assert counts["added"] == 8
    assert counts["failed"] == 1
    assert "broken.png" in window.get("document.querySelector('#report table').innerText")
    window.until("document.querySelector('#headline').innerText.includes('8 images in 1 folder')")
    tab(window, "Library", "#status table")
    status = window.get("document.querySelector('#status').innerText")
    assert "online" in status
    assert "broken.png" in status
    tab(window, "Duplicates", "#find")
    window.click("#find")
    window.until(
        "document.querySelector('#groups figure.kept') && "
        "document.querySelector('#groups figure.near')"
    )
    assert "Nothing was deleted" in window.get(
        "document.querySelector('#duplicates-told').textContent"
    )
    assert len(list(pictures.iterdir())) == 9


def test_a_run_can_be_cancelled_and_keeps_what_is_done(
    chromium: Browser, start: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = draw(tmp_path / "pictures")
    cancelled = threading.Event()
    monkeypatch.setattr(
        ColourEncoder, "before_batch", lambda batch: batch < 1 or cancelled.wait(60)
    )
    show(chromium, start(roots=(pictures,)))
    tab(chromium, "Index", "#index")
    chromium.click("#index")
    told = "document.querySelector('#index-told').textContent"
    chromium.until(f"/[1-9] of 8/.test({told})")
    chromium.click("#cancel")
    chromium.until("document.querySelector('#cancel').offsetParent")
    cancelled.set()
    chromium.until(f"{told}.includes('stopped: what is done stays')")
    assert not chromium.get("document.querySelector('#index-told .failed')"), "that is no error"
    tab(chromium, "Retrieve", "#search")
    search(chromium, "red")
    chromium.until("document.querySelector('.card')")
    assert 0 < chromium.get(f"{IDS}.length") < 8


def test_the_page_is_there_before_its_model_which_a_first_search_waits_for(
    chromium: Browser, start: Open, tmp_path: Path
) -> None:
    pictures = draw(tmp_path / "pictures")
    flags = {"library": tmp_path / "library", "roots": (pictures,)}
    with Library(load_settings(flags, environment={}), make_encoder=ColourEncoder) as library:
        library.index()
    ColourEncoder.gate.clear()
    ColourEncoder.loading.clear()
    address = start(roots=(pictures,))
    show(chromium, address)
    assert ColourEncoder.loading.wait(60), "opening the page is enough"
    assert "8 images in 1 folder" in chromium.get("document.querySelector('#headline').innerText")
    search(chromium, "red")
    chromium.until(f"{TOLD}.startsWith('loading the ')")
    ColourEncoder.gate.set()
    chromium.until(f"{IDS}.length === 8")


def test_a_search_for_copies_can_be_cancelled(
    chromium: Browser, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(library: Library, *, report: ProgressCallback, **_: Any) -> None:
        del library
        while not pause.wait(0.02):
            report(Progress(3, 8, "comparing pictures: 3 of 8"))

    pause = threading.Event()
    monkeypatch.setattr(Library, "duplicates", endless)
    show(chromium, address)
    tab(chromium, "Duplicates", "#find")
    chromium.click("#find")
    told = "document.querySelector('#duplicates-told').textContent"
    chromium.until(f"{told}.includes('comparing pictures: 3 of 8')")
    chromium.click("#cancel-find")
    try:
        chromium.until(f"{told}.includes('stopped: what is done stays')")
    finally:
        pause.set()


def test_a_window_cancels_its_own_search_for_copies_only(album: Library) -> None:
    async def built() -> DuplicatesTab:
        with gradio.Blocks():
            return DuplicatesTab(album)

    copies = asyncio.run(built())  # elsewhere Gradio leaves loops of its own open
    given = {copies._threshold: 0.95, copies._groups: 20}
    mine, other = (cast("gradio.Request", SimpleNamespace(session_hash=name)) for name in "ab")
    stopped, whole = copies._find(given, mine), copies._find(given, other)
    next(stopped), next(whole)
    copies._cancel(mine)
    with pytest.raises(CancelledError):
        list(stopped)
    assert "No copies among 8 images" in list(whole)[-1][copies._status]
    copies._cancel(mine)  # nothing is under way: nothing happens


def test_hits_of_an_offline_root_say_so_and_a_read_only_page_indexes_nothing(
    chromium: Browser, start: Open, tmp_path: Path
) -> None:
    pictures = draw(tmp_path / "pictures", 3)
    flags = {"library": tmp_path / "library", "roots": (pictures,)}
    with Library(load_settings(flags, environment={}), make_encoder=ColourEncoder) as library:
        library.index()
    pictures.rename(tmp_path / "unplugged")
    show(chromium, start(roots=(pictures,), read_only=True))
    assert "1 offline" in chromium.get("document.querySelector('#headline').innerText")
    names = "[...document.querySelectorAll('[role=tab]')].map((tab) => tab.textContent.trim())"
    assert "Index" not in chromium.get(names)
    search(chromium, "red")
    chromium.until("document.querySelectorAll('.card .missing').length === 3")
    chromium.click(".card")
    chromium.until("document.querySelector('.detail .missing')")
    chromium.click("#heat")
    chromium.until("document.querySelector('.failed')")
    assert "no file that can be read holds image" in chromium.get(TOLD)
    tab(chromium, "Library", "#status table")
    assert "offline" in chromium.get("document.querySelector('#status').innerText")
