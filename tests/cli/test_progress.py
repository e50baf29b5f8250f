"""Progress goes to stderr: lines now and then, or a bar on a terminal."""

import signal
from pathlib import Path

import pytest

from mcp_vlsearch.cli.progress import lasting, lines, working
from mcp_vlsearch.core.progress import Progress
from mcp_vlsearch.errors import CancelledError

from .conftest import Run


def test_without_a_terminal_there_is_a_line_per_kind_of_work_and_one_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("mcp_vlsearch.cli.progress.time.monotonic", lambda: now)
    with working() as report:
        for done in range(60):
            now += 0.25  # a fraction that binary numbers have
            report(Progress(done, None, f"scanning {done}"))
        for done in range(30):
            report(Progress(done, 30, f"indexing {done} of 30"))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "scanning 0",
        "scanning 20",
        "scanning 40",
        "indexing 0 of 30",
    ]


def test_kinds_of_work_that_take_turns_are_told_once_each_and_when_they_are_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As the demo's server reports: it loads the model while files are counted and encoded."""
    report = lines()
    for seconds in (1, 2):
        report(Progress(0, None, f"loading the model storybook, {seconds} s"))
        report(Progress(0, 48, "indexing 0 of 48"))
    report(Progress(32, 48, "indexing 32 of 48, 30.0/s, 1 s left"))
    report(Progress(48, 48, "indexing 48 of 48, 30.0/s, 0 s left"))
    report(Progress(48, 48, "indexing 48 of 48"))
    assert capsys.readouterr().err.splitlines() == [
        "loading the model storybook, 1 s",
        "indexing 0 of 48",
        "indexing 48 of 48, 30.0/s, 0 s left",
    ]


def test_work_that_is_over_at_once_is_not_told_where_only_lasting_work_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("mcp_vlsearch.cli.progress.time.monotonic", lambda: now)
    told: list[str] = []
    report = lasting(lambda progress: told.append(progress.message))
    for work in ("short", "another"):
        for seconds in range(3):
            report(Progress(seconds, None, f"{work}, {seconds} s"))
            now += 1
        now += 60
    for seconds in range(8):
        report(Progress(seconds, None, f"long, {seconds} s"))
        now += 1
    assert told == ["long, 5 s", "long, 6 s", "long, 7 s"]


def test_on_a_terminal_there_is_a_bar_on_stderr_only(
    run: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    result = run("index", pictures, "--encoder", "colours")
    assert "\x1b[" in result.err
    assert "indexing 4 of 4" in result.err
    assert "\x1b[" not in result.out


def test_after_ctrl_c_the_next_report_stops_the_work(capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    with working("enough") as report:
        report(Progress(1, 2, "working"))
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(CancelledError, match=r"^enough$"):
            report(Progress(2, 2, "working"))
    assert signal.getsignal(signal.SIGINT) is before
    assert "Ctrl-C again" in capfd.readouterr().err


def test_a_second_ctrl_c_interrupts_at_once() -> None:
    with working():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
