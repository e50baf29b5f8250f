"""What came of reading files, and as much of it as is encoded and committed together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from PIL import Image

from mcp_vlsearch.cache.catalog import ImageInfo
from mcp_vlsearch.contracts import Prepared
from mcp_vlsearch.core.scan import ScannedFile

__all__ = ["AHEAD_BYTES", "BATCH_BYTES", "Batch", "Outcome", "Picture", "memory_of"]

_FILES: Final = 500
"""Files at most in one transaction, where few of them need encoding."""
BATCH_BYTES: Final = 256 * 2**20
"""Pictures of so much memory make a batch, however few they are."""
AHEAD_BYTES: Final = 2 * BATCH_BYTES
"""Memory for pictures ahead of the encoder: the next batch can be there while one is encoded.

Usual encoders look at pictures of less than a megabyte, so this holds back unusual ones only.
"""


@dataclass(frozen=True)
class Outcome:
    """What reading a file gave: its image, or why it has none.

    ``digest`` is that of its bytes if these could be read, with an image or without.
    """

    file: ScannedFile
    image_id: str | None = None
    error: str | None = None
    retry: bool = False
    digest: str | None = None


@dataclass(frozen=True)
class Picture:
    """What a picture's file says about it, and the picture as the encoder takes it.

    ``ready`` is None where there is a vector already, which came before the picture.
    """

    ready: Image.Image | Prepared | None
    info: ImageInfo


@dataclass
class Batch:
    """Files of one transaction; a picture that two of them hold is encoded once.

    ``pictures`` are there until they are encoded, so that the next batch has their memory.
    ``infos`` are theirs, ``described`` those of pictures that need no encoding, and ``broken`` says
    of pictures why they could not be encoded.
    """

    files: list[Outcome] = field(default_factory=list)
    infos: dict[str, ImageInfo] = field(default_factory=dict)
    described: dict[str, ImageInfo] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    pictures: list[Image.Image | Prepared] = field(default_factory=list)
    nbytes: int = 0

    def add(self, outcome: Outcome, picture: Picture | None, encoded: set[str]) -> None:
        """Take a file in; its picture too unless an earlier batch of the run had a copy of it."""
        self.files.append(outcome)
        digest = outcome.image_id
        if not picture or not digest:
            return
        if picture.ready is None:
            self.described[digest] = picture.info
        elif digest not in encoded and digest not in self.infos:
            self.infos[digest] = picture.info
            self.pictures.append(picture.ready)
            self.nbytes += _nbytes(picture.ready)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its first picture, before it was resized."""
        info = next(iter(self.infos.values()))
        return info.width, info.height

    def leave_out(self, reasons: Mapping[int, str]) -> None:
        """Let pictures that have no vector fail, given by position, with all files that hold them.

        They are tried again next time: another encoder, or a mended one, may take them.
        """
        digests = list(self.infos)
        broken = self.broken = {digests[position]: why for position, why in reasons.items()}
        for digest in broken:
            del self.infos[digest]
        self.files = [
            Outcome(o.file, error=broken[o.image_id], retry=True, digest=o.image_id)
            if o.image_id in broken
            else o
            for o in self.files
        ]

    def full(self, batch_size: int) -> bool:
        """Say whether it is time to encode and commit."""
        return (
            len(self.pictures) >= batch_size
            or self.nbytes >= BATCH_BYTES
            or len(self.files) >= _FILES
        )


def memory_of(read: tuple[Outcome, Picture | None]) -> int:
    """Return the bytes of memory that a file's picture takes."""
    _, picture = read
    return _nbytes(picture.ready) if picture and picture.ready is not None else 0


def _nbytes(ready: Image.Image | Prepared) -> int:
    if isinstance(ready, Image.Image):
        return 4 * ready.width * ready.height  # Pillow keeps an RGB pixel in four bytes
    return ready.nbytes
