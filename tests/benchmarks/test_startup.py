"""Servers over stdio are timed and weighed, with the model once or in each of them."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from benchmarks import startup
from benchmarks._processes import Memory, children, memory, with_argument

from .conftest import tables

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

PLUGIN = Path(__file__).parents[2] / "examples" / "plugin" / "src"
WAITING = "import sys; sys.stdin.read()"


def test_processes_are_found_as_children_and_by_an_argument() -> None:
    assert with_argument("an-argument-of-nobody") == set()
    command = [sys.executable, "-c", WAITING, "an-argument-of-the-child"]
    before = children()
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert children() - before == {process.pid}
        assert with_argument("argument-of-the-child") == {process.pid}
        one = memory(process.pid)
        assert 0 < one.pss <= one.rss < 200
        assert one + one == Memory(2 * one.rss, 2 * one.pss, 2 * one.own)
        startup.end({process.pid})
        assert process.poll() == -signal.SIGTERM
    assert children() == before
    startup.end({process.pid})  # gone already


def test_servers_that_share_have_one_process_with_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    info = tmp_path / "site" / "example-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: example\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[mcp_vlsearch.encoders]\ncolours = mcp_vlsearch_colours:ColourEncoder\n"
    )
    path = [str(info.parent), str(PLUGIN), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    monkeypatch.setenv("MCP_VLSEARCH_ENCODER", "colours")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    out = tmp_path / "startup.json"
    before = children()
    sizes = ["--runs", "1", "--servers", "2", "--pictures", "2"]
    startup.main([*sizes, "--model", "rgb-4x4x4", "--out", str(out)])
    assert children() == before
    assert with_argument(str(tmp_path)) == set(), "no process of the model is left behind"
    help_, start, sharing = tables(out).values()
    assert all(0 < row["seconds"] < 60 for row in help_.values())
    bare, ours, more = (list(row.values())[1:] for row in start.values())
    assert all(value > 0 for value in (*bare, *ours))
    assert more == [a - b for a, b in zip(ours, bare, strict=True)]
    assert all(initialised <= listed for initialised, listed, _ in (bare, ours))
    auto, off = sharing["auto"], sharing["off"]
    assert (auto["encoder processes"], off["encoder processes"]) == ("1", "0")
    assert auto["all RSS, MiB"] > auto["servers RSS, MiB"]
    assert off["all RSS, MiB"] == off["servers RSS, MiB"] > off["all PSS, MiB"]
    assert "Without sharing it is" in capsys.readouterr().out


@pytest.mark.parametrize("flag", ["--runs", "--servers", "--pictures"])
def test_numbers_that_measure_nothing_are_refused(
    flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        startup.main([flag, "0"])
    assert f"argument {flag}: give 1 or more (got 0)" in capsys.readouterr().err
