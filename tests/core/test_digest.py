"""Bytes are read safely, and an image is named by them."""

import errno
import hashlib
import os
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import pytest

from mcp_vlsearch.core.digest import image_id, read_file
from mcp_vlsearch.errors import ImageError
from tests.pictures import anywhere


def test_an_image_is_named_by_the_first_16_digits_of_its_sha_256() -> None:
    assert image_id(b"picture") == hashlib.sha256(b"picture").hexdigest()[:16]


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(bytes(range(256)) * 1000)
    assert read_file(str(tmp_path / "a.jpg"), anywhere) == bytes(range(256)) * 1000


def test_a_file_as_large_as_the_limit_is_read_and_a_larger_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(bytes(2 * 2**20))
    assert len(read_file(str(tmp_path / "a.jpg"), anywhere, 2 * 2**20)) == 2 * 2**20
    with pytest.raises(
        ImageError,
        match=r"^the file has 2 MiB, the limit is 1 MiB: store a smaller copy beside it$",
    ) as caught:
        read_file(str(tmp_path / "a.jpg"), anywhere, 2**20)
    assert not caught.value.retry


@pytest.mark.timeout(10)
def test_a_file_takes_no_more_memory_than_it_has_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(bytes(100_000))
    tracemalloc.start()
    try:
        read_file(str(path), anywhere)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 300_000


def test_a_file_that_grows_while_it_is_read_is_read_to_its_end_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"12345")
    length_of = os.fstat

    def before_it_grew(descriptor: int) -> SimpleNamespace:
        status = length_of(descriptor)
        return SimpleNamespace(st_mode=status.st_mode, st_size=3)

    monkeypatch.setattr("mcp_vlsearch.core.digest.os.fstat", before_it_grew)
    assert read_file(str(path), anywhere) == b"12345"
    with pytest.raises(ImageError, match="the limit is"):
        read_file(str(path), anywhere, max_bytes=4)


def test_a_fifo_that_nobody_writes_to_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match=r"^not a regular file: give a picture$") as caught:
        read_file(str(tmp_path / "a.jpg"), anywhere)
    assert not caught.value.retry


def test_a_folder_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"not a regular file|directory"):
        read_file(str(tmp_path), anywhere)


def test_what_the_system_refuses_is_worth_another_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "secret/place.jpg")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(
        ImageError,
        match=r"^the file can't be read: Permission denied; check its permissions and drive$",
    ) as caught:
        read_file(str(tmp_path / "a.jpg"), anywhere)
    assert caught.value.retry


def test_a_missing_file_is_worth_another_try(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="No such file") as caught:
        read_file(str(tmp_path / "a.jpg"), anywhere)
    assert caught.value.retry


def test_a_path_with_a_zero_byte_is_an_image_error() -> None:
    with pytest.raises(ImageError, match="path is not valid"):
        read_file("a\0.jpg", anywhere)
