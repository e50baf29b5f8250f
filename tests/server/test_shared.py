"""Servers over stdio share one process that holds the model, and lose no call when it dies."""

import hmac
import json
import os
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from mcp_vlsearch.encoders.address import Address, Place
from mcp_vlsearch.encoders.sharing import _key, find_or_start
from mcp_vlsearch.errors import EncoderError
from mcp_vlsearch.server import shared
from mcp_vlsearch.server.shared import Notice, Proving, UntilIdle
from mcp_vlsearch.settings import load_settings

from .conftest import PATIENCE
from .test_tools import data_of, names_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals and named pipes")


@pytest.fixture
def loads(tmp_path: Path) -> Iterator[Path]:
    """A file with the numbers of the processes that loaded the model; they are ended at last."""
    file = tmp_path / "loads"
    file.touch()
    yield file
    for process in processes(file):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


@pytest.fixture
def sharing(environment: dict[str, str], loads: Path, tmp_path: Path) -> dict[str, str]:
    return {
        **environment,
        "MCP_VLSEARCH_SHARE": "auto",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "HOME": str(tmp_path),
        "FAKE_LOADS": str(loads),
    }


@pytest.fixture
def server(command: list[str], sharing: dict[str, str]) -> StdioServerParameters:
    return StdioServerParameters(command=command[0], args=command[1:], env=sharing)


def processes(loads: Path) -> list[int]:
    return [int(line) for line in loads.read_text().split()]


def address_files(tmp_path: Path) -> list[Path]:
    return list(tmp_path.rglob("shared/*.json"))


def address_file(tmp_path: Path) -> Path:
    (file,) = address_files(tmp_path)
    return file


@pytest.mark.anyio
async def test_eight_servers_at_once_load_one_model(
    server: StdioServerParameters, loads: Path
) -> None:
    async def use(number: int) -> None:
        async with Client(server) as client:
            await client.call_tool("index_images")
            colour = ("red", "green", "blue", "yellow")[number % 4]
            found = await client.call_tool("search_by_text", {"query": colour})
            assert names_of(found)[0] == f"{colour}.png"

    with anyio.fail_after(2 * PATIENCE):
        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(use, number)
    assert len(processes(loads)) == 1


@pytest.mark.anyio
async def test_no_call_is_lost_when_the_process_is_killed_in_the_middle(
    sharing: dict[str, str], command: list[str], loads: Path, pictures: Path, tmp_path: Path
) -> None:
    pipe = tmp_path / "hang"
    pipe.touch()  # nothing is held up yet
    environment = {**sharing, "FAKE_HANG": str(pipe)}
    server = StdioServerParameters(command=command[0], args=command[1:], env=environment)
    reports: list[Any] = []
    found: list[str] = []

    async def index(client: Client) -> None:
        reports.append(data_of(await client.call_tool("index_images", {"force": True})))

    async def search(client: Client) -> None:
        await client.call_tool("search_by_text", {"query": "blue"})
        result = await client.call_tool(
            "search_by_image", {"image": str(pictures / "blue.png"), "text": "blue"}
        )
        assert not result.is_error
        found.append("answered")

    def kill_while_it_encodes() -> None:
        with pipe.open("w"):  # which waits until the encoder reads
            pipe.unlink()
            pipe.touch()  # the next process is not held up
            (process,) = processes(loads)
            os.kill(process, signal.SIGKILL)

    with anyio.fail_after(2 * PATIENCE):
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(Client(server)) for _ in range(8)]
            await clients[0].call_tool("index_images")
            pipe.unlink()
            os.mkfifo(pipe)
            async with anyio.create_task_group() as group:
                group.start_soon(index, clients[0])
                for client in clients[1:]:
                    group.start_soon(search, client)
                await anyio.to_thread.run_sync(kill_while_it_encodes)
    (report,) = reports
    assert (report["encoded"], report["failed"]) == (5, 0)
    assert len(found) == 7
    assert len(processes(loads)) == 2


@pytest.mark.anyio
async def test_only_the_user_can_read_the_token_and_only_the_token_lets_in(
    server: StdioServerParameters, tmp_path: Path, loads: Path
) -> None:
    async with Client(server) as client:
        await client.call_tool("index_images")
    file = address_file(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    content = json.loads(file.read_text())
    assert content["url"].startswith("http://127.0.0.1:")
    health = f"{content['url']}/health"
    assert httpx2.get(health, trust_env=False).status_code == 401
    token = {"authorization": f"Bearer {content['secret']}"}
    assert httpx2.get(health, headers=token, trust_env=False).status_code == 200
    (process,) = processes(loads)
    assert content["secret"] not in Path(f"/proc/{process}/cmdline").read_text()


@pytest.mark.anyio
async def test_a_library_is_the_same_with_and_without_sharing(
    command: list[str], environment: dict[str, str], server: StdioServerParameters
) -> None:
    alone = StdioServerParameters(command=command[0], args=command[1:], env=environment)
    async with Client(alone) as client:
        assert data_of(await client.call_tool("index_images"))["encoded"] == 5
    async with Client(server) as client:
        report = data_of(await client.call_tool("index_images"))
        status = data_of(await client.call_tool("library_status"))
    assert (report["encoded"], report["unchanged"]) == (0, 5)
    assert (status["encoder"]["name"], status["encoder"]["device"]) == ("colour", "cpu")


def test_a_cache_folder_that_cannot_be_written_is_one_line_with_the_way_around(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    folder = "mcp_vlsearch.encoders.sharing.user_cache_path"
    monkeypatch.setattr(folder, lambda *_, **__: tmp_path / "cache")
    with pytest.raises(
        EncoderError, match=r"can't start \(.+cache.+\): give --share off"
    ) as caught:
        find_or_start(load_settings({"library": tmp_path}, environment={}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "matters"),
    [("CUDA_VISIBLE_DEVICES", True), ("HIP_VISIBLE_DEVICES", True), ("OMP_NUM_THREADS", False)],
)
def test_servers_that_see_other_devices_share_no_process(
    variable: str, matters: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings({"library": tmp_path}, environment={})
    keys = []
    for value in ("0", "1", "0"):
        monkeypatch.setenv(variable, value)
        keys.append(_key(settings))
    assert keys[0] == keys[2]
    assert (keys[0] != keys[1]) is matters


@pytest.mark.anyio
async def test_no_call_is_lost_when_the_process_ends_by_itself_between_calls(
    server: StdioServerParameters, loads: Path, tmp_path: Path
) -> None:
    async with Client(server) as client:
        await client.call_tool("index_images")
        (first,) = processes(loads)
        os.kill(first, signal.SIGTERM)  # as it does to itself once it was idle for long
        with Place(address_file(tmp_path)).lock().acquire(timeout=PATIENCE):
            assert not address_files(tmp_path), "taken back"
        found = await client.call_tool("search_by_text", {"query": "red"})
    assert names_of(found)[0] == "red.png"
    assert len(processes(loads)) == 2


def test_a_process_takes_its_address_back_before_it_ends_and_never_tells_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path / "key.auto.json")
    with place.lock():
        notice = Notice(place, "http://127.0.0.1:1", "secret")
        notice.tell("auto")
        notice.tell("bf16")
        assert place.find() == Address("http://127.0.0.1:1", "secret", "bf16")
        there: list[bool] = []
        signalled = "mcp_vlsearch.server.shared.os.kill"
        monkeypatch.setattr(
            signalled, lambda *_: there.append((tmp_path / "key.auto.json").exists())
        )
        shared._end(notice)
        assert there == [False]
        notice.tell("int8")
        assert not (tmp_path / "key.auto.json").exists()


def test_the_process_proves_itself_without_being_told_its_secret() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("the application")(scope, receive, send)

    client = TestClient(Proving(app, "http://here", "secret"))
    expected = hmac.digest(b"secret", b"http://here 123", "sha256").hex()
    assert client.get("/proof", params={"nonce": "123"}).json() == {"proof": expected}
    assert client.get("/health").text == "the application"


class Clock:
    """Stands in for threading.Timer; the test says when time is up."""

    started: "list[Clock]" = []  # noqa: RUF012 - emptied by the test

    def __init__(self, seconds: float, call: Callable[[], None]) -> None:
        self.seconds, self.call = seconds, call
        self.daemon = self.cancelled = False

    def start(self) -> None:
        self.started.append(self)

    def cancel(self) -> None:
        self.cancelled = True


def test_the_process_ends_after_a_time_without_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "Timer", Clock)
    monkeypatch.setattr(Clock, "started", [])
    ended: list[bool] = []
    during: list[list[bool]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            during.append([clock.cancelled for clock in Clock.started])
            await PlainTextResponse("done")(scope, receive, send)

    idle = UntilIdle(app, 600, lambda: ended.append(True))
    client = TestClient(idle)
    assert client.get("/").text == client.get("/").text == "done"
    assert during == [[True], [True, True]], "no time runs while a request is under way"
    *_, last = Clock.started
    assert (last.seconds, last.cancelled, ended) == (600, False, [])
    last.call()
    assert ended == [True]
    assert shared._IDLE == 600
