"""Pictures to look at: found below the roots, upright and small, on one sheet or one by one."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Final, Literal

from PIL import Image

from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.core.decode import decode, within
from mcp_vlsearch.core.digest import image_id, read_file
from mcp_vlsearch.core.parted import TargetSize, is_parted
from mcp_vlsearch.core.picture import IMAGE_ID, first_part, not_here, open_known, refuse_rank
from mcp_vlsearch.core.progress import Progress, ProgressCallback
from mcp_vlsearch.core.roots import Roots
from mcp_vlsearch.core.sheet import MAX_BYTES, MAX_EDGE, Cell, draw_grid, fitting_jpeg
from mcp_vlsearch.core.thumbnails import SIZES, Thumbnails
from mcp_vlsearch.errors import ImageError, QueryError, RootError, VLSearchError

__all__ = ["MAX_IMAGES", "Layout", "View", "ViewedImage", "Viewer"]

Layout = Literal["sheet", "single"]

MAX_IMAGES: Final = 50

_PIXELS_A_BYTE: Final = 7
"""Of photographs, at the quality that they are first tried with, about."""
_FEW: Final = 6
"""So many cells of a sheet are larger than any thumbnail; cells of :data:`_SOME` are smaller than
the larger one, of more than the smaller one."""
_SOME: Final = 20
_THREADS: Final = 4


@dataclass(frozen=True)
class ViewedImage:
    """One of the images that were asked for, by its place in the list, from 1.

    ``jpeg`` is empty on a sheet; ``error`` says in a line why it can't be shown.
    """

    position: int
    name: str
    jpeg: bytes = b""
    error: str = ""


@dataclass(frozen=True)
class View:
    """Pictures as JPEG: one ``sheet``, or without it one for each image, in the order asked."""

    images: tuple[ViewedImage, ...]
    sheet: bytes = b""


@dataclass(frozen=True)
class _Wanted:
    """An image, by its id if that is known, else by the path of its file."""

    name: str
    image_id: str | None = None
    path: str = ""
    error: str = ""


class Viewer:
    """Shows images of one library, and files below its roots."""

    def __init__(self, catalog: Catalog, roots: Roots, thumbnails: Thumbnails) -> None:
        self._catalog = catalog
        self._roots = roots
        self._thumbnails = thumbnails

    def view(
        self,
        images: Sequence[str],
        layout: Layout,
        remarks: Sequence[str],
        report: ProgressCallback,
    ) -> View:
        """Return a numbered sheet, or single pictures, of at most :data:`MAX_BYTES` in all.

        An image that can't be shown is an empty cell, or has an error. Raises :class:`QueryError`
        for a number of images that is not given, and :class:`ImageError` if none can be shown.
        """
        if not 1 <= len(images) <= MAX_IMAGES:
            raise QueryError(f"{len(images)} images given: give 1 to {MAX_IMAGES}")
        wanted = [self._find(given) for given in images]
        if layout == "sheet":
            view = self._sheet(wanted, remarks, report)
        else:
            view = self._singles(wanted, report)
        if all(image.error for image in view.images):
            _fail(view.images)
        return view

    def _sheet(
        self, wanted: Sequence[_Wanted], remarks: Sequence[str], report: ProgressCallback
    ) -> View:
        small, larger = SIZES
        edge = MAX_EDGE if len(wanted) <= _FEW else larger if len(wanted) <= _SOME else small
        below = dict(enumerate(remarks, 1))
        cells = [
            Cell(number, one.name, picture, error, below.get(number, ""))
            for number, (one, picture, error) in enumerate(self._opened(wanted, edge, report), 1)
        ]
        images = tuple(ViewedImage(cell.number, cell.caption, b"", cell.error) for cell in cells)
        return View(images, fitting_jpeg(draw_grid(cells), MAX_BYTES))

    def _singles(self, wanted: Sequence[_Wanted], report: ProgressCallback) -> View:
        """Give each image an equal share of what those before it left."""
        edge = min(MAX_EDGE, int(sqrt(MAX_BYTES / len(wanted) * _PIXELS_A_BYTE)))
        left = MAX_BYTES
        images: list[ViewedImage] = []
        for number, (one, picture, error) in enumerate(self._opened(wanted, edge, report), 1):
            share = left // (len(wanted) - len(images))
            jpeg = fitting_jpeg(picture, share, edge) if picture else b""
            left -= len(jpeg)
            images.append(ViewedImage(number, one.name, jpeg, error))
        return View(tuple(images))

    def _opened(
        self, wanted: Sequence[_Wanted], edge: int, report: ProgressCallback
    ) -> Iterator[tuple[_Wanted, Image.Image | None, str]]:
        """Yield each image with its picture, of ``edge`` pixels or more, or why there is none."""

        def open_one(one: _Wanted) -> tuple[Image.Image | None, str]:
            try:
                return self._open(one, edge), ""
            except VLSearchError as error:
                return None, str(error)

        with ThreadPoolExecutor(min(_THREADS, len(wanted)), "view") as pool:
            try:
                for number, found in enumerate(pool.map(open_one, wanted)):
                    report(Progress(number, len(wanted), f"opening picture {number + 1}"))
                    yield wanted[number], *found
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _open(self, one: _Wanted, edge: int) -> Image.Image:
        if one.error:
            raise ImageError(one.error)
        size = next((size for size in SIZES if size >= edge), None)
        if size and one.image_id and (small := self._thumbnails.get(one.image_id, size)):
            return small
        image, picture = self._decoded(one, lambda w, h: within(w, h, size or edge))
        if size:
            self._thumbnails.put(image, size, picture)
        return picture

    def _decoded(self, one: _Wanted, target_size: TargetSize) -> tuple[str, Image.Image]:
        """Return an image's id and picture."""
        if one.image_id:
            return one.image_id, open_known(one.image_id, self._roots, self._catalog, target_size)
        data = read_file(self._roots.check(one.path), self._roots.allows)
        return image_id(data), decode(data, target_size).image

    def _find(self, given: str) -> _Wanted:
        """Return what a caller means by an image's id or a path; never raises."""
        given = given.strip()
        if not IMAGE_ID.fullmatch(given):
            return self._file(given)
        path = next(filter(self._roots.of, self._catalog.paths_of(given)), None)
        if path is None:
            return _Wanted(given, error=str(not_here(given)))
        part = self._catalog.parts.part(given)
        name = Path(path).name
        return _Wanted(f"{name} ({part})" if part else name, given)

    def _file(self, given: str) -> _Wanted:
        try:
            refuse_rank(given)
            path = self._roots.check(given)
            if is_parted(path):
                return self._find(first_part(path, self._roots, self._catalog))
        except (RootError, QueryError) as error:
            return _Wanted(Path(given).name or given, error=str(error))
        return _Wanted(Path(path).name, self._known(path), path)

    def _known(self, path: str) -> str | None:
        """Return the id of the image that a file holds, if it is as it was when it was read."""
        with suppress(OSError):
            record = self._catalog.records([path]).get(path)
            status = os.stat(path)  # noqa: PTH116
            if record and (record.size, record.mtime_ns) == (status.st_size, status.st_mtime_ns):
                return record.image_id
        return None


def _fail(images: Sequence[ViewedImage]) -> None:
    """Say why no image can be shown, of the first few by name."""
    reasons = list(dict.fromkeys(image.error for image in images))
    if len(images) == 1:
        raise ImageError(reasons[0])
    told = "; ".join(f"{image.position}. {image.name}: {image.error}" for image in images[:3])
    raise ImageError(f"none of the {len(images)} images can be shown; search again: {told}")
