"""What the page's server answers over HTTP, and what it refuses, without a browser."""

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.server.guards import Bounded
from mcp_vlsearch.webui import fencing
from mcp_vlsearch.webui.fencing import Fence
from mcp_vlsearch.webui.mounting import web_app
from tests.http_servers import serving
from tests.sockets import Echo, answer, connected, get, post, status_of, until

TOKEN = "correct-horse"


@pytest.fixture(scope="module")
def guarded(album: Library, address: str) -> Iterator[str]:
    """Where the page is served as beyond loopback, with a token."""
    del address  # which has its own folder for uploads, and must be there first
    with web_app(album, "0.0.0.0", TOKEN) as app, serving(app) as there:
        yield there


@pytest.fixture
def client(address: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=address) as client:
        yield client


def join(client: httpx2.Client, name: str, data: list[Any]) -> httpx2.Response:
    """Call an event as the page does: by the number of the function with some inputs."""
    config = client.get("/config").json()
    [number] = [d["id"] for d in config["dependencies"] if name in str(d["api_name"])][:1]
    call = {"data": data, "fn_index": number, "session_hash": "abc123"}
    return client.post("/gradio_api/queue/join", json=call)


def test_the_page_comes_without_a_foreign_host_in_it(client: httpx2.Client) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert "<title>" in page.text or "gradio_config" in page.text
    shown = page.text.partition("window.gradio_config")[0]
    assert set(re.findall(r"https?://([\w.-]+)", shown)) == set()
    assert "og:" not in shown
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", ""]
)
def test_a_foreign_host_header_is_refused(client: httpx2.Client, host: str) -> None:
    assert client.get("/", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9", "[::1]:80", "LOCALHOST:1"])
def test_names_of_this_machine_are_answered(client: httpx2.Client, host: str) -> None:
    assert client.get("/theme.css", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_another_site_can_call_nothing(client: httpx2.Client, origin: str) -> None:
    answer = client.post("/gradio_api/queue/join", json={}, headers={"origin": origin})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/info",
        "/gradio_api/openapi.json",
        "/gradio_api/call/search",
        "/gradio_api/run/predict",
        "/gradio_api/api/search",
        "/gradio_api/proxy=http://127.0.0.1:1/",
        "/gradio_api/component_server",
        "/gradio_api/deep_link",
        "/gradio_api/app_id",
        "/monitoring",
        "/docs",
        "/openapi.json",
    ],
)
def test_what_the_page_does_not_need_is_not_there(client: httpx2.Client, path: str) -> None:
    assert client.get(path).status_code == 404
    assert client.post(path, json={}).status_code == 404


def test_files_of_the_machine_are_not_served(
    client: httpx2.Client, album: Library, pictures: list[Path]
) -> None:
    """Neither a picture of a root, nor the database, nor what lies in the working directory."""
    for path in (
        str(pictures[0]),
        str(album.settings.library / "library.db"),
        "/etc/passwd",
        os.path.relpath("/etc/passwd"),
        "../../../../../../etc/passwd",
        "..%2f..%2f..%2f..%2fetc%2fpasswd",
        "pyproject.toml",
        f"{os.environ['GRADIO_TEMP_DIR']}/../../etc/passwd",
        "file:///etc/passwd",
        "http://127.0.0.1:1/x",
    ):
        for prefix in ("/gradio_api/file=", "/static/", "/assets/"):
            answer = client.get(f"{prefix}{path}")
            assert answer.status_code >= 400, path
            assert b"root:" not in answer.content
            assert b"SQLite" not in answer.content


def test_a_call_that_names_a_file_of_the_machine_is_refused(
    client: httpx2.Client, pictures: list[Path]
) -> None:
    cache = os.environ["GRADIO_TEMP_DIR"]
    for path in ("/etc/passwd", str(pictures[0]), f"{cache}/../x", cache, "https://a.example/x", 7):
        given = {"path": path, "meta": {"_type": "gradio.FileData"}}
        answer = join(client, "embed", ["", given])
        assert answer.status_code == 403, path
        assert "upload the picture" in answer.text


def test_a_link_among_the_uploads_leads_nowhere(client: httpx2.Client) -> None:
    link = Path(os.environ["GRADIO_TEMP_DIR"]) / "link.png"
    link.symlink_to("/etc/passwd")
    given = {"path": str(link), "meta": {"_type": "gradio.FileData"}}
    assert join(client, "embed", ["", given]).status_code == 403
    link.unlink()


def test_what_is_no_json_or_nested_without_end_is_refused(client: httpx2.Client) -> None:
    for body in (b"{", b"[" * 100_000):
        answer = client.post("/gradio_api/queue/join", content=body)
        assert answer.status_code == 403


def test_large_bodies_are_refused(client: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = client.post("/gradio_api/queue/join", content=b" " * (2**20 + 1))
    assert answer.status_code == 413
    monkeypatch.setattr(fencing, "_MAX_FORM", 5000)
    for headers in ({}, {"transfer-encoding": "chunked"}):
        form = {"files": ("a.png", b"0" * 6000)}
        answer = client.post("/gradio_api/upload", files=form, headers=headers)
        assert answer.status_code == 413
        assert "send less" in answer.text
    assert client.post("/gradio_api/upload", files={"files": ("a.png", b"0")}).status_code == 200


def test_without_the_token_nothing_is_answered(guarded: str) -> None:
    with httpx2.Client(base_url=guarded) as client:
        for path in ("/", "/config", "/theme.css", "/gradio_api/queue/data", "/assets/x.js"):
            answer = client.get(path)
            assert answer.status_code == 401, path
            assert "?token=" in answer.text
        assert client.get("/?token=wrong").status_code == 401
        assert client.get("/?token=").status_code == 401
        assert client.get("/config?token=" + TOKEN).status_code == 401
        assert client.get("/", headers={"authorization": "Bearer wrong"}).status_code == 401
        assert client.get("/", headers={"cookie": "mcp-vlsearch=x; a"}).status_code == 401
        assert client.get("/?token=%ff%fe").status_code == 401


def test_the_token_in_the_address_becomes_a_cookie_that_stands_for_it(guarded: str) -> None:
    with httpx2.Client(base_url=guarded) as client:
        answer = client.get("/", params={"token": TOKEN})
        assert answer.status_code == 200
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert TOKEN not in cookie
        assert TOKEN not in answer.text, "the address is left without it"
        assert client.get("/config").status_code == 200
        assert "gradio_config" in client.get("/").text


def test_a_bearer_token_is_taken_too(guarded: str) -> None:
    with httpx2.Client(base_url=guarded, headers={"authorization": f"Bearer {TOKEN}"}) as client:
        config = client.get("/config").json()
    assert json.dumps(config).count("at or below a root") == 1, "no folder becomes a root there"


def test_what_was_uploaded_goes_with_the_page(album: Library) -> None:
    before = os.environ.get("GRADIO_TEMP_DIR")
    with web_app(album, "127.0.0.1", None) as app, serving(app) as there:
        form = {"files": ("a.png", b"some bytes")}
        [path] = httpx2.post(f"{there}/gradio_api/upload", files=form).json()
        assert Path(path).read_bytes() == b"some bytes"
        assert Path(os.environ["GRADIO_TEMP_DIR"]).stat().st_mode & 0o777 == 0o700
    assert not Path(path).exists()
    assert os.environ.get("GRADIO_TEMP_DIR") == before


CALL, UPLOAD = "/gradio_api/queue/join", "/gradio_api/upload"


class Fenced:
    """An application behind a fence with narrow limits, and the port where it is served."""

    def __init__(self, port: int, app: Echo, fence: Fence) -> None:
        self.port = port
        self.app = app
        self.bounded = fence._bounded


@pytest.fixture
def fenced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Fenced]]:
    """Return a function that serves an application behind a fence with the limits that it names."""
    with ExitStack() as stack:

        def make(token: str | None = None, **limits: Any) -> Fenced:
            narrow = {"held_bytes": 10**6, **limits}
            monkeypatch.setattr(
                fencing, "Bounded", lambda app, **given: Bounded(app, **{**given, **narrow})
            )
            app = Echo()
            fence = Fence(app, "127.0.0.1", token, tmp_path)
            address = stack.enter_context(serving(fence))
            return Fenced(int(address.rpartition(":")[2]), app, fence)

        yield make


@pytest.mark.parametrize("path", [CALL, UPLOAD])
def test_a_body_that_comes_too_slowly_is_given_up(fenced: Callable[..., Fenced], path: str) -> None:
    page = fenced(seconds=0.05)
    assert status_of(page.port, post("Content-Length: 10", b"12345", path)) == 408
    assert page.app.bodies == []


def test_a_body_that_is_told_to_be_too_large_is_refused_unread(
    fenced: Callable[..., Fenced],
) -> None:
    page = fenced()
    for path, most in ((CALL, 2**20), (UPLOAD, fencing.MAX_UPLOAD + 2**16)):
        assert status_of(page.port, post(f"Content-Length: {most + 1}", b"", path)) == 413
    assert page.app.bodies == []


def test_requests_beyond_the_bound_are_told_to_come_again(fenced: Callable[..., Fenced]) -> None:
    page = fenced(at_once=1)
    with connected(page.port) as first:
        first.sendall(post("Content-Length: 10", b"", UPLOAD))
        until(lambda: page.bounded.under_way == 1)
        for sent in (get(path="/"), post("Content-Length: 2", b"{}", CALL)):
            with connected(page.port) as second:
                second.sendall(sent)
                refusal = answer(second)
            assert b" 503 " in refusal
            assert b"retry-after: 1" in refusal
    until(lambda: page.bounded.under_way == 0)
    assert status_of(page.port, get(path="/")) == 200


def test_bodies_that_wait_together_are_bounded(fenced: Callable[..., Fenced]) -> None:
    page = fenced(held_bytes=1200)
    with connected(page.port) as slow:
        slow.sendall(post("Content-Length: 1000", bytes(900), UPLOAD))
        until(lambda: page.bounded._held == 900)
        assert status_of(page.port, post("Content-Length: 400", bytes(400), UPLOAD)) == 503
    until(lambda: page.bounded._held == 0)
    sent = post("Content-Length: 400\r\nConnection: close", bytes(400), UPLOAD)
    assert status_of(page.port, sent) == 200
    assert page.app.bodies == [bytes(400)]


def test_who_may_not_ask_takes_nobodys_place(fenced: Callable[..., Fenced]) -> None:
    page = fenced(token=TOKEN, at_once=1, held_bytes=100)
    with ExitStack() as stack:
        for _ in range(3):
            slow = stack.enter_context(connected(page.port))
            slow.sendall(post("Content-Length: 1000", bytes(500), UPLOAD))
            assert slow.recv(65536).startswith(b"HTTP/1.1 401")
        assert (page.bounded.under_way, page.bounded._held) == (0, 0)
        assert status_of(page.port, get(path="/config", Authorization=f"Bearer {TOKEN}")) == 200
