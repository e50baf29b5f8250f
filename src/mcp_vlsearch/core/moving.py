"""Vectors from one library to another, through a file."""

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.embeddings import Embeddings
from mcp_vlsearch.cache.fingerprints import Fingerprints, SpaceRecord
from mcp_vlsearch.core.parquet import Description, VectorFile, rows_at_once, write
from mcp_vlsearch.core.progress import Meter, ProgressCallback
from mcp_vlsearch.errors import LibraryError
from mcp_vlsearch.types import ExportReport, ImportReport

__all__ = ["check_file", "export_vectors", "import_vectors"]

Block = tuple[list[str], NDArray[np.float16]]

_HERE_ONLY = {"encoder_url"}
"""Choices that say nothing on another machine."""


def export_vectors(
    spaces: Fingerprints, space: SpaceRecord, file: Path, report: ProgressCallback
) -> ExportReport:
    """Write all vectors of a space into a file, of images with files and without.

    It is written beside and renamed when it is whole. Raises :class:`LibraryError`.
    """
    started = time.monotonic()
    written = file.resolve()  # what a link leads to, not the link
    if written.exists() and not written.is_file():
        raise LibraryError(f"{file} is not a regular file: give another file")
    if written.exists() and not _is_export_or_empty(written):
        raise LibraryError(f"{file} is there and holds something else: give another file")
    if not written.parent.is_dir():
        raise LibraryError(
            f"{file} can't be written, {file.parent} is no folder: make it, or give another file"
        )
    meter = Meter(report, spaces.cached(space), "exporting")
    choices = {k: v for k, v in (space.choices or {}).items() if k not in _HERE_ONLY}
    description = Description(
        fingerprint=space.fingerprint,
        name=space.name,
        model=space.model,
        precision=space.precision,
        dim=space.dim,
        choices=None if space.choices is None else choices,
    )
    beside = written.with_name(f"{written.name}.part")
    blocks = spaces.vectors(space, rows_at_once(space.dim))
    try:
        count = write(beside, description, _metered(blocks, meter))
        beside.replace(written)
    except OSError as error:
        raise LibraryError(
            f"{file} can't be written ({_reason(error)}): give another file"
        ) from error
    finally:
        beside.unlink(missing_ok=True)
    return ExportReport(
        file=str(file),
        fingerprint=space.fingerprint,
        vectors=count,
        bytes=written.stat().st_size,
        seconds=time.monotonic() - started,
    )


def check_file(file: Path, report: ProgressCallback) -> None:
    """Read a whole file, so that one which is torn or foreign changes nothing.

    Raises :class:`LibraryError`.
    """
    with VectorFile(file) as source:
        meter = Meter(report, len(source), "checking")
        for image_ids, _ in source.blocks():
            meter.advance(len(image_ids))


def import_vectors(
    database: Database, file: Path, replace: bool, report: ProgressCallback
) -> ImportReport:
    """Take a checked file's vectors into the cache, also of images that are not known here yet.

    That goes block by block: what breaks off goes on when it is imported again. Vectors that are
    here stay, unless ``replace``. Raises :class:`LibraryError`.
    """
    started = time.monotonic()
    with VectorFile(file) as source:
        made = source.description
        _check_dim(database, made)
        embeddings = Embeddings(database, made, made.choices)
        meter = Meter(report, len(source), "importing")
        known = 0
        with database.write():
            embeddings.describe()
        for image_ids, vectors in source.blocks():
            with database.write():
                known += len(embeddings.cached(image_ids))
                embeddings.put(image_ids, vectors, replace=replace)
                embeddings.publish(image_ids, renew=replace)
            meter.advance(len(image_ids))
        return ImportReport(
            file=str(file),
            fingerprint=made.fingerprint,
            model=made.model,
            vectors=len(source),
            added=len(source) - known,
            replaced=known if replace else 0,
            kept=0 if replace else known,
            seconds=time.monotonic() - started,
        )


def _reason(error: OSError) -> str:
    """Return the system's words: those of pyarrow are long and name the file beside."""
    return os.strerror(error.errno) if error.errno else str(error)


def _metered(blocks: Iterable[Block], meter: Meter) -> Iterator[Block]:
    for block in blocks:
        yield block
        meter.advance(len(block[0]))


def _check_dim(database: Database, made: Description) -> None:
    for space in Fingerprints(database).all():
        if space.fingerprint == made.fingerprint and space.dim != made.dim:
            raise LibraryError(
                f"the vectors have {made.dim} dimensions, those of their fingerprint here "
                f"{space.dim}: export them again"
            )


def _is_export_or_empty(file: Path) -> bool:
    if not file.stat().st_size:
        return True
    try:
        with VectorFile(file):
            return True
    except LibraryError:
        return False
