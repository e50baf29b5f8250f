"""A file's bytes, read without ever blocking on what is not a file, and the ids they give."""

import hashlib
import os
import stat
from collections.abc import Callable
from typing import BinaryIO, Final

from mcp_vlsearch.core.places import place_of
from mcp_vlsearch.errors import ImageError

__all__ = [
    "MAX_FILE_BYTES",
    "Allows",
    "digest_of",
    "image_id",
    "open_file",
    "part_id",
    "read_file",
]

Allows = Callable[[str], bool]
"""Says whether a resolved path may be read, as :meth:`Roots.allows` does."""

MAX_FILE_BYTES: Final = 512 * 2**20
"""Larger files are refused: several are in memory at once."""

_BLOCK: Final = 2**20

# A FIFO that nobody writes to would block open() without O_NONBLOCK; regular files ignore it.
_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


def image_id(data: bytes) -> str:
    """Return the first 16 hex digits of the SHA-256 of a file's bytes."""
    return hashlib.sha256(data).hexdigest()[:16]


def digest_of(file: BinaryIO) -> str:
    """Return what :func:`image_id` does of an opened file, of any size, and go back to its start.

    Raises :class:`ImageError` with ``retry`` where the system refuses to read it.
    """
    try:
        digest = hashlib.sha256()
        while block := file.read(_BLOCK):
            digest.update(block)
        file.seek(0)
    except OSError as error:
        raise _unreadable(error) from error
    return digest.hexdigest()[:16]


def part_id(source: str, part: str) -> str:
    """Return the id of one image of several in a file, from that of the file's bytes."""
    return image_id(f"{source} {part}".encode())


def open_file(path: str, allows: Allows) -> BinaryIO:
    """Open a regular file to be read, if the place at which it lies is allowed.

    That is asked of the opened file: by then its path may lead elsewhere than it did. Raises
    :class:`ImageError` without the path, with ``retry`` where the system refused.
    """
    try:
        file = open(os.open(path, _FLAGS), "rb")  # noqa: PTH123, SIM115
    except OSError as error:
        raise _unreadable(error) from error
    except ValueError as error:
        raise ImageError("the file can't be read: its path is not valid, rename it") from error
    try:
        _check(file, path, allows)
    except BaseException:
        file.close()
        raise
    return file


def read_file(path: str, allows: Allows, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """Return a regular file's bytes.

    Raises :class:`ImageError` without the path, with ``retry`` where the system refused.
    """
    with open_file(path, allows) as file:
        size = os.fstat(file.fileno()).st_size
        if size <= max_bytes:
            try:
                # As many bytes as are asked for are taken from memory first, so not the most.
                data = file.read(size + 1) or b""  # some of the system's own give None
                if len(data) > size:  # it has grown meanwhile
                    data += file.read(max_bytes + 1 - len(data)) or b""
            except OSError as error:
                raise _unreadable(error) from error
            if len(data) <= max_bytes:
                return data
            size = max(len(data), os.fstat(file.fileno()).st_size)
    raise ImageError(
        f"the file has {size / 2**20:.0f} MiB, the limit is {max_bytes / 2**20:.0f} MiB: "
        "store a smaller copy beside it"
    )


def _check(file: BinaryIO, path: str, allows: Allows) -> None:
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        raise ImageError("not a regular file: give a picture")
    try:
        place = place_of(file.fileno(), path)
    except OSError as error:
        raise _unreadable(error) from error
    if place is None or not allows(place):
        raise ImageError(
            "the file was replaced by a link to a place outside the roots: index that place, too, "
            "to allow it",
            retry=True,
        )


def _unreadable(error: OSError) -> ImageError:
    return ImageError(
        f"the file can't be read: {error.strerror or error}; check its permissions and drive",
        retry=True,
    )
