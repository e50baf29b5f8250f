"""Files are written whole or not at all, whoever else writes them."""

import os
import stat
import sys
import threading
from pathlib import Path

import pytest

from mcp_vlsearch.files import write_whole


def test_many_writers_leave_the_whole_text_of_one_and_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "settled.json"
    texts = {str(number) * 50_000 for number in range(8)}
    writers = [threading.Thread(target=write_whole, args=(path, text)) for text in texts]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert path.read_text("utf-8") in texts
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_keeps_the_old_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "settled.json"
    write_whole(path, "old")

    def full(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="full"):
        write_whole(path, "new")
    assert path.read_text("utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="needs modes")
def test_the_mode_holds_from_the_first_byte_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    plain = os.fdopen

    def look(descriptor: int, *arguments: str, **more: str) -> object:
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return plain(descriptor, *arguments, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "fdopen", look)
    write_whole(tmp_path / "secret", "s", 0o600)
    assert seen == [0o600]
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
