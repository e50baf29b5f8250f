"""Nothing leaves the machine: real commands run, and every address they speak to is noted."""

import ast
import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import httpx2
import pytest
from mcp import Client

from mcp_vlsearch.private import keep_private

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
PATIENCE = 90
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
ANYWHERE = {"0.0.0.0", "::", ""}
"""Of this machine when it is looked up, but reached from others when a socket is bound to it."""


def _without_network() -> tuple[str, ...]:
    """Return what runs a command where there is no network at all, nothing where that can't be."""
    alone = ("unshare", "--map-root-user", "--net")
    try:
        can = subprocess.run([*alone, "true"], capture_output=True).returncode == 0
    except OSError:
        can = False
    return alone if can else ()


class Watched:
    """Runs commands in a folder of their own, and knows to which addresses they spoke."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "sockets"
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MCP_VLSEARCH_", "HF_", "TRANSFORMERS_"))
        } | {
            "HOME": str(folder),
            "HF_HOME": str(folder / "hub"),
            "SOCKETS_SEEN": str(self.log),
            "PYTHONPATH": os.pathsep.join(
                [str(HERE / "watched"), str(REPOSITORY / "src"), str(REPOSITORY)]
            ),
        }

    def command(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "mcp_vlsearch", *map(str, arguments)]

    def run(self, *arguments: str | Path, before: tuple[str, ...] = ()) -> str:
        done = subprocess.run(
            [*before, *self.command(*arguments)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def serving(self, command: list[str], address: str) -> Iterator[str]:
        """Run a server until the block is left; give the address that it says, of this form."""
        with subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stderr=subprocess.PIPE, text=True
        ) as server:
            try:
                assert server.stderr is not None
                said = iter(server.stderr.readline, "")
                yield next(found[0] for line in said if (found := re.search(address, line)))
            finally:
                server.terminate()

    def put_into_hubs_cache(self, name: str) -> None:
        """Make the built-in model look as if it had been downloaded."""
        revision = "0" * 40
        place = self.folder / "hub" / "hub" / f"models--{name.replace('/', '--')}"
        checkpoint = str(files("mcp_vlsearch.storybook").joinpath("checkpoint"))
        shutil.copytree(checkpoint, place / "snapshots" / revision)
        (place / "refs").mkdir()
        (place / "refs" / "main").write_text(revision)

    def addresses(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def beyond(self) -> list[str]:
        """Return what was spoken to beyond this machine."""
        return [line for line in self.addresses() if not _is_here(line)]


def _is_here(line: str) -> bool:
    event, _, text = line.partition(" ")
    address = ast.literal_eval(text)
    if isinstance(address, tuple):
        address = address[0]
    if address is None:  # of this machine
        return True
    if isinstance(address, bytes):
        address = os.fsdecode(address)
    is_unix = event != "socket.getaddrinfo" and address.startswith(("/", "\0"))
    return is_unix or address in LOOPBACK or (event != "socket.bind" and address in ANYWHERE)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """Return a demo that has run: it draws, indexes and searches over MCP, in two processes."""
    watched = Watched(tmp_path_factory.mktemp("watched"))
    watched.run("demo", "--out", "demo", "--count", "7", before=_without_network())
    return watched


def test_the_demo_speaks_to_nobody_and_needs_no_network(demo: Watched) -> None:
    """It draws, indexes, and searches by text and picture in a server over stdio."""
    assert (demo.folder / "demo" / "contact-sheet.png").exists()
    assert demo.beyond() == []


def test_a_server_over_http_with_a_model_of_the_hubs_cache_speaks_to_this_machine_only(
    demo: Watched,
) -> None:
    """The model is named by its hub id, so by the code that would download it."""
    demo.put_into_hubs_cache("tester/cached")
    serve = demo.command(
        "serve", "--library", "demo/library", "--transport", "http", "--port", "0",
        "--model", "tester/cached",
    )  # fmt: skip
    with demo.serving(serve, r"http://\S+/mcp") as url:
        hits = asyncio.run(_hits(url))
    assert len(hits) == 7
    assert any(line.startswith("socket.bind ('127.0.0.1'") for line in demo.addresses())
    assert demo.beyond() == []


def test_the_server_of_the_web_page_speaks_to_this_machine_only(demo: Watched) -> None:
    """Gradio would ask for its latest version, for fonts, and to be shared."""
    page = demo.command("webui", "--library", "demo/library", "--port", "0", "--no-open")
    before = len(demo.addresses())
    with demo.serving(page, r"http://[\d.:]+/") as url:
        assert httpx2.get(url).status_code == 200
        assert httpx2.get(f"{url}config").status_code == 200
    assert any(line.startswith("socket.bind") for line in demo.addresses()[before:])
    assert demo.beyond() == []


async def _hits(url: str) -> list[object]:
    async with Client(url) as client:
        found = await client.call_tool("search_by_text", {"query": "a red car"})
    assert found.structured_content, found
    hits: list[object] = found.structured_content["hits"]
    return hits


def test_the_watch_sees_what_would_leave(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    script = (
        "import socket\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.connect(('127.0.0.1', 9))\n"
        "try: s.sendto(b'', ('192.0.2.1', 9))\n"
        "except OSError: pass\n"
        "try: socket.getaddrinfo('example.invalid', 80)\n"
        "except OSError: pass\n"
        "socket.socket().bind(('', 0))\n"
    )
    subprocess.run([sys.executable, "-c", script], env=watched.environment, check=True)
    assert len(watched.addresses()) == 4
    assert [line.split()[0] for line in watched.beyond()] == [
        "socket.sendto", "socket.getaddrinfo", "socket.bind",
    ]  # fmt: skip


def test_telemetry_is_switched_off_unless_the_user_says_otherwise() -> None:
    environment = {"GRADIO_ANALYTICS_ENABLED": "True"}
    keep_private(environment)
    assert environment == {
        "GRADIO_ANALYTICS_ENABLED": "True",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
    }


def test_a_command_switches_it_off_before_anything_is_imported() -> None:
    script = (
        "import os, sys\nsys.argv = ['mcp-vlsearch', '--version']\n"
        "from mcp_vlsearch.cli import main\nmain()\n"
        "from huggingface_hub import constants\n"
        "assert constants.HF_HUB_DISABLE_TELEMETRY\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "HF_HUB_DISABLE_TELEMETRY"}
    environment["PYTHONPATH"] = str(REPOSITORY / "src")
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, timeout=PATIENCE)
