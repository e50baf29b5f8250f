"""Forgetting files and folders, without touching them."""

import os
from collections.abc import Sequence
from pathlib import Path

from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.core.roots import absolute, real
from mcp_vlsearch.types import RemoveReport

__all__ = ["forget"]


def forget(database: Database, catalog: Catalog, paths: Sequence[str | Path]) -> RemoveReport:
    """Forget files, or all files below folders; a root that is named is no root any more."""
    files: set[str] = set()
    unknown = []
    with database.write():
        roots = catalog.roots()
        for path in paths:
            # A link that is known by its own path is meant itself, not what it leads to.
            found = catalog.known(absolute(path)) or catalog.known(real(path))
            files |= found.keys()
            if not found and real(path) not in roots:
                unknown.append(os.fspath(path))
        catalog.forget(sorted(files))
        catalog.remove_roots([real(path) for path in paths])
    total = catalog.counts().images
    return RemoveReport(removed=len(files), unknown=unknown, total_images=total)
