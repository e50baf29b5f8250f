"""Which images a search may find where its roots are given: none that lie outside them.

Libraries are shared: a server with ``--root ~/work`` must not show what another one has indexed.
"""

import threading
from typing import TYPE_CHECKING

from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.core.filters import places_of
from mcp_vlsearch.core.roots import Roots
from mcp_vlsearch.errors import RootError
from mcp_vlsearch.wording import listed, shown

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs

__all__ = ["Fence", "check_folder"]


class Fence:
    """Knows the seqs below the roots, as long as nothing is written and the roots stay."""

    def __init__(self, catalog: Catalog, fingerprint: str) -> None:
        self._catalog = catalog
        self._fingerprint = fingerprint
        self._key: object = None
        self._seqs: Seqs | None = None
        self._turn = threading.Lock()

    def seqs(self, roots: Roots) -> "Seqs | None":
        """Return the seqs of images below the roots, sorted; None if that is all of them."""
        with self._turn:
            key = (tuple(roots.folders), self._catalog.version())
            if key != self._key:
                outside = self._catalog.any_outside(roots.folders)
                self._seqs = (
                    self._catalog.seqs_below(roots.folders, self._fingerprint) if outside else None
                )
                self._key = key
            return self._seqs


def check_folder(folder: str, roots: Roots, catalog: Catalog, is_fenced: bool) -> None:
    """Raise :class:`RootError` if no search can find anything in a folder, wherever it leads.

    What is known outside the roots can be found, too, unless the roots are a fence.
    """
    places = places_of(folder)
    if not roots.folders or any(map(roots.meet, places)):
        return
    if is_fenced or not any(map(catalog.file_count, places)):
        raise RootError(
            f"the folder {shown(folder)!r} lies outside the roots ({listed(roots.folders)}): give "
            "one below them, or index it first"
        )
