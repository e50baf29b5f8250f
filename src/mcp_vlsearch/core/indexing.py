"""The indexing pipeline: scan → compare with the catalog → read, digest, decode → encode → commit.

One transaction per batch holds vectors and catalog together, so a crash loses at most the batch in
flight, and a run that starts again finds everything before it in the embedding cache.
"""

import os
import time
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcp_vlsearch.cache.catalog import Catalog, FileRecord
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.embeddings import Embeddings
from mcp_vlsearch.contracts import Encoder
from mcp_vlsearch.core.ahead import ahead
from mcp_vlsearch.core.apart import encode_apart
from mcp_vlsearch.core.comparing import Comparer, Comparison
from mcp_vlsearch.core.decode import Decoded, decode
from mcp_vlsearch.core.digest import image_id, read_file
from mcp_vlsearch.core.encoding import EncoderSlot
from mcp_vlsearch.core.progress import Meter, Progress, ProgressCallback
from mcp_vlsearch.core.roots import Roots
from mcp_vlsearch.core.scan import ScannedFile
from mcp_vlsearch.errors import ImageError
from mcp_vlsearch.types import Failure, IndexReport

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Vectors

__all__ = ["Indexer"]

_COMMIT_FILES = 500
"""Files at most in one transaction, where none of them needs encoding."""
_LISTED_FAILURES = 100


@dataclass(frozen=True)
class _Prepared:
    """A file that was read: its picture if it must be encoded, or why it can't be."""

    file: ScannedFile
    image_id: str | None = None
    decoded: Decoded | None = None
    error: str | None = None
    retry: bool = False


@dataclass
class _Batch:
    """_Prepared files of one transaction; a picture that two files hold is encoded once."""

    files: list[_Prepared] = field(default_factory=list)
    pictures: dict[str, Decoded] = field(default_factory=dict)

    def add(self, prepared: _Prepared, encoded: set[str]) -> None:
        """Take a file in; its picture too unless an earlier batch of the run had a copy of it."""
        self.files.append(prepared)
        if prepared.image_id and prepared.decoded and prepared.image_id not in encoded:
            self.pictures.setdefault(prepared.image_id, prepared.decoded)

    def leave_out(self, reasons: Mapping[int, str]) -> None:
        """Let pictures that have no vector fail, given by position, with all files that hold them.

        They are tried again next time: another encoder, or a mended one, may take them.
        """
        digests = list(self.pictures)
        broken = {digests[position]: why for position, why in reasons.items()}
        for digest in broken:
            del self.pictures[digest]
        self.files = [
            _Prepared(p.file, error=broken[p.image_id], retry=True) if p.image_id in broken else p
            for p in self.files
        ]

    def full(self, batch_size: int) -> bool:
        """Say whether it is time to encode and commit."""
        return len(self.pictures) >= batch_size or len(self.files) >= _COMMIT_FILES


@dataclass
class _Counts:
    added: int = 0
    updated: int = 0
    moved: int = 0
    unchanged: int = 0


class Indexer:
    """One run of indexing over one fingerprint."""

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        embeddings: Embeddings,
        encoder: EncoderSlot,
        roots: Roots,
        report: ProgressCallback,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._embeddings = embeddings
        self._encoder = encoder
        self._roots = roots
        self._report = report
        self._counts = _Counts()
        self._failures: list[Failure] = []
        self._moved_from: set[str] = set()
        self._encoded: set[str] = set()
        self._cached: set[str] = set()

    def run(self, paths: Sequence[str], recursive: bool, force: bool) -> IndexReport:
        """Bring the catalog and the cache up to what lies below the (resolved) paths."""
        started = time.monotonic()
        comparer = Comparer(self._roots, self._catalog, self._embeddings, self._report)
        found = comparer.compare(paths, recursive, force)
        self._failures += found.failures
        self._counts.unchanged += found.unchanged
        self._process(found, force)
        removed = [path for path in found.gone if path not in self._moved_from]
        self._forget(removed)
        counts = self._catalog.counts()
        return IndexReport(
            scanned=found.scanned,
            removed=len(removed),
            failed=len(self._failures),
            encoded=len(self._encoded),
            from_cache=len(self._cached),
            failures=self._failures[:_LISTED_FAILURES],
            seconds=time.monotonic() - started,
            total_images=counts.images,
            **vars(self._counts),
        )

    def _process(self, found: Comparison, force: bool) -> None:
        if not found.to_read:
            return
        encoder = self._encoder.known(self._report)
        meter = Meter(self._report, len(found.to_read), "indexing")
        meter.report()
        with closing(self._batches(found.to_read, encoder, force)) as batches:
            for batch in batches:
                self._commit(batch, found.known, force)
                meter.advance(len(batch.files))

    def _batches(
        self, files: Sequence[ScannedFile], encoder: Encoder, force: bool
    ) -> Generator[_Batch]:
        workers = min(os.cpu_count() or 1, 8)
        window = 2 * encoder.batch_size + workers

        def prepare(file: ScannedFile) -> _Prepared:
            return self._prepare(file, encoder, force)

        batch = _Batch()
        with ThreadPoolExecutor(workers, thread_name_prefix="prepare") as pool:
            for prepared in ahead(pool, prepare, files, window):
                batch.add(prepared, self._encoded)
                if batch.full(encoder.batch_size):
                    yield batch
                    batch = _Batch()
        if batch.files:
            yield batch

    def _prepare(self, file: ScannedFile, encoder: Encoder, force: bool) -> _Prepared:
        try:
            data = read_file(file.path)
            digest = image_id(data)
            if not force and self._embeddings.cached([digest]) and self._catalog.has_image(digest):
                return _Prepared(file, digest)
            return _Prepared(file, digest, decode(data, encoder.target_size))
        except ImageError as error:
            return _Prepared(file, error=str(error), retry=error.retry)

    def _commit(self, batch: _Batch, known: dict[str, FileRecord], force: bool) -> None:
        vectors = self._encode(batch) if batch.pictures else None
        pictures = batch.pictures
        good = [p for p in batch.files if p.image_id]
        moved_from = self._count(good, known)
        self._encoded |= set(pictures)
        self._cached |= {p.image_id for p in good if p.image_id} - self._encoded
        with self._database.write():
            for digest, decoded in pictures.items():
                self._catalog.put_image(digest, decoded.info)
            if vectors is not None and pictures:
                self._embeddings.put(list(pictures), vectors)
            self._catalog.put_files(_records(batch, known))
            self._catalog.forget(sorted(moved_from))
            self._embeddings.publish([p.image_id for p in good if p.image_id], renew=force)
        self._failures += [Failure(path=p.file.path, error=p.error) for p in batch.files if p.error]

    def _encode(self, batch: _Batch) -> "Vectors":
        """Return the vectors of a batch's pictures; those that break the encoder are left out."""
        self._encoder.ready(self._report)  # what keeps it from loading is no picture's fault
        vectors, reasons = encode_apart(
            [decoded.image for decoded in batch.pictures.values()],
            lambda images: self._encoder.encode_images(images, self._report),
        )
        batch.leave_out(reasons)
        return vectors

    def _count(self, good: Sequence[_Prepared], known: dict[str, FileRecord]) -> set[str]:
        """Count what became of readable files; return the paths that files moved away from."""
        counts = self._counts
        moved_from: set[str] = set()
        for prepared in good:
            path, digest = prepared.file.path, prepared.image_id
            assert digest is not None
            before = known.get(path)
            old = self._moved(digest) - self._moved_from - moved_from if before is None else set()
            if old:
                moved_from.add(min(old))
                counts.moved += 1
            elif before is None or before.image_id is None:
                counts.added += 1
            elif before.image_id != digest:
                counts.updated += 1
            else:
                counts.unchanged += 1
        self._moved_from |= moved_from
        return moved_from

    def _moved(self, digest: str) -> set[str]:
        """Return known paths of an image that no longer exist, though their root is online.

        Paths below no root any more count, too: the folder was renamed and the root with it.
        """
        return {
            path
            for path in self._catalog.paths_of(digest)
            if not os.path.lexists(path)
            and (self._roots.online(path) or self._roots.of(path) is None)
        }

    def _forget(self, paths: Sequence[str]) -> None:
        for start in range(0, len(paths), _COMMIT_FILES):
            with self._database.write():
                self._catalog.forget(paths[start : start + _COMMIT_FILES])
            self._report(Progress(start, len(paths), "forgetting files that are gone"))


def _records(batch: _Batch, known: dict[str, FileRecord]) -> list[tuple[str, FileRecord]]:
    """Return what the catalog shall say of a batch's files.

    A file that can't be read for now (a disk that drops out) keeps the image that it had.
    """
    records = []
    for prepared in batch.files:
        file, before = prepared.file, known.get(prepared.file.path)
        if prepared.retry and before and before.image_id:
            continue
        record = FileRecord(
            file.size, file.mtime_ns, prepared.image_id, prepared.error, prepared.retry
        )
        records.append((file.path, record))
    return records
