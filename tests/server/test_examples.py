"""The example clients do what they say."""

import os
import socket
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image

from .conftest import PATIENCE, Start

EXAMPLES = Path(__file__).parents[2] / "examples"


def done(environment: dict[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    """Run an example to its end."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=EXAMPLES,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def run(environment: dict[str, str], *words: str) -> list[str]:
    """Run an example and return the lines it prints."""
    ended = done(environment, *words)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def index(environment: dict[str, str]) -> None:
    """Index the pictures in a process of its own, beside the running server."""
    command = [sys.executable, "-m", "mcp_vlsearch", "index"]
    subprocess.run(command, env=environment, capture_output=True, timeout=PATIENCE, check=True)


@pytest.fixture
def installed(tmp_path: Path, environment: dict[str, str], command: list[str]) -> dict[str, str]:
    """The environment in which ``mcp-vlsearch`` is found."""
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "mcp-vlsearch"
    program.write_text(f'#!/bin/sh\nexec {" ".join(command[:-1])} "$@"\n')
    program.chmod(0o755)
    return {**environment, "PATH": os.pathsep.join((str(programs), environment["PATH"]))}


def test_the_stdio_example_indexes_a_folder_and_finds_a_picture(
    pictures: Path, installed: dict[str, str]
) -> None:
    lines = run(installed, "stdio_client.py", str(pictures), "green")
    assert lines[0].split()[0] == "1"
    assert lines[0].endswith(str(pictures / "green.png"))
    assert len(lines) == 5


def test_the_stdio_example_ends_with_what_the_server_says_is_wrong(
    pictures: Path, installed: dict[str, str]
) -> None:
    ended = done(installed, "stdio_client.py", str(pictures), " ")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == "the query is empty: say what the picture shows"
    assert "Traceback" not in ended.stderr


def relevances(lines: list[str]) -> list[dict[str, str]]:
    """Return, of each search of a session, how relevant each file is said to be, best first."""
    found: list[dict[str, str]] = []
    for line in lines:
        match line.split():
            case ["|", "1.", name, relevance, *_]:
                found.append({name: relevance})
            case ["|", _, name, "strong" | "likely" | "weak" as relevance, *_]:
                found[-1][name] = relevance
    return found


def test_the_agent_session_goes_from_a_wish_to_one_picture_at_night(
    tmp_path: Path, installed: dict[str, str]
) -> None:
    out = tmp_path / "session"
    lines = run(installed, "agent_session.py", "--out", str(out))
    assert len(list((out / "pictures").iterdir())) == 32
    assert [line.split(" | ")[0].strip() for line in lines].count("user") == 3
    sheet, single, week = (out / f"{n}.jpg" for n in ("1-sheet", "2-picture", "3-that-week"))
    for file in (sheet, single, week):
        with Image.open(file) as picture:
            assert 500 < max(picture.size) <= 1568
    assert "Here it is: " in lines[-1]
    night = Path(lines[-1].split("Here it is: ")[1])
    day = next(line.split(" | 1. ")[1].split()[0] for line in lines if " | 1. " in line)
    taken = [datetime.strptime(name, "IMG_%Y%m%d_%H%M") for name in (Path(day).stem, night.stem)]
    assert timedelta(days=3) < taken[1] - taken[0] < timedelta(days=4), "the same scene's night"
    by_words, at_night, that_week = relevances(lines)
    assert "weak" not in {by_words[Path(day).name], by_words[night.name]}
    assert set(list(by_words.values())[9:]) == {"weak"}, "the tail, which shows other things"
    assert "weak" not in {at_night[night.name], that_week[night.name]}
    assert not any("next step" in line for line in lines), "nothing speaks of a failed search"


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


@pytest.mark.parametrize(
    ("token", "query", "line"),
    [
        ("wrong", "green", "refuses the token: set MCP_VLSEARCH_TOKEN to the server's"),
        ("", "green", "refuses the token: set MCP_VLSEARCH_TOKEN to the server's"),
        ("secret", " ", "the query is empty: say what the picture shows"),
    ],
)
def test_the_http_example_says_in_one_line_what_is_wrong(
    environment: dict[str, str], start: Start, token: str, query: str, line: str
) -> None:
    url = start(token="secret").url
    here = {**environment, "MCP_VLSEARCH_URL": url, "MCP_VLSEARCH_TOKEN": token}
    ended = done(here, "http_client.py", query)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.endswith(f"{line}\n")
    assert len(ended.stderr.splitlines()) == 1


def test_the_http_example_says_that_no_server_is_running(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/mcp"
    ended = done({**environment, "MCP_VLSEARCH_URL": url}, "http_client.py", "green")
    assert ended.stderr.startswith(f"can't reach {url} (")
    assert len(ended.stderr.splitlines()) == 1
