"""What changed on disk since the catalog was written: what to read and what is gone."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from mcp_vlsearch.cache.catalog import Catalog, FileRecord
from mcp_vlsearch.cache.embeddings import Embeddings
from mcp_vlsearch.core.progress import Progress, ProgressCallback
from mcp_vlsearch.core.roots import Roots, is_below
from mcp_vlsearch.core.scan import ScannedFile, scan
from mcp_vlsearch.errors import RootError
from mcp_vlsearch.types import Failure

__all__ = ["Comparison", "compare"]


@dataclass
class Comparison:
    """The outcome of a scan against the catalog."""

    scanned: int = 0
    unchanged: int = 0
    to_read: list[ScannedFile] = field(default_factory=list)
    known: dict[str, FileRecord] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


def compare(
    paths: Sequence[str],
    recursive: bool,
    force: bool,
    roots: Roots,
    catalog: Catalog,
    embeddings: Embeddings,
    report: ProgressCallback,
) -> Comparison:
    """Scan resolved paths and compare them with the catalog.

    A file is unchanged if its size and mtime are, and its image has a vector: it is not even read.
    Nothing below a root that is offline, or a folder that can't be read, counts as gone.
    """
    found = Comparison()
    for path in _outermost(paths):
        if not roots.online(path) or _emptied(path, roots, catalog):
            offline = f"{roots.of(path)} is offline or empty: what was indexed below it is kept"
            found.failures.append(Failure(path=path, error=offline))
            continue
        _compare_one(path, recursive, force, roots, catalog, embeddings, report, found)
    return found


def _compare_one(
    path: str,
    recursive: bool,
    force: bool,
    roots: Roots,
    catalog: Catalog,
    embeddings: Embeddings,
    report: ProgressCallback,
    found: Comparison,
) -> None:
    known = catalog.known(path, recursive)
    if not os.path.lexists(path) and not known:
        raise RootError(f"{path} does not exist: give a file or folder that does")

    def count(files: int) -> None:
        report(Progress(found.scanned + files, None, f"scanning {path}"))

    result = scan(path, recursive, roots.folders, count)
    encoded = embeddings.cached({k.image_id for k in known.values() if k.image_id})
    seen = set()
    for file in result.files:
        seen.add(file.path)
        record = known.get(file.path)
        if force or record is None or _changed(file, record, encoded):
            found.to_read.append(file)
        elif record.error:
            found.failures.append(Failure(path=file.path, error=record.error))
        else:
            found.unchanged += 1
    found.scanned += len(result.files)
    found.known.update(known)
    found.failures += [Failure(path=p, error=e) for p, e in (*result.unreadable, *result.failures)]
    blind = [folder for folder, _ in result.unreadable]
    found.gone += [
        p for p in known if p not in seen and not any(is_below(p, folder) for folder in blind)
    ]


def _changed(file: ScannedFile, record: FileRecord, encoded: set[str]) -> bool:
    if (file.size, file.mtime_ns) != (record.size, record.mtime_ns) or record.retry:
        return True
    return record.image_id is not None and record.image_id not in encoded


def _emptied(path: str, roots: Roots, catalog: Catalog) -> bool:
    """Say whether a root is an empty folder though files are known below it.

    That is what an unmounted disk looks like, so it counts as offline, not as everything deleted.
    """
    root = roots.of(path)
    try:
        with os.scandir(root) as entries:
            return next(entries, None) is None and catalog.file_count(root) > 0
    except OSError:
        return False


def _outermost(paths: Sequence[str]) -> list[str]:
    """Leave out paths that lie below another one."""
    kept: list[str] = []
    for path in sorted(set(paths)):
        if not any(is_below(path, other) for other in kept):
            kept.append(path)
    return kept
