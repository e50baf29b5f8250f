"""Small copies of pictures, kept in the library's folder: derived, bounded, and never needed.

Each is a file of its own, ``thumbnails/<two digits>/<image_id>-<size>.small``, a JPEG, written
beside and renamed, so that any number of processes may read and write them without a lock. Its name
is none of a picture, so that a library that lies below a root does not index its own copies.
"""

import io
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from PIL import Image

from mcp_vlsearch.files import write_whole

__all__ = ["FOLDER", "MAX_THUMBNAIL_BYTES", "SIZES", "Thumbnails"]

FOLDER: Final = "thumbnails"
SIZES: Final = (320, 640)
"""Longest edges in pixels: for sheets of many pictures, and for sheets of some or the gallery."""
MAX_THUMBNAIL_BYTES: Final = 512 * 2**20
"""Bytes of all files together; some 15,000 pictures in both sizes."""

_QUALITY: Final = 88
_LOOK_AFTER: Final = 16
"""A process looks at what all have written after it has written such a part of the bound."""
_KEPT: Final = 0.8
"""The part of the bound that stays when it was passed."""
_A_DAY: Final = 86_400.0


class _File(NamedTuple):
    used: float
    bytes: int
    path: Path


class Thumbnails:
    """The small copies of one library's pictures.

    Nothing is written with ``is_read_only``, and none of its methods raises where the folder can't
    be read or written: then a picture is decoded again.
    """

    def __init__(
        self, library: Path, *, is_read_only: bool = False, max_bytes: int = MAX_THUMBNAIL_BYTES
    ) -> None:
        self._folder = library / FOLDER
        self._is_read_only = is_read_only
        self._max_bytes = max_bytes
        self._unlooked = max_bytes  # so that the first that is written makes us look

    def get(self, image_id: str, size: int) -> Image.Image | None:
        """Return an image's copy of a size among :data:`SIZES`, RGB, if there is one."""
        path = self._path(image_id, size)
        try:
            data = path.read_bytes()
            with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
                image.load()
                small = image.convert("RGB")
        except (OSError, SyntaxError, ValueError):  # there is none, or it is damaged
            return None
        self._touch(path)
        return small

    def put(self, image_id: str, size: int, image: Image.Image) -> None:
        """Keep a copy for next time, where that can be."""
        if self._is_read_only or not self._folder.parent.is_dir():
            return
        file = io.BytesIO()
        image.save(file, "JPEG", quality=_QUALITY)
        path = self._path(image_id, size)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, file.getvalue())
            self._unlooked += file.tell()
            if self._unlooked > self._max_bytes / _LOOK_AFTER:
                self._unlooked = 0
                self._bound()

    def images(self) -> list[str]:
        """Return the ids of images that have copies, sorted."""
        return sorted({file.path.name.partition("-")[0] for file in self._files()})

    def bytes(self, images: Iterable[str]) -> int:
        """Return what the copies of some images take."""
        return sum(file.bytes for image_id in images for file in self._of(image_id))

    def remove(self, images: Iterable[str]) -> None:
        """Delete the copies of images."""
        for image_id in images:
            for file in self._of(image_id):
                with suppress(OSError):
                    file.path.unlink()

    def _path(self, image_id: str, size: int) -> Path:
        return self._folder / image_id[:2] / f"{image_id}-{size}.small"

    def _touch(self, path: Path) -> None:
        """Let a copy that is used stay, without a write for every use."""
        with suppress(OSError):
            if not self._is_read_only and time.time() - path.stat().st_mtime > _A_DAY:
                os.utime(path)

    def _bound(self) -> None:
        """Delete what was not used for longest, if there is too much; others may do so, too."""
        files = sorted(self._files())
        total = sum(file.bytes for file in files)
        if total <= self._max_bytes:
            return
        for file in files:
            if total <= self._max_bytes * _KEPT:
                return
            with suppress(OSError):
                file.path.unlink()
            total -= file.bytes

    def _of(self, image_id: str) -> Iterator[_File]:
        return _found(self._folder.glob(f"{image_id[:2]}/{image_id}-*"))

    def _files(self) -> Iterator[_File]:
        """Yield all files, also one that a process had not renamed when it was killed."""
        return _found(self._folder.glob("*/*"))


def _found(paths: Iterable[Path]) -> Iterator[_File]:
    for path in paths:
        with suppress(OSError):  # another process was faster
            status = path.stat()
            yield _File(status.st_mtime, status.st_size, path)
