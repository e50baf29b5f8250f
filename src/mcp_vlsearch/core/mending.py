"""Pictures mended before they are encoded: an encoder that stands in front of the library's own.

It is here rather than in the encoders, so that any of them can be had, also in another process or
on another machine: pictures are mended where their files are read.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PIL import Image

from mcp_vlsearch.contracts import Encoder, Prepared, PreparingEncoder, Query
from mcp_vlsearch.errors import MissingExtraError
from mcp_vlsearch.plugins import resolve
from mcp_vlsearch.settings import Settings

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Vectors

__all__ = ["MendedPicture", "MendingEncoder", "mended"]

MakeEncoder = Callable[[Settings], Encoder]

_FINER: Final = 2
"""Pages are mended at so many times the size at which the encoder looks at them."""


def mended(make: MakeEncoder | None) -> MakeEncoder:
    """Return what makes an encoder, by default the plugin of the settings, as they ask for it.

    Raises :class:`MissingExtraError` if pages are to be mended and OpenCV is not there.
    """

    def made(settings: Settings) -> Encoder:
        encoder = (make or resolve("encoders", settings.encoder))(settings)
        return encoder if settings.prepare == "off" else MendingEncoder(encoder)

    return made


@dataclass(frozen=True)
class MendedPicture:
    """A picture that was mended, as the encoder behind likes it best."""

    ready: Image.Image | Prepared

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it takes."""
        if isinstance(self.ready, Image.Image):
            return 4 * self.ready.width * self.ready.height
        return self.ready.nbytes


class MendingEncoder:
    """Has pages mended by :func:`mcp_vlsearch.core.scans.mend`, and encoded by another encoder.

    Its fingerprint is one of its own, so that pictures that were encoded as they are lie in another
    space. Raises :class:`MissingExtraError` without OpenCV.
    """

    def __init__(self, encoder: Encoder) -> None:
        try:
            from mcp_vlsearch.core import scans
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                "--prepare scans needs the package 'opencv-python-headless': "
                "pip install 'mcp-vlsearch[scans]'"
            ) from error
        self._mend = scans.mend
        self._encoder = encoder
        self._ahead = encoder if isinstance(encoder, PreparingEncoder) else None
        self.name = encoder.name
        self.model = encoder.model
        self.precision = encoder.precision
        self.device = encoder.device
        self.dim = encoder.dim
        self.batch_size = encoder.batch_size
        own = f"{encoder.fingerprint} {scans.MENDED}"
        self.fingerprint = hashlib.sha256(own.encode()).hexdigest()[:16]

    def target_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the size at which a picture is mended: finer than the encoder looks at it."""
        wanted = self._encoder.target_size(width, height)
        scale = min(1.0, _FINER * max(wanted[0] / width, wanted[1] / height))
        return max(1, round(width * scale)), max(1, round(height * scale))

    def load(self) -> None:
        """Load the encoder behind. Raises :class:`EncoderError`."""
        self._encoder.load()

    def prepare(self, image: Image.Image) -> MendedPicture:
        """Return a picture mended, and in the form that the encoder behind likes best."""
        image = self._looked_at(image)
        return MendedPicture(self._ahead.prepare(image) if self._ahead else image)

    def encode_images(self, images: "Sequence[Image.Image | MendedPicture]") -> "Vectors":
        """Return one vector per picture, shape (len(images), dim). Raises :class:`EncoderError`."""
        ready = [
            (image if isinstance(image, MendedPicture) else self.prepare(image)).ready
            for image in images
        ]
        return self._encoder.encode_images(ready)  # type: ignore[arg-type]

    def encode_queries(self, queries: Sequence[Query]) -> "Vectors":
        """Return one vector per query; pictures in them are mended, too."""
        return self._encoder.encode_queries(
            [
                query if query.image is None else Query(query.text, self._looked_at(query.image))
                for query in queries
            ]
        )

    def _looked_at(self, image: Image.Image) -> Image.Image:
        """Return a picture mended, at the size at which the encoder looks at it."""
        finer = self.target_size(*image.size)
        if image.size != finer:
            image = image.resize(finer, Image.Resampling.BICUBIC)
        image = self._mend(image)
        size = self._encoder.target_size(*image.size)
        return image if image.size == size else image.resize(size, Image.Resampling.BICUBIC)
