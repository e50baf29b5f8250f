"""What changes below the roots is taken up by itself, and nothing is forgotten by accident."""

import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import watchfiles

from mcp_vlsearch.core import digest, noticing, watched, watching
from mcp_vlsearch.core.changes import Change, told
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.progress import Progress, silent
from mcp_vlsearch.core.watching import Watcher
from mcp_vlsearch.errors import LibraryError
from mcp_vlsearch.plugins import BUILT_IN
from mcp_vlsearch.types import IndexReport
from tests.core.conftest import paint
from tests.core.mosaic import MosaicEncoder
from tests.processes import Child

PATIENCE = 30
"""Seconds after which a change is taken to be missed."""


class Watched:
    """A watcher that is at work, and all that it said and did."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.changes: list[Change] = []
        self.said: list[str] = []
        self._news = threading.Condition()
        self._stop = threading.Event()
        watcher = Watcher(library, self._tell, self._say, stop=self._stop, quiet=0.05)
        self._thread = threading.Thread(target=watcher.run)
        self._thread.start()

    def until(self, condition: Callable[[], object]) -> None:
        """Wait until a condition holds, which is looked at after everything that is told."""
        with self._news:
            assert self._news.wait_for(condition, PATIENCE), (self.changes, self.said)

    def until_done(self) -> None:
        """Wait until a picture that is added now is known: what came before was looked at."""
        root = Path(self.library.roots()[-1])
        marker = paint(root / f"marker-{len(self.changes)}.png", 1000 + len(self.changes))
        self.until(lambda: str(marker) in known(self.library))

    def totals(self) -> dict[str, int]:
        """Return what became of files in all runs so far, without what is zero."""
        names = ("added", "updated", "moved", "removed", "failed", "encoded")
        sums = {n: sum(getattr(c.report, n) for c in self.changes) for n in names}
        return {name: count for name, count in sums.items() if count}

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def _tell(self, change: Change) -> None:
        with self._news:
            self.changes.append(change)
            self._news.notify_all()

    def _say(self, line: str) -> None:
        with self._news:
            self.said.append(line)
            self._news.notify_all()


Watch = Callable[..., AbstractContextManager[Watched]]


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_TICK", 0.01)
    monkeypatch.setattr(watching, "_ROOTS", 0.02)
    monkeypatch.setattr(watching, "_LONGEST_PAUSE", 0.05)


@contextmanager
def watch(library: Library) -> Iterator[Watched]:
    one = Watched(library)
    try:
        yield one
    finally:
        one.stop()


@pytest.fixture
def indexed(library: Library) -> Library:
    library.index()
    MosaicEncoder.encoded.clear()
    return library


def reopened(library: Library) -> Library:
    """Return the library as another process would have it, with no model loaded."""
    return Library.open(library.settings.library, encoder="mosaic", model="colours")


def known(library: Library) -> set[str]:
    return set(library._catalog.known("/"))


def on_disk(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*.png")}


def test_new_changed_moved_and_deleted_files_are_taken_up(indexed: Library, photos: Path) -> None:
    with watch(indexed) as one:
        new = paint(photos / "new.png", 20)
        one.until(lambda: one.totals() == {"added": 1, "encoded": 1})
        assert indexed.search_by_image(str(new)).hits[0].path == str(new)
        paint(new, 21)
        one.until(lambda: one.totals() == {"added": 1, "updated": 1, "encoded": 2})
        new.rename(photos / "trip" / "moved.png")
        one.until(lambda: one.totals().get("moved") == 1)
        (photos / "trip" / "moved.png").unlink()
        one.until(lambda: one.totals().get("removed") == 1)
        assert known(indexed) == on_disk(photos)
        assert one.totals() == {"added": 1, "updated": 1, "moved": 1, "removed": 1, "encoded": 2}
        assert told(one.changes[0]).startswith("1 added in ")
        assert told(one.changes[0]).endswith(" s: new.png")
        assert one.said == []


def test_what_changed_while_nobody_watched_is_taken_up_first(
    indexed: Library, photos: Path
) -> None:
    paint(photos / "new.png", 20)
    (photos / "0.png").unlink()
    with watch(indexed) as one:
        one.until(lambda: known(indexed) == on_disk(photos))
        assert one.totals() == {"added": 1, "removed": 1, "encoded": 1}


def test_a_first_watch_indexes_what_there_is(library: Library, photos: Path) -> None:
    with watch(library) as one:
        one.until(lambda: known(library) == on_disk(photos))
        assert one.totals() == {"added": 10, "encoded": 10}


def test_a_moved_folder_is_moved_and_nothing_is_encoded(indexed: Library, photos: Path) -> None:
    with watch(indexed) as one:
        one.until_done()
        MosaicEncoder.encoded.clear()
        (photos / "trip").rename(photos / "journey")
        one.until(lambda: known(indexed) == on_disk(photos))
        assert one.totals()["moved"] == 5
        assert "removed" not in one.totals()
        assert MosaicEncoder.encoded == []


def test_a_deleted_folder_is_forgotten(indexed: Library, photos: Path) -> None:
    with watch(indexed) as one:
        one.until_done()
        shutil.rmtree(photos / "trip")
        one.until(lambda: known(indexed) == on_disk(photos))
        assert one.totals()["removed"] == 5


def test_a_copied_tree_is_taken_up_whole(indexed: Library, photos: Path) -> None:
    with watch(indexed) as one:
        one.until_done()
        shutil.copytree(photos / "trip", photos / "deep" / "deeper" / "copy")
        one.until(lambda: known(indexed) == on_disk(photos))
        assert one.totals()["added"] == 6


@pytest.mark.parametrize("vanish", ["renamed", "deleted"])
def test_a_root_that_goes_is_kept_and_one_that_comes_back_is_watched_again(
    indexed: Library, photos: Path, tmp_path: Path, vanish: str
) -> None:
    other = tmp_path / "zoo"
    paint(other / "other.png", 30)
    indexed.allow([other])
    with watch(indexed) as one:
        one.until_done()
        kept = tmp_path / "kept"
        shutil.copytree(photos, kept)
        if vanish == "renamed":
            photos.rename(tmp_path / "elsewhere")
        else:
            shutil.rmtree(photos)
        one.until(lambda: any(f"{photos} is offline" in line for line in one.said))
        one.until_done()
        assert len([path for path in known(indexed) if path.startswith(str(photos))]) == 10
        assert "removed" not in one.totals()
        kept.rename(photos)
        one.until(lambda: any(f"{photos} is there again" in line for line in one.said))
        paint(photos / "new.png", 20)
        one.until(lambda: str(photos / "new.png") in known(indexed))
        assert "removed" not in one.totals()


def test_a_root_that_becomes_empty_is_kept(indexed: Library, photos: Path, tmp_path: Path) -> None:
    """An empty folder is what an unmounted disk leaves."""
    indexed.allow([paint(tmp_path / "zoo" / "other.png", 30).parent])
    with watch(indexed) as one:
        one.until_done()
        photos.rename(tmp_path / "elsewhere")
        photos.mkdir()
        one.until_done()
        one.until_done()
        assert len([path for path in known(indexed) if path.startswith(str(photos))]) == 10


def test_what_went_from_a_root_that_became_empty_is_forgotten_once_it_has_files_again(
    indexed: Library, photos: Path, tmp_path: Path
) -> None:
    indexed.allow([paint(tmp_path / "zoo" / "other.png", 30).parent])

    def below() -> set[str]:
        return {path for path in known(indexed) if path.startswith(str(photos))}

    with watch(indexed) as one:
        one.until_done()
        for entry in photos.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        one.until_done()
        one.until_done()
        assert len(below()) == 10
        new = paint(photos / "new.png", 50)
        one.until(lambda: below() == {str(new)})


def test_a_storm_of_renames_ends_in_what_is_on_disk(indexed: Library, photos: Path) -> None:
    for seed in range(100, 150):
        paint(photos / f"{seed}.png", seed)
    with watch(indexed) as one:
        one.until(lambda: known(indexed) == on_disk(photos))
        for turn in range(4):
            for seed in range(100, 150):
                before = photos / (f"{turn}-{seed}.png" if turn else f"{seed}.png")
                before.rename(photos / f"{turn + 1}-{seed}.png")
        one.until(lambda: known(indexed) == on_disk(photos))
        assert one.totals()["encoded"] == 50, "renaming encodes nothing"
        assert "failed" not in one.totals()


def test_after_very_many_changes_the_whole_root_is_looked_at(
    indexed: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_STORM", 2)
    real = watching._place_of

    def drop(root: str, path: str) -> str | None:
        return None if "lost" in path else real(root, path)

    with watch(indexed) as one:
        one.until_done()
        monkeypatch.setattr(watching, "_place_of", drop)
        for number in range(10):
            paint(photos / f"lost-{number}.png", 40 + number)
        one.until(lambda: known(indexed) == on_disk(photos))


def test_an_editor_that_writes_beside_and_renames_updates_the_picture(
    indexed: Library, photos: Path
) -> None:
    with watch(indexed) as one:
        one.until_done()
        before = one.totals()
        for seed in (50, 51, 52):
            beside = paint(photos / f".0-{seed}.png", seed)
            beside.replace(photos / "0.png")
        one.until(lambda: one.totals().get("updated"))
        one.until_done()
        assert one.totals()["updated"] == 1
        assert one.totals()["added"] == before["added"] + 1, "the marker"
        assert known(indexed) == on_disk(photos)


def test_a_file_that_is_written_in_pieces_never_fails(indexed: Library, photos: Path) -> None:
    data = paint(photos.parent / "aside.png", 60).read_bytes()
    with watch(indexed) as one:
        one.until_done()
        with (photos / "slow.png").open("wb") as file:
            for byte in data:
                file.write(bytes([byte]))
                file.flush()
        one.until(lambda: str(photos / "slow.png") in known(indexed))
        assert "failed" not in one.totals()


def test_what_a_scan_passes_by_is_not_noticed(indexed: Library, photos: Path) -> None:
    with watch(indexed) as one:
        one.until_done()
        for folder in ("@eaDir", ".thumbnails", "trip/.hidden/deep"):
            paint(photos / folder / "small.png", 70)
        paint(photos / ".hidden.png", 71)
        (photos / "notes.txt").write_text("nothing to see")
        one.until_done()
        assert not [path for path in known(indexed) if "hidden" in path or "small" in path]
        assert "failed" not in one.totals()


def test_links_are_followed_as_a_scan_follows_them(
    indexed: Library, photos: Path, tmp_path: Path
) -> None:
    outside = paint(tmp_path / "outside" / "secret.png", 80)
    with watch(indexed) as one:
        one.until_done()
        (photos / "link.png").symlink_to(photos / "0.png")
        (photos / "out.png").symlink_to(outside)
        (photos / "outside").symlink_to(outside.parent)
        one.until(lambda: str(photos / "link.png") in known(indexed))
        paint(outside.parent / "later.png", 81)
        one.until_done()
        assert {Path(one.path).name for one in indexed.failures()} == {"out.png", "outside"}
        assert not [path for path in known(indexed) if "secret" in path or "later" in path]
        assert one.totals().get("encoded", 0) == len(one.changes) - 1, "markers only"


def test_a_single_picture_that_is_a_root_is_watched(library: Library, tmp_path: Path) -> None:
    alone = paint(tmp_path / "alone" / "one.png", 90)
    library.allow([alone])
    library.index()
    with watch(library) as one:
        beside = paint(alone.with_name("beside.png"), 91)
        beside.replace(alone)
        one.until(lambda: one.totals().get("updated") == 1)
        alone.unlink()
        one.until(lambda: one.totals().get("removed") == 1)
        paint(alone, 92)
        one.until(lambda: str(alone) in known(library))
    assert len(known(library)) == 11


def test_a_root_that_another_process_allows_is_taken_up_and_one_removed_is_let_go(
    indexed: Library, tmp_path: Path
) -> None:
    zoo = paint(tmp_path / "zoo" / "zebra.png", 30).parent
    with watch(indexed) as one, reopened(indexed) as other:
        one.until_done()
        other.allow([zoo])
        one.until(lambda: str(zoo / "zebra.png") in known(indexed))
        other.remove([zoo])
        one.until(lambda: indexed.roots() != [str(zoo)])
        one.until_done()
        paint(zoo / "late.png", 31)
        one.until_done()
        assert not [path for path in known(indexed) if "zoo" in path]


def test_of_two_watchers_one_does_the_work_and_the_other_takes_over(
    indexed: Library, photos: Path
) -> None:
    with reopened(indexed) as again, watch(indexed) as first:
        first.until_done()
        with watch(again) as second:
            first.until_done()
            first.until_done()
            assert second.changes == []
            first.stop()
            paint(photos / "new.png", 20)
            second.until(lambda: second.totals() == {"added": 1, "encoded": 1})
            assert len(first.changes) == 3


def _watch_in_a_process(connection: Connection, library: Path) -> None:
    """Watch until killed, and send what is told."""
    BUILT_IN["encoders"]["mosaic"] = "tests.core.mosaic:MosaicEncoder"
    with Library.open(library, encoder="mosaic", model="colours") as opened:
        stop = threading.Event()
        tell = connection.send
        Watcher(opened, lambda c: tell(c.paths), tell, stop=stop, quiet=0.05).run()


def test_a_killed_watcher_leaves_its_work_to_the_next(indexed: Library, photos: Path) -> None:
    child = Child(_watch_in_a_process, indexed.settings.library)
    new = paint(photos / "new.png", 20)
    assert child.receive() == [str(new)]
    with watch(indexed) as one:
        assert child.kill()
        paint(photos / "newer.png", 21)
        one.until(lambda: known(indexed) == on_disk(photos))
        assert one.totals() == {"added": 1, "encoded": 1}


def test_no_error_ends_the_watch_and_each_is_said_once(
    indexed: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = threading.Semaphore(0)
    index = indexed.index

    def fail(*_: Any, **__: Any) -> IndexReport:
        failed.release()
        raise LibraryError("the disk is full: free some space")

    with watch(indexed) as one:
        one.until_done()
        monkeypatch.setattr(indexed, "index", fail)
        paint(photos / "new.png", 20)
        for _ in range(3):
            assert failed.acquire(timeout=PATIENCE)
        monkeypatch.setattr(indexed, "index", index)
        one.until(lambda: str(photos / "new.png") in known(indexed))
        assert [line for line in one.said if "disk is full" in line] == [
            "watching: the disk is full: free some space (trying again, next in 0 s)"
        ]


LISTEN = """
import sys, threading
from mcp_vlsearch.core.noticing import Notices
from mcp_vlsearch.errors import LibraryError
try:
    Notices(sys.argv[1], threading.Event())
except LibraryError as error:
    print(error)
"""


def test_the_systems_limit_of_watches_is_told(photos: Path) -> None:
    for number in range(10):
        (photos / f"folder-{number}").mkdir()
    limited = "echo 5 > /proc/sys/user/max_inotify_watches && exec "
    command = [sys.executable, "-c", LISTEN, str(photos)]
    try:
        done = subprocess.run(
            ["unshare", "--user", "--map-root-user", "sh", "-c", limited + shlex.join(command)],
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no limit of one's own can be set here")
    assert done.stdout.startswith(f"the system tells of no more folders than {photos}")


def test_a_folder_that_may_not_be_listened_to_is_rescanned_with_its_root(
    indexed: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen = watchfiles.watch

    def deny(*folders: str, ignore_permission_denied: bool, **options: Any) -> Any:
        if not ignore_permission_denied:
            raise PermissionError("Permission denied (os error 13)")
        return listen(*folders, ignore_permission_denied=True, **options)

    monkeypatch.setattr(noticing, "watch", deny)
    notices = noticing.Notices(str(photos), threading.Event())
    assert notices.partial
    paint(photos / "new.png", 20)
    touched: set[str] = set()
    while str(photos / "new.png") not in touched:
        touched |= notices.take()
    notices.close()
    root = watched.WatchedRoot(
        str(photos), indexed.settings.library, None, threading.Event(), lambda _: None
    )
    assert root.is_due()
    assert root._every == watched._RESCAN
    root.close()


def refuse(*_: Any, **__: Any) -> Generator[set[tuple[int, str]]]:
    """Stand in for ``watchfiles.watch`` where the system has no watches left."""
    raise OSError('OS file watch limit reached. about ["/photos"]')
    yield set()


def test_where_the_system_has_no_watches_left_roots_are_rescanned(
    indexed: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noticing, "watch", refuse)
    monkeypatch.setattr(watched, "_RESCAN", 0.05)
    with watch(indexed) as one:
        one.until(lambda: one.said)
        assert "fs.inotify.max_user_watches" in one.said[0]
        assert one.said[0].endswith("meanwhile it is rescanned every 0 s or more")
        paint(photos / "new.png", 20)
        one.until(lambda: str(photos / "new.png") in known(indexed))
        (photos / "new.png").rename(photos / "renamed.png")
        one.until(lambda: known(indexed) == on_disk(photos))
        assert one.totals() == {"added": 1, "moved": 1, "encoded": 1}
        assert len(one.said) == 1


def test_rescans_are_bounded_by_what_they_cost(
    indexed: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = watched.WatchedRoot(
        str(photos), indexed.settings.library, 1.0, threading.Event(), lambda _: None
    )
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    try:
        assert root.is_due(), "it is new"
        assert not root.is_due()
        root.looked(0.5)
        now += 9.9
        assert not root.is_due()
        now += 0.2
        assert root.is_due()
    finally:
        root.close()


@pytest.mark.parametrize(
    ("kind", "remote"), [("ext4", False), ("nfs4", True), ("cifs", True), ("fuse.sshfs", True)]
)
def test_network_drives_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, remote: bool
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/x /mnt/my\\040pictures {kind} rw 0 0\n")
    monkeypatch.setattr(noticing, "_MOUNTS", mounts)
    assert noticing.is_remote("/mnt/my pictures/2024") is remote
    assert not noticing.is_remote("/mnt/my")


def test_deletions_and_moves_load_no_model(indexed: Library, photos: Path) -> None:
    with reopened(indexed) as library, watch(library) as one:
        (photos / "0.png").unlink()
        one.until(lambda: one.totals() == {"removed": 1})
        assert library.status().encoder.state == "not loaded"
        (photos / "2.png").rename(photos / "moved.png")
        one.until(lambda: one.totals() == {"removed": 1, "moved": 1})
        assert library.status().encoder.state == "not loaded"
        paint(photos / "new.png", 20)
        one.until(lambda: one.totals().get("added") == 1)
        assert library.status().encoder.state == "ready"


def test_a_file_that_fails_is_not_tried_over_and_over(
    indexed: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noticing, "watch", refuse)
    monkeypatch.setattr(watched, "_RESCAN", 0.01)
    runs: list[str] = []
    looks = threading.Semaphore(0)
    index, news = indexed.index, indexed.news

    def counted(*arguments: Any, **options: Any) -> IndexReport:
        runs.append("run")
        return index(*arguments, **options)

    def looked(*arguments: Any) -> Any:
        looks.release()
        return news(*arguments)

    monkeypatch.setattr(indexed, "index", counted)
    monkeypatch.setattr(indexed, "news", looked)
    locked = paint(photos / "locked.png", 20)
    flags = digest._FLAGS
    monkeypatch.setattr(digest, "_FLAGS", os.O_RDONLY | os.O_DIRECTORY)  # which may pass
    with watch(indexed) as one:
        one.until(lambda: one.totals() == {"failed": 1})
        for _ in range(20):
            assert looks.acquire(timeout=PATIENCE)
        assert runs == ["run"]
        monkeypatch.setattr(digest, "_FLAGS", flags)
        paint(locked, 21)
        one.until(lambda: one.totals().get("encoded") == 1)


def test_a_long_run_stops_between_batches(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del photos
    stop = threading.Event()
    encode = MosaicEncoder.encode_images

    def encode_and_stop(self: MosaicEncoder, images: Any) -> Any:
        stop.set()
        return encode(self, images)

    monkeypatch.setattr(MosaicEncoder, "encode_images", encode_and_stop)
    Watcher(library, lambda _: None, lambda _: None, stop=stop, quiet=0.0).run()
    assert library.status().images == MosaicEncoder.encoded[0] < 10


def test_news_are_told_without_a_model_and_change_nothing(indexed: Library, photos: Path) -> None:
    with reopened(indexed) as library:
        paths = [str(photos), str(photos / "nothing.png")]
        assert not library.news(paths, silent)
        (photos / "0.png").unlink()
        paint(photos / "new.png", 20)
        news = library.news(paths, lambda _: None)
        assert [file.path for file in news.to_read] == [str(photos / "new.png")]
        assert news.gone == [str(photos / "0.png")]
        assert library.status().encoder.state == "not loaded"
        assert library.status().files == 10


def test_the_progress_of_runs_is_told(library: Library, photos: Path) -> None:
    said: list[Progress] = []
    stop = threading.Event()
    tell: Callable[[Change], None] = lambda _: stop.set()  # noqa: E731
    Watcher(library, tell, print, stop=stop, report=said.append, quiet=0.0).run()
    assert any(str(photos) in progress.message for progress in said)
    assert any(progress.message.startswith("indexing") for progress in said)
