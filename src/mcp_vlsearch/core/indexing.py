"""The indexing pipeline: scan → compare → read, digest, decode, prepare → encode → commit.

One transaction per batch holds vectors and catalog together, so a crash loses at most the batch in
flight, and a run that starts again finds everything before it in the embedding cache.
"""

import os
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mcp_vlsearch.cache.catalog import Catalog, FileRecord
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.embeddings import Embeddings
from mcp_vlsearch.cache.listing import Listing
from mcp_vlsearch.contracts import Encoder
from mcp_vlsearch.core.ahead import ahead
from mcp_vlsearch.core.apart import encode_apart
from mcp_vlsearch.core.batch import AHEAD_BYTES, Batch, Outcome, Picture, memory_of
from mcp_vlsearch.core.comparing import Comparer, Comparison
from mcp_vlsearch.core.decode import decode
from mcp_vlsearch.core.digest import image_id, read_file
from mcp_vlsearch.core.encoding import EncoderSlot, prepared
from mcp_vlsearch.core.progress import Meter, Progress, ProgressCallback
from mcp_vlsearch.core.roots import Roots
from mcp_vlsearch.core.scan import ScannedFile
from mcp_vlsearch.core.stages import Stages
from mcp_vlsearch.core.workers import workers
from mcp_vlsearch.errors import ImageError
from mcp_vlsearch.types import Failure, IndexReport

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Vectors

__all__ = ["Indexer"]

_FORGET_FILES: Final = 500
"""Files at most that one transaction forgets."""
_LISTED_FAILURES: Final = 100


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
        stages: Stages,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._embeddings = embeddings
        self._encoder = encoder
        self._roots = roots
        self._report = report
        self._stages = stages
        self._counts = _Counts()
        self._failures: list[Failure] = []
        self._started = time.monotonic()
        self._found: Comparison | None = None
        self._removed = 0
        self._moved_from: set[str] = set()
        self._encoded: set[str] = set()
        self._cached: set[str] = set()

    def run(self, paths: Sequence[str], recursive: bool, force: bool) -> IndexReport:
        """Bring the catalog and the cache up to what lies below the (resolved) paths."""
        listing = Listing(self._database, self._embeddings.fingerprint)
        comparer = Comparer(self._roots, self._catalog, listing, self._report)
        with self._stages("scanning"):
            self._catalog.count_folders(self._roots.folders)
            found = comparer.compare(paths, recursive, force)
        self._failures += found.failures
        self._counts.unchanged += found.unchanged
        self._found = found
        self._process(found, force)
        removed = [path for path in found.gone if path not in self._moved_from]
        with self._stages("writing"):
            self._forget(removed)
        self._removed = len(removed)
        return self.so_far().model_copy(update={"complete": True, "remaining": 0})

    def so_far(self) -> IndexReport:
        """Return what the run has done by now; from any thread.

        ``scanned`` is 0 and ``remaining`` None until all files are found.
        """
        counts = self._catalog.counts()
        failures = list(self._failures)
        done = sum(vars(self._counts).values()) + len(failures)
        scanned = self._found.scanned if self._found else 0
        return IndexReport(
            scanned=scanned,
            removed=self._removed,
            failed=len(failures),
            encoded=len(self._encoded),
            from_cache=len(self._cached),
            failures=failures[:_LISTED_FAILURES],
            seconds=time.monotonic() - self._started,
            total_images=counts.images,
            complete=False,
            remaining=max(scanned - done, 0) if self._found else None,
            **vars(self._counts),
        )

    def _process(self, found: Comparison, force: bool) -> None:
        if not found.to_read:
            return
        encoder = self._encoder.known(self._report)
        meter = Meter(self._report, len(found.to_read), "indexing")
        meter.report()
        with closing(self._batches(found.to_read, encoder, force)) as batches:
            while batch := self._next(batches):
                vectors = self._encode(batch, encoder)
                with self._stages("writing"):
                    self._commit(batch, vectors, force)
                meter.advance(len(batch.files))

    def _next(self, batches: Generator[Batch]) -> Batch | None:
        with self._stages("waiting"):
            return next(batches, None)

    def _batches(
        self, files: Sequence[ScannedFile], encoder: Encoder, force: bool
    ) -> Generator[Batch]:
        threads = min(os.cpu_count() or 1, 8)
        window = 2 * encoder.batch_size + threads

        def read(file: ScannedFile) -> tuple[Outcome, Picture | None]:
            return self._read(file, encoder, force)

        batch = Batch()
        with (
            workers(threads) as pool,
            closing(ahead(pool, read, files, window, memory_of, AHEAD_BYTES)) as all_read,
        ):
            for outcome, picture in all_read:
                batch.add(outcome, picture, self._encoded)
                if batch.full(encoder.batch_size):
                    yield batch
                    batch = Batch()
        if batch.files:
            yield batch

    def _read(
        self, file: ScannedFile, encoder: Encoder, force: bool
    ) -> tuple[Outcome, Picture | None]:
        """Do all that can be done to a file before its turn at the encoder, in a worker thread."""
        stages = self._stages
        digest = None
        try:
            with stages("reading"):
                data = read_file(file.path)
                digest = image_id(data)
                has_vector = not force and bool(self._embeddings.cached([digest]))
                if has_vector and self._catalog.has_image(digest):
                    return Outcome(file, digest), None
            with stages("decoding"):
                decoded = decode(data, _thumbnail if has_vector else encoder.target_size)
        except ImageError as error:
            return Outcome(file, error=str(error), retry=error.retry, digest=digest), None
        if has_vector:  # another machine made it: only what the file says was missing
            return Outcome(file, digest), Picture(None, decoded.info)
        with stages("preparing"):
            try:
                ready = prepared(encoder, decoded.image)
            except Exception:  # it fails again when it is encoded, where one picture stops nothing
                ready = decoded.image
        return Outcome(file, digest), Picture(ready, decoded.info)

    def _encode(self, batch: Batch, encoder: Encoder) -> "Vectors | None":
        """Return the vectors of a batch's pictures, and let go of the pictures.

        Those that break the encoder are left out.
        """
        if not batch.pictures:
            return None
        with self._stages("loading"):
            self._encoder.ready(self._report)
        with self._stages("encoding"):
            vectors, reasons = encode_apart(
                batch.pictures,
                lambda pictures: self._encoder.encode_images(
                    pictures, self._report, encoder.fingerprint
                ),
                lambda: encoder.target_size(*batch.size),
            )
        batch.pictures.clear()
        batch.leave_out(reasons)
        return vectors if batch.infos else None

    def _commit(self, batch: Batch, vectors: "Vectors | None", force: bool) -> None:
        known = self._catalog.records([p.file.path for p in batch.files])
        good = [p for p in batch.files if p.image_id]
        moved_from = self._count(good, known)
        self._encoded |= set(batch.infos)
        self._cached |= {p.image_id for p in good if p.image_id} - self._encoded
        with self._database.write():
            for digest, info in {**batch.described, **batch.infos}.items():
                self._catalog.put_image(digest, info)
            if vectors is not None:
                self._embeddings.put(list(batch.infos), vectors)
            if batch.broken:
                self._embeddings.fail(batch.broken)
            self._catalog.put_files(_records(batch, known))
            self._catalog.forget(sorted(moved_from))
            self._embeddings.publish([p.image_id for p in good if p.image_id], renew=force)
        self._failures += [Failure(path=p.file.path, error=p.error) for p in batch.files if p.error]

    def _count(self, good: Sequence[Outcome], known: dict[str, FileRecord]) -> set[str]:
        """Count what became of readable files; return the paths that files moved away from."""
        counts = self._counts
        moved_from: set[str] = set()
        for outcome in good:
            path, digest = outcome.file.path, outcome.image_id
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
        for start in range(0, len(paths), _FORGET_FILES):
            with self._database.write():
                self._catalog.forget(paths[start : start + _FORGET_FILES])
            self._report(Progress(start, len(paths), "forgetting files that are gone"))


def _thumbnail(_width: int, _height: int) -> tuple[int, int]:
    """Return a size that is quickly decoded, for a picture that is looked at for its facts only."""
    return 32, 32


def _records(batch: Batch, known: dict[str, FileRecord]) -> list[tuple[str, FileRecord]]:
    """Return what the catalog shall say of a batch's files.

    A file that has no image for now keeps the one that it had, unless other bytes were read: it
    was not read at all (a disk that drops out), or its same picture failed this time.
    """
    records = []
    for outcome in batch.files:
        file, before = outcome.file, known.get(outcome.file.path)
        kept = before.image_id if before else None
        if outcome.retry and kept and outcome.digest in (None, kept):
            continue
        record = FileRecord(
            file.size, file.mtime_ns, outcome.image_id, outcome.error, outcome.retry
        )
        records.append((file.path, record))
    return records
