"""A library of plain colours, the example's colour encoder, and ways to run commands."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from mcp_vlsearch import cli
from tests.conftest import CHOSEN_INDEX

REPOSITORY = Path(__file__).parents[2]
COLOURS = ("red", "lime", "blue", "white")


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Run = Callable[..., Result]


def register(folder: Path, owner: str, group: str, **targets: str) -> None:
    """Make plugins known to a Python that has the folder on its path."""
    info = folder / f"{owner}-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {owner}\nVersion: 1\n")
    lines = [f"{name} = {target}" for name, target in targets.items()]
    (info / "entry_points.txt").write_text(f"[mcp_vlsearch.{group}]\n" + "\n".join(lines) + "\n")


@pytest.fixture(scope="session")
def plugin_path(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a path needs for the encoders ``colours``, ``downloading``, ``gated`` and ``broken``."""
    folder = tmp_path_factory.mktemp("plugins")
    register(
        folder,
        "test-encoders",
        "encoders",
        colours="mcp_vlsearch_colours:ColourEncoder",
        downloading="encoders_for_tests:DownloadingEncoder",
        gated="encoders_for_tests:GatedEncoder",
        broken="encoders_for_tests:BrokenEncoder",
    )
    return [str(folder), str(Path(__file__).parent), str(REPOSITORY / "examples/plugin/src")]


@pytest.fixture(autouse=True)
def world(plugin_path: list[str], tmp_path: Path) -> Iterator[None]:
    """The test encoders on the path, no setting of the machine, no library outside the test."""
    with pytest.MonkeyPatch.context() as patch:
        ours = {name for name in os.environ if name.startswith("MCP_VLSEARCH_")}
        for name in ours - CHOSEN_INDEX.keys():
            patch.delenv(name)
        patch.delenv("FORCE_COLOR", raising=False)
        patch.setenv("MCP_VLSEARCH_LIBRARY", str(tmp_path / "library"))
        patch.setenv("PYTHONPATH", os.pathsep.join([*plugin_path, str(REPOSITORY / "src")]))
        for entry in plugin_path:
            patch.syspath_prepend(entry)
        yield


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with a picture of each colour."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for position, colour in enumerate(COLOURS):
        Image.new("RGB", (40 + position, 30), colour).save(folder / f"{colour}.png")
    return folder


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process."""

    def run_command(*arguments: str | Path) -> Result:
        capfd.readouterr()
        code = cli.run([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Result(code, captured.out, captured.err)

    return run_command


@pytest.fixture
def indexed(run: Run, pictures: Path) -> Path:
    """The pictures, indexed."""
    assert run("index", pictures, "--encoder", "colours").code == 0
    return pictures


def start(*arguments: str | Path) -> "subprocess.Popen[str]":
    """Start a command as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "mcp_vlsearch", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
