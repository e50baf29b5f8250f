"""What is timed are the lines of the quick start, and each step counts once."""

import re
import shlex
from pathlib import Path

import pytest

from benchmarks import first_hit
from benchmarks.first_hit import STEPS, Place, Watch
from mcp_vlsearch.clients.table import client_named

from .conftest import tables

QUICK_START = (Path(__file__).parents[2] / "docs" / "quick-start.md").read_text("utf-8")


def test_the_steps_are_lines_of_the_quick_start() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", QUICK_START, re.DOTALL)
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    assert [step for step in STEPS if shlex.split(step) not in lines] == []


def test_the_configuration_is_where_install_writes_it() -> None:
    assert client_named("claude-desktop").user.format(config=".config") == first_hit.CONFIGURATION


def test_each_way_begins_when_all_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_page(_: Place, watch: Watch) -> None:
        watch.steps += [("looked", 3.0), ("found", 0.5)]

    async def in_client(_: Place, watch: Watch) -> None:
        watch.steps += [("asked", 7.0)]

    made = Watch(steps=[("venv", 2.0), ("pip", 60.0)])
    monkeypatch.setattr(first_hit, "MISSING", "")
    monkeypatch.setattr(first_hit, "install", lambda folder: (made, folder, "It weighs nothing."))
    monkeypatch.setattr(first_hit, "in_page", in_page)
    monkeypatch.setattr(first_hit, "in_client", in_client)
    out = tmp_path / "first_hit.json"
    first_hit.main(["--out", str(out)])
    found = {
        title: {step: (row["seconds"], row["since the start"]) for step, row in rows.items()}
        for title, rows in tables(out).items()
    }
    assert found == {
        "Installed": {"venv": (2.0, 2.0), "pip": (60.0, 62.0)},
        "In the web page": {"looked": (3.0, 65.0), "found": (0.5, 65.5)},
        "In a client": {"asked": (7.0, 69.0)},
    }


def test_a_step_that_fails_or_finds_another_picture_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="it broke"):
        Place(tmp_path, tmp_path).run("sh -c 'echo it broke >&2; exit 3'")
    with pytest.raises(SystemExit, match=r"the first hit is 2\.png, not 1\.png"):
        first_hit.check("2.png", "1.png")
