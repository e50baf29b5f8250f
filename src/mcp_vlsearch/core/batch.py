"""What came of reading files, and as much of it as is encoded and committed together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from PIL import Image

from mcp_vlsearch.cache.catalog import ImageInfo
from mcp_vlsearch.contracts import Prepared
from mcp_vlsearch.core.scan import ScannedFile

__all__ = ["AHEAD_BYTES", "BATCH_BYTES", "Batch", "Outcome", "Picture", "Read", "memory_of"]

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

    ``digest`` is that of its bytes if these could be read, with an image or without. Of a file with
    several images ``image_id`` is their source, ``parts`` are the images, ``listed`` those with the
    ones that could not be made, and ``error`` says why not.
    """

    file: ScannedFile
    image_id: str | None = None
    error: str | None = None
    retry: bool = False
    digest: str | None = None
    parts: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()

    @property
    def images(self) -> tuple[str, ...]:
        """The images that the file holds."""
        return self.parts or ((self.image_id,) if self.image_id else ())

    def without(self, broken: Mapping[str, str]) -> "Outcome":
        """Return what is left where some images have no vector, given why not.

        They are tried again next time: another encoder, or a mended one, may take them.
        """
        lost = [image for image in self.images if image in broken]
        if not lost:
            return self
        why = broken[lost[0]]
        left = tuple(image for image in self.parts if image not in broken)
        if not left:
            return Outcome(self.file, error=why, retry=True, digest=self.image_id)
        some = f"{len(lost)} of {len(self.parts)} parts: {why}"
        error = f"{self.error}; {some}" if self.error else some
        return replace(self, parts=left, error=error, retry=True)


@dataclass(frozen=True)
class Picture:
    """An image, what its file says about it, and the picture as the encoder takes it.

    ``ready`` is None where there is a vector already, which came before the picture.
    """

    image_id: str
    ready: Image.Image | Prepared | None
    info: ImageInfo


@dataclass(frozen=True)
class Read:
    """What came of a file, with its pictures; or some pictures of a file that goes on."""

    outcome: Outcome | None
    pictures: Sequence[Picture] = ()


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

    def add(self, read: Read, encoded: set[str]) -> None:
        """Take a file in; its pictures unless an earlier batch of the run had copies of them."""
        if read.outcome:
            self.files.append(read.outcome)
        for picture in read.pictures:
            image = picture.image_id
            if picture.ready is None:
                self.described[image] = picture.info
            elif image not in encoded and image not in self.infos:
                self.infos[image] = picture.info
                self.pictures.append(picture.ready)
                self.nbytes += _nbytes(picture.ready)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its first picture, before it was resized."""
        info = next(iter(self.infos.values()))
        return info.width, info.height

    def leave_out(self, reasons: Mapping[int, str]) -> None:
        """Leave out pictures that have no vector, given by position."""
        images = list(self.infos)
        self.broken = {images[position]: why for position, why in reasons.items()}
        for image in self.broken:
            del self.infos[image]

    def fail(self, broken: Mapping[str, str]) -> None:
        """Let images fail, of this batch or of those before, with all files that hold them."""
        lost = {image: why for image, why in broken.items() if image not in self.infos}
        if lost:
            self.files = [outcome.without(lost) for outcome in self.files]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not (self.files or self.infos or self.described)

    def full(self, batch_size: int) -> bool:
        """Say whether it is time to encode and commit."""
        return (
            len(self.pictures) >= batch_size
            or self.nbytes >= BATCH_BYTES
            or len(self.files) >= _FILES
        )


def memory_of(read: Read) -> int:
    """Return the bytes of memory that pictures take."""
    return sum(_nbytes(picture.ready) for picture in read.pictures if picture.ready is not None)


def _nbytes(ready: Image.Image | Prepared) -> int:
    if isinstance(ready, Image.Image):
        return 4 * ready.width * ready.height  # Pillow keeps an RGB pixel in four bytes
    return ready.nbytes
