"""Forgetting files and folders, without touching them."""

import os
from collections.abc import Sequence
from pathlib import Path

from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.core.roots import Roots, absolute, real
from mcp_vlsearch.types import RemoveReport

__all__ = ["forget", "forget_failed", "unknown_files"]


def forget(
    database: Database, catalog: Catalog, paths: Sequence[str | Path], fence: Roots | None
) -> RemoveReport:
    """Forget files, or all files below folders; a root that is named is no root any more.

    With a ``fence`` nothing outside of it can be forgotten; raises :class:`RootError` for such a
    path, and forgets nothing.
    """
    files: set[str] = set()
    unknown = []
    with database.write():
        roots = catalog.roots()
        for path in paths:
            # A link that is known by its own path is meant itself, not what it leads to.
            places = [absolute(path), real(path)]
            if fence and not any(map(fence.of, places)):
                fence.check(path)
            inside = (place for place in places if fence is None or fence.of(place))
            found = next(filter(None, map(catalog.known, inside)), {})
            files |= found.keys()
            if not found and real(path) not in roots:
                unknown.append(os.fspath(path))
        catalog.forget(sorted(files))
        catalog.remove_roots([real(path) for path in paths])
    total = catalog.counts().images
    return RemoveReport(removed=len(files), unknown=unknown, total_images=total)


def unknown_files(catalog: Catalog, paths: Sequence[str]) -> list[str]:
    """Return the files among resolved paths that are roots by themselves and were never read."""
    roots, known = set(catalog.roots()), catalog.records(paths)
    return [path for path in paths if path in roots and path not in known and Path(path).is_file()]


def forget_failed(database: Database, catalog: Catalog, paths: Sequence[str]) -> None:
    """Forget those of the files at resolved paths that failed for good, and allow them no more.

    Nothing of them can be found, so nobody would come by them to remove them.
    """
    records = catalog.records(paths)
    failed = [path for path, record in records.items() if not (record.image_id or record.retry)]
    with database.write():
        catalog.forget(failed)
        catalog.remove_roots(failed)
