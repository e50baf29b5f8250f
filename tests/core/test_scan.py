"""A scan finds every picture file once, opens none, and says what it could not see."""

import contextlib
import errno
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from PIL import Image

from mcp_vlsearch.core import decode
from mcp_vlsearch.core import scan as module
from mcp_vlsearch.core.scan import PICTURE_SUFFIXES, Scan, ScannedFile
from mcp_vlsearch.errors import CancelledError
from mcp_vlsearch.formats import PILLOW_FORMATS

from ..pictures import encoded, picture

Entry = os.DirEntry[str]
Change = Callable[[Iterator[Entry]], Iterator[Entry]]


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 7)


@dataclass
class Found:
    """All that a scan gave."""

    files: list[ScannedFile]
    unreadable: list[tuple[str, str]]
    failures: list[tuple[str, str]]


def found(folder: Path, *, recursive: bool = True, roots: list[Path] | None = None) -> Found:
    scan = Scan(str(folder), recursive, [str(r) for r in roots or [folder]])
    files = [ScannedFile(path, *status) for _, part in scan for path, status in part.items()]
    return Found(sorted(files), sorted(scan.unreadable), sorted(scan.failures))


@pytest.fixture
def before_listing(
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Callable[[Path], None]], None]:
    """What lets something happen just before a folder is opened."""
    listed = os.open

    def arrange(happen: Callable[[Path], None]) -> None:
        def late(path: str, flags: int, *mode: int) -> int:
            happen(Path(path))
            return listed(path, flags, *mode)

        monkeypatch.setattr(os, "open", late)

    return arrange


@pytest.fixture
def entries_are(monkeypatch: pytest.MonkeyPatch) -> Callable[[Change], None]:
    """What puts a function between a folder's entries and the scan."""
    list_folder = os.scandir

    def arrange(change: Change) -> None:
        def changed(place: int) -> contextlib.AbstractContextManager[Iterator[Entry]]:
            return contextlib.nullcontext(change(list_folder(place)))

        monkeypatch.setattr(os, "scandir", changed)

    return arrange


def names(result: Found, folder: Path) -> list[str]:
    return [str(Path(file.path).relative_to(folder)) for file in result.files]


def test_pictures_below_a_folder_are_found_in_the_order_of_their_names(tmp_path: Path) -> None:
    touch(*(tmp_path / n for n in ("b.png", "a.JPG", "z/c.heic", "y/x/d.webp", "notes.txt", "jpg")))
    result = found(tmp_path)
    assert names(result, tmp_path) == ["a.JPG", "b.png", "y/x/d.webp", "z/c.heic"]
    assert not result.failures
    assert not result.unreadable


def test_parts_come_in_the_order_of_paths_as_text_each_before_its_bound(tmp_path: Path) -> None:
    inside = ("b/x.jpg", "b-c.jpg", "b.jpg", "b/a/y.jpg", "b!/z.jpg", "c.jpg", "b/x/1.jpg")
    touch(
        *(
            tmp_path / name
            for name in (*inside, "é.jpg", "猫/a.jpg", "猫.jpg", "Z.jpg", "b/x.d/1.jpg")
        )
    )
    parts = list(Scan(str(tmp_path), True, [str(tmp_path)]))
    bounds = [bound for bound, _ in parts]
    assert bounds == sorted(bounds)
    assert sum(len(files) for _, files in parts) == 12
    for before, (bound, files) in zip(["", *bounds], parts, strict=False):
        assert all(before <= path < bound for path in files)


def test_a_file_comes_with_its_size_and_its_time_in_nanoseconds(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg")
    os.utime(tmp_path / "a.jpg", ns=(0, 1_700_000_000_123_456_789))
    (file,) = found(tmp_path).files
    assert (file.path, file.size) == (str(tmp_path / "a.jpg"), 7)
    assert file.mtime_ns == (tmp_path / "a.jpg").stat().st_mtime_ns


def test_a_scan_that_is_not_recursive_stays_in_its_folder(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg", tmp_path / "below" / "b.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "below")
    assert names(found(tmp_path, recursive=False), tmp_path) == ["a.jpg"]


def test_a_path_of_a_file_is_that_file_whatever_its_suffix(tmp_path: Path) -> None:
    touch(tmp_path / "picture.dat")
    assert [f.path for f in found(tmp_path / "picture.dat").files] == [
        str(tmp_path / "picture.dat")
    ]


def test_a_path_that_does_not_exist_gives_nothing(tmp_path: Path) -> None:
    assert found(tmp_path / "gone") == Found([], [], [])


def test_hidden_files_and_what_other_programs_leave_are_skipped(tmp_path: Path) -> None:
    skipped = (".hidden.jpg", "._a.jpg", ".git/a.png", "@eaDir/a.jpg", "__MACOSX/a.jpg")
    touch(tmp_path / "a.jpg", *(tmp_path / name for name in skipped), tmp_path / "Thumbs.db")
    assert names(found(tmp_path), tmp_path) == ["a.jpg"]


def test_a_hidden_folder_is_scanned_if_it_is_asked_for(tmp_path: Path) -> None:
    touch(tmp_path / ".private" / "a.jpg")
    assert names(found(tmp_path / ".private"), tmp_path) == [".private/a.jpg"]


def test_links_are_followed_below_the_roots(tmp_path: Path) -> None:
    touch(tmp_path / "here" / "a.jpg", tmp_path / "there" / "b.jpg", tmp_path / "there" / "c.bin")
    (tmp_path / "here" / "folder").symlink_to(tmp_path / "there")
    (tmp_path / "here" / "file.jpg").symlink_to(tmp_path / "there" / "c.bin")
    result = found(tmp_path / "here", roots=[tmp_path / "here", tmp_path / "there"])
    assert names(result, tmp_path) == ["here/a.jpg", "here/file.jpg", "here/folder/b.jpg"]
    assert not result.failures


def test_links_out_of_the_roots_are_failures_and_not_followed(tmp_path: Path) -> None:
    touch(tmp_path / "root" / "a.jpg", tmp_path / "root-beside" / "b.jpg")
    (tmp_path / "root" / "folder").symlink_to(tmp_path / "root-beside")
    (tmp_path / "root" / "link.jpg").symlink_to(tmp_path / "root-beside" / "b.jpg")
    (tmp_path / "root" / "notes.txt").symlink_to(tmp_path / "root-beside" / "b.jpg")
    result = found(tmp_path / "root")
    assert names(result, tmp_path) == ["root/a.jpg"]
    assert [Path(path).name for path, _ in result.failures] == ["folder", "link.jpg"]
    assert all("outside the roots" in why for _, why in result.failures)


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "b" / "c.jpg")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "b" / "self").symlink_to(tmp_path / "a" / "b" / "self")
    result = found(tmp_path)
    assert names(result, tmp_path) == ["a/b/c.jpg"]


def test_a_folder_that_lies_at_two_places_is_found_at_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mounted twice, or on a disk that tells no inodes."""
    touch(tmp_path / "a" / "1.jpg", tmp_path / "b" / "2.jpg")
    (tmp_path / "b" / "up").symlink_to(tmp_path)
    status = os.stat

    def same(place: str | int) -> os.stat_result:
        return os.stat_result((*status(place)[:1], 0, 0, *status(place)[3:]))

    monkeypatch.setattr(os, "stat", same)
    assert names(found(tmp_path), tmp_path) == ["a/1.jpg", "b/2.jpg"]


def test_a_folder_is_found_at_its_own_place_rather_than_through_a_link(tmp_path: Path) -> None:
    touch(tmp_path / "z" / "a.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "z")
    (tmp_path / "link-2").symlink_to(tmp_path / "link")
    assert names(found(tmp_path), tmp_path) == ["z/a.jpg"]


def test_a_dangling_link_below_the_roots_may_lead_to_a_disk_that_is_off(tmp_path: Path) -> None:
    (tmp_path / "album").symlink_to(tmp_path / "disk" / "album")
    (tmp_path / "lost").symlink_to("/nowhere-at-all/lost")
    result = found(tmp_path)
    why = "it is a link to what is not there: connect its drive, or remove the link"
    assert result.unreadable == [(str(tmp_path / "album"), f"can't be read: {why}")]
    assert not result.failures


def test_a_folder_that_cannot_be_read_is_named_and_the_others_are_scanned(
    tmp_path: Path, before_listing: Callable[[Callable[[Path], None]], None]
) -> None:
    touch(tmp_path / "closed" / "a.jpg", tmp_path / "open" / "b.jpg")

    def refuse(folder: Path) -> None:
        if folder.name == "closed":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)

    before_listing(refuse)
    result = found(tmp_path)
    assert names(result, tmp_path) == ["open/b.jpg"]
    assert result.unreadable == [
        (
            str(tmp_path / "closed"),
            "can't be read: Permission denied; check its permissions and drive",
        )
    ]


@pytest.mark.timeout(10)
def test_a_folder_that_vanishes_meanwhile_is_no_failure(
    tmp_path: Path, before_listing: Callable[[Callable[[Path], None]], None]
) -> None:
    touch(tmp_path / "a" / "1.jpg", tmp_path / "b" / "2.jpg", tmp_path / "c" / "3.jpg")

    def vanish(folder: Path) -> None:
        if folder.name == "a":
            (tmp_path / "b").rename(tmp_path / ".b")
            (tmp_path / "c").rename(tmp_path / ".c")
            os.mkfifo(tmp_path / "c")  # to open it would take forever

    before_listing(vanish)
    result = found(tmp_path)
    assert (names(result, tmp_path), result.unreadable, result.failures) == (["a/1.jpg"], [], [])


def test_a_file_that_vanishes_meanwhile_is_no_failure(
    tmp_path: Path, entries_are: Callable[[Change], None]
) -> None:
    touch(tmp_path / "a.jpg", tmp_path / "b.jpg")

    def vanish(entries: Iterator[Entry]) -> Iterator[Entry]:
        listed = list(entries)
        (tmp_path / "a.jpg").unlink()
        return iter(listed)

    entries_are(vanish)
    result = found(tmp_path)
    assert (names(result, tmp_path), result.unreadable, result.failures) == (["b.jpg"], [], [])


def test_a_folder_that_breaks_off_while_it_is_listed_is_unreadable_as_a_whole(
    tmp_path: Path, entries_are: Callable[[Change], None]
) -> None:
    touch(tmp_path / "a.jpg", tmp_path / "b" / "c.jpg")

    def torn(entries: Iterator[Entry]) -> Iterator[Entry]:
        yield from entries
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    entries_are(torn)
    result = found(tmp_path)
    assert result.files == []
    assert result.unreadable == [
        (str(tmp_path), "can't be read: Input/output error; check its permissions and drive")
    ]


def bury(folder: Path, depth: int, name: str) -> None:
    """Make so many folders within each other, each with a picture, however long their path gets."""
    place = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=place)
        below = os.open(name, os.O_RDONLY, dir_fd=place)
        os.close(place)
        os.close(os.open("x.jpg", os.O_CREAT, dir_fd=below))
        place = below
    os.close(place)


@pytest.fixture
def pit(tmp_path: Path) -> Iterator[Path]:
    """A folder to dig in; what is deep in it is more than pytest can delete."""
    folder = tmp_path / "pit"
    folder.mkdir()
    yield folder
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def test_a_tree_of_more_levels_than_python_can_recurse_is_scanned(pit: Path) -> None:
    bury(pit, 1500, "d")
    result = found(pit)
    assert len(result.files) == 1500
    assert (result.unreadable, result.failures) == ([], [])


def test_a_path_that_is_too_long_for_the_system_is_named_and_the_others_are_scanned(
    pit: Path,
) -> None:
    bury(pit, 40, "x" * 200)
    touch(pit / "y.jpg")
    result = found(pit)
    assert str(pit / "y.jpg") == result.files[-1].path
    assert 10 < len(result.files) < 40
    ((path, why),) = result.unreadable
    assert path.startswith(str(pit / "xxx"))
    assert "too long for this system" in why
    assert result.failures == []


def test_a_large_folder_is_found_with_reports_in_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(*(tmp_path / f"{number:05d}.jpg" for number in range(5000)))
    moments = count(1)
    monkeypatch.setattr(time, "monotonic", lambda: float(next(moments)))
    counts: list[int] = []
    ((_, files),) = Scan(str(tmp_path), True, [str(tmp_path)], counts.append)
    assert {Path(path).name for path in files} == {f"{n:05d}.jpg" for n in range(5000)}
    assert counts == [0, 1000, 2000, 3000, 4000, 5000, 5000]


def test_names_that_differ_only_in_case_are_files_of_their_own(tmp_path: Path) -> None:
    touch(
        tmp_path / "a.jpg", tmp_path / "A.JPG", tmp_path / "B" / "x.jpg", tmp_path / "b" / "x.jpg"
    )
    assert names(found(tmp_path), tmp_path) == ["A.JPG", "B/x.jpg", "a.jpg", "b/x.jpg"]


def test_folders_are_found_where_they_cannot_be_listed_by_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows."""
    touch(tmp_path / "a" / "1.jpg", tmp_path / "2.jpg")
    by_descriptor = found(tmp_path)
    monkeypatch.setattr(module, "_BY_DESCRIPTOR", False)
    monkeypatch.setattr(os, "open", None)
    assert found(tmp_path) == by_descriptor


@pytest.mark.timeout(10)
def test_what_is_no_regular_file_is_a_failure_and_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "folder.jpg").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.png"))
        result = found(tmp_path)
    assert not result.files
    why = "not a regular file: move it out of the folder, or rename it"
    assert result.failures == [(str(tmp_path / f), why) for f in ("fifo.jpg", "socket.png")]


def test_names_that_are_not_utf_8_are_failures_that_can_be_shown(tmp_path: Path) -> None:
    touch(tmp_path / "猫.jpg", tmp_path / os.fsdecode(b"caf\xe9.jpg"))
    touch(tmp_path / os.fsdecode(b"f\xfcr") / "a.jpg", tmp_path / os.fsdecode(b"\xff.txt"))
    result = found(tmp_path)
    assert names(result, tmp_path) == ["猫.jpg"]
    shown = sorted(Path(path.encode("utf-8").decode()).name for path, _ in result.failures)
    assert shown == ["caf\\udce9.jpg", "f\\udcfcr"]


def test_a_name_with_a_line_break_is_a_name(tmp_path: Path) -> None:
    touch(tmp_path / "a\nb.jpg", tmp_path / "c\nd" / "e\r.jpg")
    assert names(found(tmp_path), tmp_path) == ["a\nb.jpg", "c\nd/e\r.jpg"]


def test_a_scan_reports_and_what_the_report_raises_ends_it(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg", tmp_path / "b.jpg")
    counts: list[int] = []
    list(Scan(str(tmp_path), True, [str(tmp_path)], counts.append))
    assert counts == [0, 2]

    def stop(_: int) -> None:
        raise CancelledError("stop")

    with pytest.raises(CancelledError):
        list(Scan(str(tmp_path), True, [str(tmp_path)], stop))


def test_the_suffixes_are_those_of_the_formats_that_can_be_decoded() -> None:
    decode.open_upright(encoded(picture()))  # registers every format
    known = Image.registered_extensions()
    formats = {*PILLOW_FORMATS, "MPO"}
    assert {suffix for suffix, name in known.items() if name in formats} == set(PICTURE_SUFFIXES)
