"""From files to what is encoded: read, digest, decode, prepare, in worker threads.

A file with several images is looked through first, and its parts are read a few at a time, so that
memory holds few of them however many there are. What tells of the file itself comes after them.
"""

import os
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final

from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.cache.embeddings import Embeddings
from mcp_vlsearch.contracts import Encoder
from mcp_vlsearch.core.ahead import ahead
from mcp_vlsearch.core.batch import AHEAD_BYTES, BATCH_BYTES, Outcome, Picture, Read, memory_of
from mcp_vlsearch.core.decode import Decoded, decode
from mcp_vlsearch.core.digest import digest_of, image_id, part_id, read_file
from mcp_vlsearch.core.encoding import prepared
from mcp_vlsearch.core.parted import PartedFile, is_parted, kind_of, open_parted
from mcp_vlsearch.core.roots import Roots
from mcp_vlsearch.core.scan import ScannedFile
from mcp_vlsearch.core.stages import Stages
from mcp_vlsearch.core.workers import workers
from mcp_vlsearch.errors import ImageError
from mcp_vlsearch.settings import Settings

__all__ = ["Intake"]

_PARTS: Final = 8
"""Parts of one file that are read together: opening it takes time, and they are in memory."""
_NAMED: Final = 5
"""Broken parts of one file that its failure names."""


@dataclass(frozen=True)
class _Listed(Read):
    """A file with several images that was looked through, with its parts still to be read."""

    file: ScannedFile | None = None
    source: str = ""
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Some(Read):
    """Pictures of some parts, and by part why others have none."""

    lost: dict[str, ImageError] = field(default_factory=dict)


class Intake:
    """Reads files for one run over one fingerprint; with ``force``, also what has vectors."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        embeddings: Embeddings,
        encoder: Encoder,
        roots: Roots,
        stages: Stages,
        force: bool,
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._embeddings = embeddings
        self._encoder = encoder
        self._allows = roots.allows
        self._stages = stages
        self._force = force

    def reads(self, files: Sequence[ScannedFile]) -> Generator[Read]:
        """Give what came of each file, in order, working ahead of whoever takes it."""
        threads = min(os.cpu_count() or 1, 8)
        window = 2 * self._encoder.batch_size + threads
        with (
            workers(threads) as pool,
            workers(threads) as others,  # begun only when a file with several images comes
            closing(ahead(pool, self._read, files, window, memory_of, AHEAD_BYTES)) as all_read,
        ):
            for read in all_read:
                if isinstance(read, _Listed):
                    yield from self._parts(read, others, 2 * threads)
                else:
                    yield read

    def _read(self, file: ScannedFile) -> Read:
        """Do all that can be done to a file before its turn at the encoder."""
        return self._look_through(file) if is_parted(file.path) else self._picture(file)

    def _picture(self, file: ScannedFile) -> Read:
        digest = None
        try:
            with self._stages("reading"):
                data = read_file(file.path, self._allows)
                digest = image_id(data)
                has_vector, is_known = self._state(digest)
            if is_known:
                return Read(Outcome(file, digest))
            with self._stages("decoding"):
                decoded = decode(data, _thumbnail if has_vector else self._encoder.target_size)
        except ImageError as error:
            return Read(Outcome(file, error=str(error), retry=error.retry, digest=digest))
        return Read(Outcome(file, digest), [self._ready(digest, decoded, has_vector)])

    def _look_through(self, file: ScannedFile) -> Read:
        kind = kind_of(file.path)
        assert kind is not None
        source = None
        try:
            with open_parted(file.path, self._allows) as (opened, reader):
                with self._stages("reading"):
                    source = digest_of(opened)
                    known = self._known(source)
                if known:
                    error = self._catalog.parts.error(source)
                    return Read(Outcome(file, source, error, parts=known, listed=known))
                with self._stages("decoding"):
                    parts = reader().parts(getattr(self._settings, kind.limit))
        except ImageError as error:
            return Read(Outcome(file, error=str(error), retry=error.retry, digest=source))
        return _Listed(None, file=file, source=source, parts=parts)

    def _parts(self, listed: _Listed, pool: ThreadPoolExecutor, window: int) -> Generator[Read]:
        """Give the pictures of a file's parts, and at last what came of it as a whole."""
        lost: dict[str, ImageError] = {}

        def read(parts: tuple[str, ...]) -> _Some:
            return self._some_parts(listed, parts)

        groups = _grouped(listed.parts)
        with closing(ahead(pool, read, groups, window, memory_of, BATCH_BYTES)) as some_read:
            for some in some_read:
                lost |= some.lost
                yield from (Read(None, [picture]) for picture in some.pictures)
        yield Read(_outcome(listed, lost))

    def _some_parts(self, listed: _Listed, parts: tuple[str, ...]) -> _Some:
        assert listed.file is not None
        pictures, lost = [], {}
        try:
            with open_parted(listed.file.path, self._allows) as (_, reader):
                opened = reader()
                for part in parts:
                    try:
                        pictures += self._part(opened, listed.source, part)
                    except ImageError as error:
                        lost[part] = error
        except ImageError as error:
            lost = dict.fromkeys(parts, error)
        return _Some(None, pictures, lost)

    def _part(self, opened: PartedFile, source: str, part: str) -> list[Picture]:
        image = part_id(source, part)
        has_vector, is_known = self._state(image)
        if is_known:
            return []
        with self._stages("decoding"):
            size = _thumbnail if has_vector else self._encoder.target_size
            decoded = opened.picture(part, size)
        described = Decoded(decoded.image, replace(decoded.info, source=source))
        return [self._ready(image, described, has_vector)]

    def _state(self, image: str) -> tuple[bool, bool]:
        """Say whether an image has a vector that is to stay, and a description, too."""
        has_vector = not self._force and bool(self._embeddings.cached([image]))
        return has_vector, has_vector and self._catalog.has_image(image)

    def _known(self, source: str) -> tuple[str, ...]:
        """Return the images of a source if all of them have vectors, and none is missing."""
        if self._force or not self._catalog.parts.whole(source):
            return ()
        images = self._catalog.parts.of(source)
        return tuple(images) if len(self._embeddings.cached(images)) == len(images) else ()

    def _ready(self, image: str, decoded: Decoded, has_vector: bool) -> Picture:
        if has_vector:  # another machine made it: only what the file says was missing
            return Picture(image, None, decoded.info)
        with self._stages("preparing"):
            try:
                ready = prepared(self._encoder, decoded.image)
            except Exception:  # it fails again when it is encoded, where one picture stops nothing
                ready = decoded.image
        return Picture(image, ready, decoded.info)


def _outcome(listed: _Listed, lost: dict[str, ImageError]) -> Outcome:
    """Return what came of a file whose parts were read, some of them in vain."""
    assert listed.file is not None
    ids = {part: part_id(listed.source, part) for part in listed.parts}
    good = tuple(image for part, image in ids.items() if part not in lost)
    error = "; ".join(f"{part}: {why}" for part, why in islice(lost.items(), _NAMED)) or None
    if len(lost) > _NAMED:
        error = f"{error}; and {len(lost) - _NAMED} more parts"
    retry = any(why.retry for why in lost.values())
    if not good:
        return Outcome(listed.file, error=error, retry=retry, digest=listed.source)
    return Outcome(listed.file, listed.source, error, retry, parts=good, listed=tuple(ids.values()))


def _grouped(parts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return (parts[start : start + _PARTS] for start in range(0, len(parts), _PARTS))


def _thumbnail(_width: int, _height: int) -> tuple[int, int]:
    """Return a size that is quickly decoded, for a picture that is looked at for its facts only."""
    return 32, 32
