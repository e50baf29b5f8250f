"""The looks of a library's pictures: those that were kept, or made from the files and kept."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from typing import Final

import numpy as np

from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.cache.looks import Looks
from mcp_vlsearch.core.ahead import ahead
from mcp_vlsearch.core.decode import decode
from mcp_vlsearch.core.look import Look, look_of
from mcp_vlsearch.core.picture import read_known
from mcp_vlsearch.core.roots import Roots
from mcp_vlsearch.core.workers import workers
from mcp_vlsearch.errors import ImageError, LibraryError

__all__ = ["LookBook"]

_SIDE: Final = 192
"""Pixels to which a picture is decoded, four for each square of its look."""
_THREADS: Final = 4
_TOGETHER: Final = 256
"""Looks that are kept in one transaction, so that a run that is stopped loses few."""


class LookBook:
    """Gives looks by image; ``unread`` are the images of which no file can be read any more.

    New ones are kept, unless nothing may be written (``may_keep``).
    """

    def __init__(self, catalog: Catalog, roots: Roots, looks: Looks, may_keep: bool) -> None:
        self.unread: set[str] = set()
        self._catalog = catalog
        self._roots = roots
        self._looks = looks
        self._may_keep = may_keep

    def of(self, image_ids: Collection[str], report: Callable[[], None]) -> dict[str, Look]:
        """Return the looks of images, without those that can't be read.

        ``report`` is called after each picture that had to be read; it may raise.
        """
        found = {i: np.frombuffer(look, np.uint8) for i, look in self._looks.of(image_ids).items()}
        missing = [i for i in image_ids if i not in found and i not in self.unread]
        for start in range(0, len(missing), _TOGETHER):
            made = self._made(missing[start : start + _TOGETHER], report)
            self._keep(made)
            found |= made
        return found

    def _made(self, image_ids: Sequence[str], report: Callable[[], None]) -> dict[str, Look]:
        threads = min(_THREADS, os.cpu_count() or 1)
        made = {}
        with workers(threads) as pool:
            looks = ahead(pool, self._read, image_ids, 2 * threads, lambda _: 0, 1)
            with closing(looks):
                for digest, look in zip(image_ids, looks, strict=True):
                    if look is None:
                        self.unread.add(digest)
                    else:
                        made[digest] = look
                    report()
        return made

    def _read(self, digest: str) -> Look | None:
        try:
            data = read_known(digest, self._roots, self._catalog)
            return look_of(decode(data, lambda *_: (_SIDE, _SIDE)).image)
        except ImageError:
            return None

    def _keep(self, made: Mapping[str, Look]) -> None:
        if not (made and self._may_keep):
            return
        try:
            self._looks.put({digest: look.tobytes() for digest, look in made.items()})
        except LibraryError:  # another writes for long, or the disk is full: a cache can wait
            self._may_keep = False
