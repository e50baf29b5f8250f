"""Files that hold several images: which kinds there are, what reads them, and opening one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import PurePath
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol

from mcp_vlsearch.core.digest import Allows, open_file
from mcp_vlsearch.errors import MissingExtraError
from mcp_vlsearch.formats import COMMON_SUFFIXES, PARTED_FORMATS, format_name

if TYPE_CHECKING:
    from mcp_vlsearch.core.decode import Decoded

__all__ = [
    "KINDS",
    "PartedFile",
    "PartedKind",
    "TargetSize",
    "is_parted",
    "kind_of",
    "not_read",
    "nothing_found",
    "open_parted",
    "parted_suffixes",
    "require",
]

TargetSize = Callable[[int, int], tuple[int, int]]


@dataclass(frozen=True)
class PartedKind:
    """A kind of file that holds several images: ``files`` and ``parts`` in words, what reads it.

    ``package`` comes with an ``extra``; ``limit`` is the setting that bounds the number of parts.
    """

    files: str
    parts: str
    suffixes: frozenset[str]
    package: str
    extra: str
    limit: str

    @property
    def is_installed(self) -> bool:
        """Whether files of this kind can be read here."""
        return _is_there(self.package)

    @property
    def remedy(self) -> str:
        """What to do where they can't."""
        return f"pip install 'mcp-vlsearch[{self.extra}]'"


# Not .ts and .mts: those are programs far more often than videos.
_VIDEO_SUFFIXES: Final = """
.mp4 .m4v .mov .qt .mkv .webm .avi .mpg .mpeg .wmv .3gp .3g2 .m2ts .ogv .flv
"""
KINDS: Final = (
    PartedKind("PDFs", "PDF pages", frozenset({".pdf"}), "pypdfium2", "pdf", "pdf_pages"),
    PartedKind(
        "videos",
        "moments of videos",
        frozenset(_VIDEO_SUFFIXES.split()),
        *("av", "video", "video_moments"),
    ),
)


class PartedFile(Protocol):
    """An opened file with several images; used by one thread at a time."""

    def parts(self, most: int) -> tuple[str, ...]:
        """Return up to so many parts, at least one. Raises :class:`ImageError`."""
        ...

    def picture(self, part: str, target_size: TargetSize | None = None) -> "Decoded":
        """Return a part, upright, at the size that is asked for by its own, or at its own.

        Raises :class:`ImageError` with one line that names neither file nor part.
        """
        ...

    def close(self) -> None:
        """Let go of what the reader holds; the file itself stays open."""
        ...


def kind_of(path: str) -> PartedKind | None:
    """Return which kind of file with several images a path is, by its suffix; None for others."""
    suffix = PurePath(path).suffix.lower()
    return next((kind for kind in KINDS if suffix in kind.suffixes), None)


def is_parted(path: str) -> bool:
    """Say whether a file holds several images, by its name."""
    return kind_of(path) is not None


def parted_suffixes() -> frozenset[str]:
    """Return the suffixes of the kinds that can be read here, in small letters."""
    return frozenset().union(*(kind.suffixes for kind in KINDS if kind.is_installed))


def not_read() -> list[str]:
    """Return a line for each kind that can't be read here: what it needs."""
    return [f"{kind.parts}: {kind.remedy}" for kind in KINDS if not kind.is_installed]


def nothing_found(others: int) -> str:
    """Say what could be read, where no file was found but so many ``others``."""
    beside = f", only {others:,} of other kinds" if others else ""
    also = "".join(f", {kind.files}" for kind in KINDS if kind.is_installed)
    missing = "".join(f"; for {line}" for line in not_read())
    return (
        f"no file was found that can be read{beside}: give a folder that has pictures "
        f"({COMMON_SUFFIXES} and other formats){also}{missing}"
    )


def require(path: str) -> None:
    """Raise :class:`MissingExtraError` for a file that could be read if a package was there."""
    kind = kind_of(path)
    if kind and not kind.is_installed:
        raise MissingExtraError(f"{path}: {kind.parts} need {kind.package!r}: {kind.remedy}")


@contextmanager
def open_parted(path: str, allows: Allows) -> Iterator[tuple[BinaryIO, Callable[[], PartedFile]]]:
    """Open a file with several images for the time of a block, if its place is allowed.

    Gives the file, of which a digest can be taken first, and what makes its reader. Raises
    :class:`ImageError` if it can't be opened, and so does making the reader.
    """
    require(path)
    readers: list[PartedFile] = []
    with open_file(path, allows) as file:

        def read() -> PartedFile:
            readers.append(_reader(path, file))
            return readers[-1]

        try:
            yield file, read
        finally:
            for reader in readers:
                reader.close()


def _reader(path: str, file: BinaryIO) -> PartedFile:
    name = format_name(PurePath(path).suffix)
    if name == PARTED_FORMATS[0]:
        from mcp_vlsearch.core.pdf import PdfFile

        return PdfFile(file)
    from mcp_vlsearch.core.video import VideoFile

    return VideoFile(file, name or "")


@cache
def _is_there(package: str) -> bool:
    return find_spec(package) is not None
