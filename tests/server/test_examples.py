"""The example clients do what they say."""

import os
import subprocess
import sys
from pathlib import Path

from .conftest import PATIENCE, Start

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(environment: dict[str, str], *words: str) -> list[str]:
    """Run an example and return the lines it prints."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=EXAMPLES,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def index(environment: dict[str, str]) -> None:
    """Index the pictures in a process of its own, beside the running server."""
    command = [sys.executable, "-m", "mcp_vlsearch", "index"]
    subprocess.run(command, env=environment, capture_output=True, timeout=PATIENCE, check=True)


def test_the_stdio_example_indexes_a_folder_and_finds_a_picture(
    tmp_path: Path, pictures: Path, environment: dict[str, str], command: list[str]
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "mcp-vlsearch"
    program.write_text(f'#!/bin/sh\nexec {" ".join(command[:-1])} "$@"\n')
    program.chmod(0o755)
    path = os.pathsep.join((str(programs), environment["PATH"]))
    lines = run({**environment, "PATH": path}, "stdio_client.py", str(pictures), "green")
    assert lines[0].split()[0] == "1"
    assert lines[0].endswith(str(pictures / "green.png"))
    assert len(lines) == 5


def test_the_http_example_searches_a_running_server(
    pictures: Path, environment: dict[str, str], start: Start
) -> None:
    server = start(token="secret")
    here = {**environment, "MCP_VLSEARCH_URL": server.url, "MCP_VLSEARCH_TOKEN": "secret"}
    assert run(here, "http_client.py", "green") == []
    index(environment)
    lines = run(here, "http_client.py", "green")
    assert lines[0].split()[:2] == ["1", "strong"]
    assert lines[0].endswith(str(pictures / "green.png"))
    assert len(lines) == 5
