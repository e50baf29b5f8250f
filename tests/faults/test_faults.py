"""What goes wrong around a library costs a line and the batch in flight, never what was done."""

import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mcp_vlsearch.cache import database
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.progress import Progress
from mcp_vlsearch.errors import LibraryBusyError, LibraryError, OutOfMemoryError
from tests.core.conftest import paint
from tests.core.mosaic import MosaicEncoder
from tests.faults.conftest import Mount, unmount

LATER = 10 * 365 * 86400


def opened(folder: Path, **flags: object) -> Library:
    return Library.open(folder, encoder="mosaic", model="colours", **flags)


def test_a_disk_that_fills_up_keeps_finished_batches_and_the_run_goes_on(
    tmp_path: Path, photos: Path, mount: Mount
) -> None:
    for seed in range(10, 120):
        paint(photos / f"{seed}.png", seed)
    disk = tmp_path / "disk"
    disk.mkdir()
    mount("-t", "tmpfs", "-o", "size=700k", "tmpfs", disk)
    with opened(disk / "library") as small:
        small.allow([photos])
        small.index([photos / "trip"])
        (disk / "ballast").write_bytes(bytes(20_000))
        with suppress(OSError), (disk / "ballast").open("ab") as ballast:
            while True:
                ballast.write(bytes(4096))
                ballast.flush()
        with pytest.raises(LibraryError, match=r"disk|space"):
            small.index()
        assert small.search_by_text("red").searched_images >= 5, "searching goes on"
        done = small.status().images
    (disk / "ballast").unlink()
    mount("-o", "remount,size=8m", disk)
    with opened(disk / "library") as small:
        report = small.index()
        assert report.total_images == 120
        assert report.encoded == 120 - done


def test_a_library_that_can_only_be_read_is_searched_and_says_that_it_is_not_written(
    library: Library, mount: Mount
) -> None:
    library.index()
    library.close()
    folder = library.settings.library
    mount("--bind", folder, folder)
    mount("-o", "remount,bind,ro", folder)
    with opened(folder, read_only=True) as sealed:
        assert sealed.search_by_text("red").searched_images == 10
        with pytest.raises(LibraryError, match="unset MCP_VLSEARCH_READ_ONLY"):
            sealed.index()
    with opened(folder) as sealed:
        assert sealed.search_by_text("red").searched_images == 10
        with pytest.raises(LibraryError, match=r"can't be written \(Read-only file system\)"):
            sealed.index()


def test_a_database_locked_by_another_process_is_read_and_a_writer_says_who_is_at_it(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index()
    library.close()
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    script = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "c.execute('BEGIN IMMEDIATE'); print('locked', flush=True); sys.stdin.read()"
    )
    file = library.settings.library / "library.db"
    command = [sys.executable, "-c", script, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"locked\n"
        with opened(library.settings.library) as other:
            assert other.search_by_text("red").searched_images == 10
            paint(photos / "new.png", 99)
            with pytest.raises(LibraryBusyError, match="another process is writing"):
                other.index()
    with opened(library.settings.library) as other:
        assert other.index().total_images == 11


@pytest.mark.parametrize("jump", [-LATER, LATER], ids=["back", "ahead"])
def test_a_clock_that_jumps_changes_nothing(
    library: Library, monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    def shown(progress: Progress) -> None:
        if progress.done >= 4:
            monkeypatch.setattr(time, "time", lambda: now + jump)

    now = time.time()
    report = library.index(report=shown)
    assert report.encoded == 10
    assert 0 <= report.seconds < 60
    assert library.index().unchanged == 10
    assert 0 <= library.search_by_text("red").seconds < 60


def test_a_root_that_is_unmounted_in_the_middle_loses_nothing(
    library: Library, photos: Path, tmp_path: Path, mount: Mount
) -> None:
    def pull(progress: Progress) -> None:
        if progress.total and progress.done >= 4:
            unmount(root)

    library.index()
    root = tmp_path / "drive"
    root.mkdir()
    mount("--bind", photos, root)
    library.allow([root])
    library.index([root])
    for seed in range(20, 60):
        paint(root / f"{seed}.png", seed)
    report = library.index([root], report=pull)
    assert report.removed == 0
    assert not list(root.iterdir())
    assert library.index([root]).removed == 0
    mount("--bind", photos, root)
    assert library.index([root]).failed == 0
    assert library.status().files == 60


@pytest.mark.parametrize("error", [OutOfMemoryError("too large: lower it"), MemoryError()])
def test_memory_that_runs_out_in_the_encoder_keeps_finished_batches(
    library: Library, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    whole = MosaicEncoder.encode_images

    def short(self: MosaicEncoder, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        if len(MosaicEncoder.encoded) == 1:
            raise error
        return whole(self, images)

    with monkeypatch.context() as patch:
        patch.setattr(MosaicEncoder, "encode_images", short)
        with pytest.raises(type(error)):
            library.index()
    assert library.status().images == 4
    assert library.index().encoded == 6
