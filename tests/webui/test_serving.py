"""The command ``webui``: address, token, browser, and what it needs."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mcp_vlsearch.cli import run
from mcp_vlsearch.errors import MissingExtraError
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.webui import serve_webui


@pytest.mark.parametrize("given", [(), ("--token", "")], ids=["none given", "an empty one"])
def test_beyond_loopback_it_prints_an_address_with_a_token_once_and_leaves_nothing_behind(
    tmp_path: Path, given: tuple[str, ...]
) -> None:
    library = ("--library", str(tmp_path / "library"))
    arguments = ("--host", "0.0.0.0", "--port", "0", *library, *given)
    program = [sys.executable, "-m", "mcp_vlsearch", "webui", *arguments]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    environment.pop("MCP_VLSEARCH_TOKEN", None)
    with subprocess.Popen(program, stderr=subprocess.PIPE, env=environment, text=True) as server:
        assert server.stderr is not None
        said = (re.search(r":(\d+)/\?token=([\w-]{40,})\s", line) for line in server.stderr)
        try:
            match = next(filter(None, said))
            address = f"http://127.0.0.1:{match[1]}"
            assert httpx2.get(f"{address}/").status_code == 401
            assert httpx2.get(f"{address}/?token=").status_code == 401
            assert httpx2.get(f"{address}/?token={match[2]}").status_code == 200
        finally:
            server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
        assert match[2] not in server.stderr.read()
    assert list(tmp_path.glob("mcp-vlsearch-*")) == []


def test_a_missing_extra_is_told_with_the_line_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mcp-vlsearch\[webui\]'"):
        serve_webui(Settings(library=tmp_path))


@pytest.mark.parametrize(
    ("options", "terminal", "opened"),
    [
        ((), True, True),
        ((), False, False),
        (("--no-open",), True, False),
        (("--open",), False, True),
        (("--host", "0.0.0.0"), True, False),
    ],
)
def test_a_browser_is_opened_in_a_terminal_on_loopback_or_when_asked_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    terminal: bool,
    opened: bool,
) -> None:
    called: list[Any] = []
    monkeypatch.setattr(
        "mcp_vlsearch.webui.serve_webui", lambda *_, is_opened: called.append(is_opened)
    )
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    assert run(["webui", "--library", str(tmp_path), *options]) == 0
    assert called == [opened]


def test_a_root_that_is_not_there_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["webui", "--library", str(tmp_path), "--root", str(tmp_path / "gone")]) == 2
    assert "does not exist: give a folder that does" in capsys.readouterr().err
