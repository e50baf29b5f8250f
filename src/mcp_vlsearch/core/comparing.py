"""What changed on disk since the catalog was written: what to read and what is gone."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from mcp_vlsearch.cache.catalog import Catalog, FileRecord
from mcp_vlsearch.cache.embeddings import Embeddings
from mcp_vlsearch.core.progress import Progress, ProgressCallback
from mcp_vlsearch.core.roots import Roots, is_below
from mcp_vlsearch.core.scan import ScannedFile, ScanResult, scan
from mcp_vlsearch.errors import RootError
from mcp_vlsearch.types import Failure

__all__ = ["Comparer", "Comparison"]


@dataclass
class Comparison:
    """The outcome of scans against the catalog.

    ``scanned`` counts what is unchanged, to be read or among the failures, each path once.
    """

    scanned: int = 0
    unchanged: int = 0
    to_read: list[ScannedFile] = field(default_factory=list)
    known: dict[str, FileRecord] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


class Comparer:
    """Compares what lies below paths with the catalog.

    A file is unchanged if its size and mtime are, and its image has a vector: it is not even read.
    A file is gone if its path is, unless it lies below a root that is offline or a folder that
    can't be read: of those nothing is known.
    """

    def __init__(
        self, roots: Roots, catalog: Catalog, embeddings: Embeddings, report: ProgressCallback
    ) -> None:
        self._roots = roots
        self._catalog = catalog
        self._embeddings = embeddings
        self._report = report
        self._blind = [root for root in roots.folders if self._is_offline(root)]

    def compare(self, paths: Sequence[str], recursive: bool, force: bool) -> Comparison:
        """Scan resolved paths below the roots. Raises :class:`RootError` for one that never was."""
        found = Comparison()
        seen: set[str] = set()
        for path in sorted(set(paths)):
            if self._roots.of(path) in self._blind:
                offline = (
                    "this root is offline or empty: what was indexed below it is kept until you "
                    "connect it or `remove` it"
                )
                found.failures.append(Failure(path=path, error=offline))
                found.scanned += 1
                continue
            known = self._catalog.known(path, recursive)
            if not known and not os.path.lexists(path):
                raise RootError(f"{path} does not exist: give a file or folder that does")
            result = self._scan(path, recursive, found.scanned)
            result.files = [file for file in result.files if file.path not in seen]
            problems = [p for p in (*result.unreadable, *result.failures) if p[0] not in seen]
            seen |= {file.path for file in result.files} | {path for path, _ in problems}
            self._sort(result.files, known, force, found)
            found.scanned += len(result.files) + len(problems)
            found.failures += [Failure(path=path, error=error) for path, error in problems]
            blind = [*self._blind, *(folder for folder, _ in result.unreadable)]
            found.gone += [p for p in known if p not in seen and self._is_gone(p, blind)]
        found.gone = [path for path in found.gone if path not in seen]
        return found

    def _scan(self, path: str, recursive: bool, before: int) -> ScanResult:
        def count(files: int) -> None:
            self._report(Progress(before + files, None, f"scanning {path}"))

        return scan(path, recursive, self._roots.folders, count)

    def _sort(
        self,
        files: Sequence[ScannedFile],
        known: dict[str, FileRecord],
        force: bool,
        found: Comparison,
    ) -> None:
        encoded = self._embeddings.cached({k.image_id for k in known.values() if k.image_id})
        for file in files:
            record = known.get(file.path)
            if force or record is None or _changed(file, record, encoded):
                found.to_read.append(file)
            elif record.error:
                found.failures.append(Failure(path=file.path, error=record.error))
            else:
                found.unchanged += 1
        found.known.update(known)

    def _is_offline(self, root: str) -> bool:
        """Say whether a root is missing, or an empty folder though files are known below it.

        An empty folder is what an unmounted disk leaves, so it does not mean that all was deleted.
        """
        if not self._roots.is_there(root):
            return True
        try:
            with os.scandir(root) as entries:
                return next(entries, None) is None and self._catalog.file_count(root) > 0
        except OSError:
            return False

    @staticmethod
    def _is_gone(path: str, blind: Sequence[str]) -> bool:
        return not any(is_below(path, folder) for folder in blind) and not os.path.lexists(path)


def _changed(file: ScannedFile, record: FileRecord, encoded: set[str]) -> bool:
    if (file.size, file.mtime_ns) != (record.size, record.mtime_ns) or record.retry:
        return True
    return record.image_id is not None and record.image_id not in encoded
