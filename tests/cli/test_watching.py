"""``index --watch`` indexes, goes on with a line for each change, and ends with Ctrl-C."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from PIL import Image

from mcp_vlsearch.types import IndexReport

from .conftest import COLOURS, Run, start

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")


@contextmanager
def watching(*arguments: str | Path) -> Iterator["subprocess.Popen[str]"]:
    """Start a command; kill it if the test fails before it ends."""
    with start("index", *arguments, "--watch") as process:
        try:
            yield process
        finally:
            process.kill()


def stream(given: IO[str] | None) -> IO[str]:
    assert given is not None
    return given


def ended(process: "subprocess.Popen[str]") -> tuple[int, list[str], list[str]]:
    """Send Ctrl-C; return the exit code and what was said since."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return process.returncode, out.splitlines(), err.splitlines()


def test_with_json_every_line_is_a_report(pictures: Path) -> None:
    with watching(pictures, "--encoder", "colours", "--json") as process:
        out = stream(process.stdout)
        first = IndexReport.model_validate_json(out.readline())
        assert (first.added, first.complete) == (len(COLOURS), True)
        Image.new("RGB", (50, 30), "yellow").save(pictures / "yellow.png")
        second = IndexReport.model_validate_json(out.readline())
        assert (second.added, second.encoded, second.total_images) == (1, 1, len(COLOURS) + 1)
        (pictures / "yellow.png").rename(pictures / "renamed.png")
        assert IndexReport.model_validate_json(out.readline()).moved == 1
        (pictures / "renamed.png").unlink()
        assert IndexReport.model_validate_json(out.readline()).removed == 1
        code, rest, err = ended(process)
    assert (code, rest) == (0, [])
    assert err[-1] == "stopped watching"
    assert "watching 1 root; Ctrl-C stops it" in err
    assert not [line for line in err if "Traceback" in line]


def test_a_change_is_a_line_and_a_failure_says_why(pictures: Path) -> None:
    with watching(pictures, "--encoder", "colours") as process:
        out = stream(process.stdout)
        lines = iter(out.readline, "")
        assert any(line.startswith("encoder: ") for line in lines)
        Image.new("RGB", (50, 30), "yellow").save(pictures / "yellow.png")
        assert next(lines).startswith("1 added in ")
        (pictures / "broken.png").write_bytes(b"no picture")
        assert next(lines).startswith("1 failed in ")
        code, _, err = ended(process)
    assert code == 0
    [failure] = [line for line in err if line.startswith("failed: ")]
    assert "broken.png: the file is not a picture" in failure
    since = err[err.index("watching 1 root; Ctrl-C stops it") + 1 :]
    assert not [line for line in since if line.startswith(("scanning", "indexing"))]


def test_watching_goes_into_subfolders(run: Run, pictures: Path) -> None:
    result = run("index", pictures, "--watch", "--no-recursive")
    assert result.code == 2
    assert "leave out --no-recursive" in result.err


def test_a_server_that_only_reads_can_not_watch(run: Run, pictures: Path) -> None:
    result = run("serve", "--root", pictures, "--watch", "--read-only")
    assert result.code == 2
    assert (
        result.err == "error: watching writes into the library: leave out --watch or --read-only\n"
    )


def test_the_setting_is_for_servers_alone(
    run: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCP_VLSEARCH_WATCH", "true")
    assert run("index", pictures, "--encoder", "colours").code == 0
