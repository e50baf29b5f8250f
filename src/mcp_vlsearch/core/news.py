"""What differs on disk from what a library knows, told without its model and without its lock."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.fingerprints import Fingerprints
from mcp_vlsearch.cache.listing import Listing
from mcp_vlsearch.core.comparing import Comparer
from mcp_vlsearch.core.following import followed, space_for
from mcp_vlsearch.core.progress import ProgressCallback
from mcp_vlsearch.core.roots import Roots
from mcp_vlsearch.core.scan import ScannedFile
from mcp_vlsearch.settings import Settings

__all__ = ["News", "look"]


@dataclass(frozen=True)
class News:
    """Files that an index run would read, and known paths that it would forget, both sorted."""

    to_read: list[ScannedFile]
    gone: list[str]

    def __bool__(self) -> bool:
        return bool(self.to_read or self.gone)


def look(
    settings: Settings,
    database: Database,
    catalog: Catalog,
    roots: Roots,
    paths: Sequence[str],
    report: ProgressCallback,
) -> News:
    """Compare what lies at or below paths (resolved, below the roots) with the catalog.

    A path that is neither there nor known is no news. What was encoded is told by the database, for
    the vectors that a search by these settings looks at.
    """
    space = space_for(followed(settings, database), Fingerprints(database).all())
    listing = Listing(database, space.fingerprint if space else "")
    there = [path for path in paths if os.path.lexists(path) or catalog.file_count(path)]
    found = Comparer(roots, catalog, listing, report).compare(there, recursive=True, force=False)
    return News(found.to_read, found.gone)
