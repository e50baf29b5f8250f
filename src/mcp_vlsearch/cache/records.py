"""What the catalog keeps and tells of files and images."""

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Counts", "FileRecord", "ImageInfo", "ImageRecord"]


class FileRecord(NamedTuple):
    """A file as it was when it was last read; ``error`` says why it has no image.

    ``image_id`` is that of its bytes. Of a file with several images it is their source, and an
    ``error`` may tell which parts have none. ``retry`` marks an error that may pass without the
    file changing.
    """

    size: int
    mtime_ns: int
    image_id: str | None = None
    error: str | None = None
    retry: bool = False


@dataclass(frozen=True)
class ImageInfo:
    """What a picture file says about itself; ``width`` and ``height`` are of the upright picture.

    ``taken_at`` is ISO 8601 by the camera's clock, the place is in decimal degrees. A ``part`` of
    a file has the id of the file's bytes as its ``source``.
    """

    width: int
    height: int
    format: str
    bytes: int
    taken_at: str | None = None
    camera: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    part: str | None = None
    lens: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """An image that can be found, with all files that hold it, sorted."""

    paths: tuple[str, ...]
    seq: int
    image_id: str
    width: int
    height: int
    format: str
    bytes: int
    part: str | None
    taken_at: str | None


@dataclass(frozen=True)
class Counts:
    """How many files are known, how many of them failed, and how many images they hold."""

    files: int
    failed: int
    images: int
