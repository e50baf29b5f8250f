"""The picture that a search is given: a path under a root, an image id, or its bytes in base64."""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.core.digest import image_id, read_file
from mcp_vlsearch.core.roots import Roots
from mcp_vlsearch.errors import ImageError, QueryError, RootError

__all__ = ["MAX_BASE64", "GivenPicture", "find_picture", "read_known"]

MAX_BASE64: Final = 64 * 2**20
"""Characters of base64 at most: pictures of 48 MiB."""

_IMAGE_ID: Final = re.compile(r"[0-9a-f]{16}")
_DATA_URI: Final = re.compile(r"data:(?:image/[\w.+-]+)?(?:;[\w=.+-]+)*;base64,", re.IGNORECASE)
_OTHER_URI: Final = re.compile(r"[a-z][a-z0-9+.-]+:", re.IGNORECASE)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_\s-]{64,}={0,2}\s*")


@dataclass(frozen=True)
class GivenPicture:
    """A picture to search with: its id, and its bytes unless the library knows it already."""

    image_id: str
    data: bytes | None


def find_picture(given: str, roots: Roots, catalog: Catalog) -> GivenPicture:
    """Return the picture that a caller means.

    Raises :class:`QueryError` if it is none of the forms, :class:`RootError` if it is a path
    outside the roots, :class:`ImageError` if it can't be read.
    """
    given = given.strip()
    if not given:
        raise QueryError("no picture given: give a path under a root, an image_id or base64")
    if _IMAGE_ID.fullmatch(given):
        if not catalog.has_image(given):
            raise QueryError(f"no image {given} in this library: search for it again")
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
    data = read_file(roots.check(given))
    return GivenPicture(image_id(data), data)


def read_known(digest: str, roots: Roots, catalog: Catalog) -> bytes:
    """Return the bytes of an image from any file that holds it and can be read.

    Raises :class:`ImageError` if there is none.
    """
    for path in catalog.paths_of(digest):
        try:
            return read_file(roots.check(path))
        except (ImageError, RootError):
            continue
    raise ImageError(f"no file of image {digest} can be read any more: index its folder again")


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
