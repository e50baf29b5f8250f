"""A file's bytes, read without ever blocking on what is not a file, and the id they give."""

import hashlib
import os
import stat
from typing import Final

from mcp_vlsearch.errors import ImageError

__all__ = ["MAX_FILE_BYTES", "image_id", "read_file"]

MAX_FILE_BYTES: Final = 512 * 2**20
"""Larger files are refused: several are in memory at once."""

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


def read_file(path: str, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """Return a regular file's bytes.

    Raises :class:`ImageError` without the path, with ``retry`` where the system refused.
    """
    try:
        with open(os.open(path, _FLAGS), "rb") as file:  # noqa: PTH123
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ImageError("not a regular file: give a picture")
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise ImageError(
            f"the file can't be read: {error.strerror or error}; check its permissions and drive",
            retry=True,
        ) from error
    except ValueError as error:
        raise ImageError("the file can't be read: its path is not valid, rename it") from error
    if len(data) > max_bytes:
        size = max(len(data), status.st_size)
        raise ImageError(
            f"the file has {size / 2**20:.0f} MiB, the limit is {max_bytes / 2**20:.0f} MiB: "
            "store a smaller copy beside it"
        )
    return data
