"""Libraries of plain coloured pictures, and servers over them in this process and in others."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
from PIL import Image

from mcp_vlsearch import plugins
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.settings import load_settings
from tests.conftest import CHOSEN_INDEX

from . import fake
from .fake import COLOURS, ColourEncoder

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "src"
PATIENCE = 60
"""Seconds after which another process is taken to hang."""


class MakeLibrary(Protocol):
    def __call__(self, **settings: Any) -> Library: ...


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return a folder with a plain picture of each colour."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, colour in COLOURS.items():
        Image.new("RGB", (32, 24), colour).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[ColourEncoder]]:
    """Return the fake encoder, registered as "colour" and "broken", with its gate open."""
    for name, made in (("colour", "ColourEncoder"), ("broken", "BrokenEncoder")):
        monkeypatch.setitem(plugins.BUILT_IN["encoders"], name, f"{fake.__name__}:{made}")
    monkeypatch.setattr(ColourEncoder, "loading", threading.Event())
    monkeypatch.setattr(ColourEncoder, "gate", threading.Event())
    monkeypatch.setattr(ColourEncoder, "encoded", [])
    monkeypatch.setattr(ColourEncoder, "before_batch", staticmethod(lambda _: None))
    ColourEncoder.gate.set()
    yield ColourEncoder
    ColourEncoder.gate.set()


@pytest.fixture
def make_library(
    tmp_path: Path, pictures: Path, encoder: type[ColourEncoder]
) -> Iterator[MakeLibrary]:
    """Return a function that opens the library of the pictures with given settings."""
    opened: list[Library] = []

    def make(**settings: Any) -> Library:
        flags = {
            "library": tmp_path / "library",
            "roots": (pictures,),
            "encoder": encoder.name,
            "model": "plain",
            **settings,
        }
        library = Library(load_settings(flags, environment=CHOSEN_INDEX))
        opened.append(library)
        return library

    yield make
    for library in opened:
        library.close()


@pytest.fixture
def library(make_library: MakeLibrary) -> Library:
    """Return a library with the pictures indexed."""
    library = make_library()
    library.index()
    return library


@pytest.fixture
def environment(tmp_path: Path, pictures: Path) -> dict[str, str]:
    """Return what makes another process use the fake encoder over the pictures.

    The encoder gets there as a third party's would: through an entry point of an installed package.
    """
    installed = tmp_path / "installed"
    package = installed / "fake-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: fake\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(
        "[mcp_vlsearch.encoders]\ncolour = fake:ColourEncoder\nbroken = fake:BrokenEncoder\n"
    )
    return {
        **os.environ,
        "FAKE_NOISE": "1",
        "PYTHONPATH": os.pathsep.join(map(str, (installed, HERE, SOURCES))),
        "MCP_VLSEARCH_LIBRARY": str(tmp_path / "library"),
        "MCP_VLSEARCH_SHARE": "off",
        "MCP_VLSEARCH_ROOTS": str(pictures),
        "MCP_VLSEARCH_ENCODER": "colour",
        "MCP_VLSEARCH_MODEL": "plain",
    }


@pytest.fixture
def command() -> list[str]:
    """Return the command that starts the server."""
    return [sys.executable, "-m", "mcp_vlsearch", "serve"]


class Server:
    """A running server, what it said on stderr, and where it is from here."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.said = ""
        assert process.stderr is not None
        for line in process.stderr:
            self.said += line
            if found := re.match(r"serving MCP at http://\S*:(\d+)/mcp", line):
                self.url = f"http://127.0.0.1:{found[1]}/mcp"
                return
        raise AssertionError(f"the server did not start: {self.said}")


class Start(Protocol):
    def __call__(self, *flags: str, token: str = "") -> Server: ...


@pytest.fixture
def start(command: list[str], environment: dict[str, str]) -> Iterator[Start]:
    """Return a function that starts a server on a free port."""
    with ExitStack() as stack:

        def start(*flags: str, token: str = "") -> Server:
            process = subprocess.Popen(
                [*command, "--transport", "http", "--port", "0", *flags],
                env={**environment, "MCP_VLSEARCH_TOKEN": token},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return Server(process)

        yield start
