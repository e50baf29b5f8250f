"""One process writes; the next waits, says for whom, and goes on when that one is gone."""

import os
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from mcp_vlsearch.core import writing
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.progress import Progress, silent
from mcp_vlsearch.core.writing import LOCK, WRITER, writer_lock
from tests.processes import Child


def hold(connection: Connection, folder: Path) -> None:
    """Hold the lock until killed, or told to let go."""
    with writer_lock(folder, silent):
        connection.send(os.getpid())
        connection.recv()


class Waiting:
    """Keeps what a writer that waits is told, and then lets it go on by ``then``."""

    def __init__(self, child: Child, kill: bool) -> None:
        self.child = child
        self.kill = kill
        self.said: list[str] = []

    def __call__(self, progress: Progress) -> None:
        if not progress.message.startswith("waiting"):
            return
        if not self.said:
            if self.kill:
                self.child.kill()
            else:
                self.child.send("let go")
                self.child.join()
        self.said.append(progress.message)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_POLL", 0.01)


@pytest.mark.parametrize("kill", [False, True], ids=["that ends", "that is killed"])
def test_a_writer_waits_for_another_one(library: Library, tmp_path: Path, kill: bool) -> None:
    library.status()
    folder = tmp_path / "library"
    child = Child(hold, folder)
    process = child.receive()
    waiting = Waiting(child, kill)
    assert library.index(report=waiting).added == 10
    assert waiting.said[0].startswith(f"waiting for another writer (process {process}, ")
    assert ", since 20" in waiting.said[0]
    assert not (folder / WRITER).exists()


def test_a_note_that_a_killed_writer_left_is_not_taken_for_the_next_ones(tmp_path: Path) -> None:
    child = Child(hold, tmp_path)
    process = child.receive()
    child.kill()
    note = (tmp_path / WRITER).read_text()
    assert str(process) in note
    assert writing.told_writer(tmp_path / WRITER) == "unknown process"


@pytest.mark.parametrize("text", ["", "12", "{", '{"process": "x"}', "\0" * 40])
def test_a_damaged_note_names_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / WRITER).write_text(text)
    assert writing.told_writer(tmp_path / WRITER) == "unknown process"
    with writer_lock(tmp_path, silent):
        assert f"process {os.getpid()}, " in writing.told_writer(tmp_path / WRITER)
    assert not (tmp_path / WRITER).exists()


def test_a_note_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / WRITER).mkdir()
    with writer_lock(tmp_path, silent):
        assert (tmp_path / LOCK).exists()


def test_a_writer_on_another_machine_is_named_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with writer_lock(tmp_path, silent):
        monkeypatch.setattr("platform.node", lambda: "elsewhere")
        assert f"process {os.getpid()} on " in writing.told_writer(tmp_path / WRITER)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["/usr/bin/mcp-vlsearch", "index", "/home/me/private"], "mcp-vlsearch index"),
        (["/x/mcp_vlsearch/__main__.py", "cache", "import", "x"], "mcp-vlsearch cache import"),
        (["/usr/bin/mcp-vlsearch", "serve", "--token", "secret"], "mcp-vlsearch serve"),
        (["/home/me/script.py", "secret"], "script.py"),
    ],
)
def test_the_command_is_told_without_its_arguments(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.setattr("sys.argv", arguments)
    assert writing._command() == said
