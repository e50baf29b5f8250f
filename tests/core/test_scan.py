"""A scan finds every picture file once, opens none, and says what it could not see."""

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from mcp_vlsearch.core import decode
from mcp_vlsearch.core.scan import PICTURE_SUFFIXES, ScanResult, scan
from mcp_vlsearch.errors import CancelledError
from mcp_vlsearch.formats import PILLOW_FORMATS

from ..pictures import encoded, picture


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 7)


def found(folder: Path, *, recursive: bool = True, roots: list[Path] | None = None) -> ScanResult:
    return scan(str(folder), recursive, [str(r) for r in roots or [folder]])


def names(result: ScanResult, folder: Path) -> list[str]:
    return [str(Path(file.path).relative_to(folder)) for file in result.files]


def test_pictures_below_a_folder_are_found_in_the_order_of_their_names(tmp_path: Path) -> None:
    touch(*(tmp_path / n for n in ("b.png", "a.JPG", "z/c.heic", "y/x/d.webp", "notes.txt", "jpg")))
    result = found(tmp_path)
    assert names(result, tmp_path) == ["a.JPG", "b.png", "y/x/d.webp", "z/c.heic"]
    assert not result.failures
    assert not result.unreadable


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
    assert found(tmp_path / "gone") == ScanResult()


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


def test_a_folder_is_found_at_its_own_place_rather_than_through_a_link(tmp_path: Path) -> None:
    touch(tmp_path / "z" / "a.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "z")
    (tmp_path / "link-2").symlink_to(tmp_path / "link")
    assert names(found(tmp_path), tmp_path) == ["z/a.jpg"]


def test_a_dangling_link_below_the_roots_may_lead_to_a_disk_that_is_off(tmp_path: Path) -> None:
    (tmp_path / "album").symlink_to(tmp_path / "disk" / "album")
    (tmp_path / "lost").symlink_to("/nowhere-at-all/lost")
    result = found(tmp_path)
    assert [Path(path).name for path, _ in result.unreadable] == ["album"]
    assert not result.failures


def test_a_folder_that_cannot_be_read_is_named_and_the_others_are_scanned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "closed" / "a.jpg", tmp_path / "open" / "b.jpg")
    scandir = os.scandir

    def refuse(folder: str) -> Iterator[os.DirEntry[str]]:
        if folder.endswith("closed"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    result = found(tmp_path)
    assert names(result, tmp_path) == ["open/b.jpg"]
    assert result.unreadable == [(str(tmp_path / "closed"), "can't be read: Permission denied")]


@pytest.mark.timeout(10)
def test_what_is_no_regular_file_is_a_failure_and_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "folder.jpg").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.png"))
        result = found(tmp_path)
    assert not result.files
    assert [Path(path).name for path, _ in result.failures] == ["fifo.jpg", "socket.png"]


def test_names_that_are_not_utf_8_are_failures_that_can_be_shown(tmp_path: Path) -> None:
    touch(tmp_path / "猫.jpg", tmp_path / os.fsdecode(b"caf\xe9.jpg"))
    touch(tmp_path / os.fsdecode(b"f\xfcr") / "a.jpg", tmp_path / os.fsdecode(b"\xff.txt"))
    result = found(tmp_path)
    assert names(result, tmp_path) == ["猫.jpg"]
    shown = sorted(Path(path.encode("utf-8").decode()).name for path, _ in result.failures)
    assert shown == ["caf\\udce9.jpg", "f\\udcfcr"]


def test_a_scan_reports_and_what_the_report_raises_ends_it(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg", tmp_path / "b.jpg")
    counts: list[int] = []
    scan(str(tmp_path), True, [str(tmp_path)], counts.append)
    assert counts == [0, 2]

    def stop(_: int) -> None:
        raise CancelledError("stop")

    with pytest.raises(CancelledError):
        scan(str(tmp_path), True, [str(tmp_path)], stop)


def test_the_suffixes_are_those_of_the_formats_that_can_be_decoded() -> None:
    decode.open_upright(encoded(picture()))  # registers every format
    known = Image.registered_extensions()
    formats = {*PILLOW_FORMATS, "MPO"}
    assert {suffix for suffix, name in known.items() if name in formats} == set(PICTURE_SUFFIXES)
