"""Servers over stdio share one process that holds the model, and lose no call when it dies."""

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

from mcp_vlsearch.encoders.sharing import _key, find_or_start
from mcp_vlsearch.errors import EncoderError
from mcp_vlsearch.server import shared
from mcp_vlsearch.server.shared import UntilIdle
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


def address_file(tmp_path: Path) -> Path:
    (file,) = tmp_path.rglob("shared/*.json")
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
    os.mkfifo(pipe)
    environment = {**sharing, "FAKE_HANG": str(pipe)}
    server = StdioServerParameters(command=command[0], args=command[1:], env=environment)
    reports: list[Any] = []
    found: list[str] = []

    async def index(client: Client) -> None:
        reports.append(data_of(await client.call_tool("index_images")))

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
        await client.call_tool("search_by_text", {"query": "red"})
    file = address_file(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    content = json.loads(file.read_text())
    assert content["url"].startswith("http://127.0.0.1:")
    health = f"{content['url']}/health"
    assert httpx2.get(health, trust_env=False).status_code == 401
    token = {"authorization": f"Bearer {content['token']}"}
    assert httpx2.get(health, headers=token, trust_env=False).status_code == 200
    (process,) = processes(loads)
    assert content["token"] not in Path(f"/proc/{process}/cmdline").read_text()


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


def test_a_process_that_ends_removes_its_file_and_not_that_of_one_being_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def start(_: object, file: Path) -> tuple[str, str]:
        """Start as another one ends, whose file is about to be replaced."""
        file.write_text(json.dumps({"url": "http://127.0.0.1:1", "token": "old"}))
        ending = threading.Thread(target=shared._forget, args=(file, "old"))
        ending.start()
        ending.join()
        seen.append(file.exists())
        file.write_text(json.dumps({"url": "http://127.0.0.1:1", "token": "new"}))
        return "http://127.0.0.1:1", "new"

    monkeypatch.setattr("mcp_vlsearch.encoders.sharing._start", start)
    monkeypatch.setattr("mcp_vlsearch.encoders.sharing.user_cache_path", lambda *_, **__: tmp_path)
    monkeypatch.setattr(shared, "_LOCKED", 0.0)
    find_or_start(load_settings({"library": tmp_path}, environment={}))
    assert seen == [True]
    file = address_file(tmp_path)
    shared._forget(file, "old")
    assert "new" in file.read_text()
    shared._forget(file, "new")
    assert not file.exists()


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
