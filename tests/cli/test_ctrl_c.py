"""Ctrl-C: what is done stays, and a second one does not wait."""

import os
import signal
import sys
from pathlib import Path

import pytest

from mcp_vlsearch.types import IndexReport, LibraryStatus

from .conftest import COLOURS, Run, start

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="named pipes and SIGINT")


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pipes between the encoder and the test: "reached" a batch, and "go" on."""
    folder = tmp_path / "gate"
    folder.mkdir()
    os.mkfifo(folder / "reached")
    os.mkfifo(folder / "go")
    monkeypatch.setenv("TEST_GATE", str(folder))
    return folder


def status(run: Run) -> LibraryStatus:
    return LibraryStatus.model_validate_json(run("status", "--json").out)


def test_ctrl_c_keeps_finished_batches_and_the_same_command_goes_on(
    gate: Path, pictures: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("index", pictures, "--encoder", "gated")
    with start(*command) as process:
        (gate / "reached").read_text()
        process.send_signal(signal.SIGINT)
        (gate / "go").write_text("")
        out, err = process.communicate()
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == ("stopped: what is done stays; run the same command to go on")
    assert "Traceback" not in err
    assert status(run).images == 2  # the first batch, and the one that was in flight

    monkeypatch.delenv("TEST_GATE")
    report = IndexReport.model_validate_json(run(*command, "--json").out)
    assert (report.unchanged, report.encoded) == (2, len(COLOURS) - 2)


def test_a_second_ctrl_c_does_not_wait_for_the_batch(gate: Path, pictures: Path, run: Run) -> None:
    with start("index", pictures, "--encoder", "gated") as process:
        (gate / "reached").read_text()
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        assert any("Ctrl-C again stops at once" in line for line in lines)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1].startswith("stopped")
    assert "Traceback" not in err
    assert status(run).images == 1


def test_ctrl_c_does_not_wait_for_a_download(gate: Path, pictures: Path) -> None:
    with start("index", pictures, "--encoder", "downloading") as process:
        (gate / "reached").read_text()
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1].startswith("stopped")
