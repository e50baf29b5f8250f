"""The picture that a caller means: a path under a root, an image id, or its bytes in base64."""

import base64
import binascii
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.core.decode import decode, open_upright
from mcp_vlsearch.core.digest import image_id, read_file
from mcp_vlsearch.core.parted import TargetSize, is_parted, open_parted
from mcp_vlsearch.core.roots import Roots
from mcp_vlsearch.errors import ImageError, QueryError, RootError

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "IMAGE_ID",
    "MAX_BASE64",
    "GivenPicture",
    "find_picture",
    "first_part",
    "not_here",
    "open_known",
    "read_known",
    "refuse_rank",
]

MAX_BASE64: Final = 64 * 2**20
"""Characters of base64 at most: pictures of 48 MiB."""

IMAGE_ID: Final = re.compile(r"[0-9a-f]{16}")
"""What an image is named by."""

_RANK: Final = re.compile(r"#?\d{1,3}")
_DATA_URI: Final = re.compile(r"data:(?:image/[\w.+-]+)?(?:;[\w=.+-]+)*;base64,", re.IGNORECASE)
_OTHER_URI: Final = re.compile(r"[a-z][a-z0-9+.-]+:", re.IGNORECASE)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_\s-]{64,}={0,2}\s*")


@dataclass(frozen=True)
class GivenPicture:
    """A picture to search with: its id, and its bytes unless the library knows it already."""

    image_id: str
    data: bytes | None


def find_picture(
    given: str, roots: Roots, catalog: Catalog, fence: Roots | None = None
) -> GivenPicture:
    """Return the picture that a caller means; of a file with several images it is the first.

    Raises :class:`QueryError` if it is none of the forms, :class:`RootError` if it is a path
    outside the roots, :class:`ImageError` if it can't be read.
    """
    given = given.strip()
    if not given:
        raise QueryError("no picture given: give a path under a root, an image_id or base64")
    if IMAGE_ID.fullmatch(given):
        if not catalog.has_image(given) or not _is_inside(given, catalog, fence):
            raise not_here(given)
        return GivenPicture(given, None)
    if match := _DATA_URI.match(given):
        return _from_base64(given[match.end() :])
    if given[1:3] not in (":\\", ":/") and (match := _OTHER_URI.match(given)):
        raise QueryError(
            f"{match.group()} addresses are not opened: give a path under a root, an image_id or "
            "a data: URI in base64"
        )
    if len(given) > 4096 or (_BASE64.fullmatch(given) and not given.startswith("/")):
        return _from_base64(given)
    if given.startswith("/9j/"):  # a JPEG in base64 looks like an absolute path
        return _from_base64(given)
    refuse_rank(given)
    path = roots.check(given)
    if is_parted(path):
        return GivenPicture(first_part(path, roots, catalog), None)
    data = read_file(path, roots.allows)
    return GivenPicture(image_id(data), data)


def refuse_rank(given: str) -> None:
    """Raise :class:`QueryError` for a hit's number on a list or a sheet."""
    if _RANK.fullmatch(given):
        raise QueryError(f"{given} is a place in a list: give the image_id of the hit that has it")


def not_here(given: str) -> QueryError:
    """Return what is said of an image's id under which there is none."""
    return QueryError(f"no image {given} in this library: search for it again")


def open_known(
    digest: str, roots: Roots, catalog: Catalog, target_size: TargetSize | None = None
) -> "Image.Image":
    """Return an image that the library knows, upright, RGB, at its own size or another.

    It comes from any file that still holds it; a page or a moment is made anew. Raises
    :class:`ImageError` if there is none that can be read, :class:`MissingExtraError` if that takes
    a package that is not there.
    """
    if catalog.parts.part(digest) is None:
        data = read_known(digest, roots, catalog)
        return decode(data, target_size).image if target_size else open_upright(data)
    for path in catalog.paths_of(digest):
        try:
            return _open_part(path, digest, roots, catalog, target_size)
        except (ImageError, RootError):
            continue
    raise _unreadable(digest)


def first_part(path: str, roots: Roots, catalog: Catalog) -> str:
    """Return the first image of a known file with several.

    Raises :class:`QueryError` if it is not indexed, :class:`ImageError` if it can't be, and
    :class:`MissingExtraError` if that takes a package that is not there.
    """
    record = catalog.records([path]).get(path)
    images = catalog.parts.of(record.image_id) if record and record.image_id else ()
    if not images:
        with open_parted(path, roots.allows) as (_, reader):
            reader()  # which says what is wrong with one that is locked or damaged
        raise QueryError(f"{path} is not indexed: index it, or give the image_id of a part of it")
    return images[0]


def read_known(digest: str, roots: Roots, catalog: Catalog) -> bytes:
    """Return the bytes of an image from any file that can be read and still holds it.

    Raises :class:`ImageError` if there is none.
    """
    for path in catalog.paths_of(digest):
        try:
            data = read_file(roots.check(path), roots.allows)
        except (ImageError, RootError):
            continue
        if image_id(data) == digest:  # else it has changed since it was indexed
            return data
    raise _unreadable(digest)


def _open_part(
    path: str,
    digest: str,
    roots: Roots,
    catalog: Catalog,
    target_size: TargetSize | None,
) -> "Image.Image":
    """Open a part of one file, which must be as it was: to digest a long video takes too long."""
    part, record = catalog.parts.part(digest), catalog.records([path]).get(path)
    with open_parted(roots.check(path), roots.allows) as (file, reader):
        status = os.fstat(file.fileno())
        known = record and (record.size, record.mtime_ns)
        if part is None or known != (status.st_size, status.st_mtime_ns):
            raise _unreadable(digest)
        return reader().picture(part, target_size).image


def _unreadable(digest: str) -> ImageError:
    return ImageError(
        f"no file that can be read holds image {digest} now: connect its drive, or index its "
        "folder again"
    )


def _from_base64(text: str) -> GivenPicture:
    if len(text) > MAX_BASE64:
        raise QueryError(f"the picture has over {MAX_BASE64 // 2**20} MiB of base64: shrink it")
    packed = re.sub(r"\s+", "", text).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        data = base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise QueryError(
            "the picture is neither a path under a root, an image_id nor valid base64: give one of "
            "these, such as the `path` of a hit"
        ) from error
    return GivenPicture(image_id(data), data)


def _is_inside(digest: str, catalog: Catalog, fence: Roots | None) -> bool:
    return fence is None or any(fence.of(path) for path in catalog.paths_of(digest))
