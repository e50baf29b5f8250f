"""The indexing pipeline: scan → compare → read, digest, decode, prepare → encode → commit.

One transaction per batch holds vectors and catalog together, so a crash loses at most the batch in
flight, and a run that starts again finds everything before it in the embedding cache.
"""

import logging
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
from mcp_vlsearch.core.apart import encode_apart
from mcp_vlsearch.core.batch import Batch, Outcome
from mcp_vlsearch.core.comparing import Comparer, Comparison
from mcp_vlsearch.core.encoding import EncoderSlot
from mcp_vlsearch.core.intake import Intake
from mcp_vlsearch.core.parted import nothing_found
from mcp_vlsearch.core.progress import Meter, Progress, ProgressCallback
from mcp_vlsearch.core.roots import Roots
from mcp_vlsearch.core.scan import ScannedFile
from mcp_vlsearch.core.stages import Stages
from mcp_vlsearch.pins import is_elsewhere
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.types import Failure, IndexReport
from mcp_vlsearch.wording import on_a_line

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Vectors

__all__ = ["Indexer"]

logger = logging.getLogger(__name__)

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
        settings: Settings,
        database: Database,
        catalog: Catalog,
        embeddings: Embeddings,
        encoder: EncoderSlot,
        roots: Roots,
        report: ProgressCallback,
        stages: Stages,
    ) -> None:
        self._settings = settings
        self._database = database
        self._catalog = catalog
        self._embeddings = embeddings
        self._encoder = encoder
        self._roots = roots
        self._report = report
        self._stages = stages
        self._counts = _Counts()
        self._failures: list[Failure] = []
        self._partly = 0
        self._broken: dict[str, str] = {}
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
        _tell(found.fresh)
        self._counts.unchanged += found.unchanged
        self._partly += found.partly
        self._found = found
        if found.unlisted:
            with self._stages("writing"):
                self._catalog.put_files((one.path, _never_read(one)) for one in found.unlisted)
        self._process(found, force)
        removed = [path for path in found.gone if path not in self._moved_from]
        with self._stages("writing"):
            self._forget(removed)
        self._removed = len(removed)
        step = "" if found.scanned else nothing_found(found.others)
        done = {"complete": True, "remaining": 0, "next_step": step}
        return self.so_far().model_copy(update=done)

    def so_far(self) -> IndexReport:
        """Return what the run has done by now; from any thread.

        ``scanned`` is 0 and ``remaining`` None until all files are found.
        """
        counts = self._catalog.counts()
        failures = list(self._failures)
        failed = len(failures) - self._partly
        done = sum(vars(self._counts).values()) + failed
        scanned = self._found.scanned if self._found else 0
        return IndexReport(
            scanned=scanned,
            removed=self._removed,
            failed=failed,
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
        self._embeddings.settle_model(is_elsewhere)
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
        intake = Intake(
            self._settings,
            self._catalog,
            self._embeddings,
            encoder,
            self._roots,
            self._stages,
            force,
        )
        batch = Batch()
        with closing(intake.reads(files)) as reads:
            for read in reads:
                batch.add(read, self._encoded)
                if batch.full(encoder.batch_size):
                    yield batch
                    batch = Batch()
        if not batch.is_empty:
            yield batch

    def _encode(self, batch: Batch, encoder: Encoder) -> "Vectors | None":
        """Return the vectors of a batch's pictures, and let go of the pictures.

        Those that break the encoder are left out.
        """
        if not batch.pictures:
            batch.fail(self._broken)
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
        self._broken |= batch.broken
        batch.fail(self._broken)
        return vectors if batch.infos else None

    def _commit(self, batch: Batch, vectors: "Vectors | None", force: bool) -> None:
        known = self._catalog.records([p.file.path for p in batch.files])
        good = [p for p in batch.files if p.image_id]
        images = [image for p in good for image in p.images]
        found = {**dict.fromkeys(images), **dict.fromkeys(batch.infos)}
        moved_from = self._count(good, known)
        self._encoded |= set(batch.infos)
        self._cached |= set(images) - self._encoded
        with self._database.write():
            for digest, info in {**batch.described, **batch.infos}.items():
                self._catalog.put_image(digest, info)
            if vectors is not None:
                self._embeddings.put(list(batch.infos), vectors)
            if batch.broken:
                self._embeddings.fail(batch.broken)
            for outcome in good:
                if outcome.image_id and outcome.parts:
                    self._catalog.parts.keep(outcome.image_id, outcome.listed)
            self._catalog.put_files(_records(batch, known))
            self._catalog.forget(sorted(moved_from))
            self._embeddings.publish(list(found), renew=force)
        failures = [Failure(path=p.file.path, error=p.error) for p in batch.files if p.error]
        self._failures += failures
        _tell(failures)
        self._partly += sum(1 for p in good if p.error)

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


def _tell(failures: Sequence[Failure]) -> None:
    """Log why files have no image; names of files may hold anything."""
    for failure in failures:
        path, error = on_a_line(failure.path), on_a_line(failure.error)
        logger.info("failed: %s: %s", path, error, extra={"path": path, "error": error})


def _never_read(failure: Failure) -> FileRecord:
    return FileRecord(size=0, mtime_ns=0, error=failure.error, retry=True)


def _records(batch: Batch, known: dict[str, FileRecord]) -> list[tuple[str, FileRecord]]:
    """Return what the catalog shall say of a batch's files.

    A file that has no image for now keeps the one that it had, unless other bytes were read: it
    was not read at all (a disk that drops out), or its same picture failed this time.
    """
    records = []
    for outcome in batch.files:
        file, before = outcome.file, known.get(outcome.file.path)
        kept = before.image_id if before else None
        is_missed = outcome.retry and outcome.image_id is None
        if is_missed and kept and outcome.digest in (None, kept):
            continue
        record = FileRecord(
            file.size, file.mtime_ns, outcome.image_id, outcome.error, outcome.retry
        )
        records.append((file.path, record))
    return records
