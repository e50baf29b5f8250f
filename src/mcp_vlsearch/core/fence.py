"""Which images a search may find where its roots are given: none that lie outside them.

Libraries are shared: a server with ``--root ~/work`` must not show what another one has indexed.
"""

import threading
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.cache.embeddings import Embeddings
from mcp_vlsearch.core.filters import places_of
from mcp_vlsearch.core.roots import Roots
from mcp_vlsearch.errors import RootError
from mcp_vlsearch.wording import listed, shown

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs

__all__ = ["Fence", "check_folder"]


class _Standing(NamedTuple):
    """The last seq and removal that are known of, and how often copies have changed."""

    seq: int
    removal: int
    copies: int


class Fence:
    """Knows the seqs below the roots, kept up with what comes and goes.

    They are all looked up again only when something has happened to a file whose image other files
    hold, too: then an image may come to lie below a root, or not any more, that keeps its seq.
    """

    def __init__(self, catalog: Catalog, embeddings: Embeddings) -> None:
        self._catalog = catalog
        self._embeddings = embeddings
        self._key: object = None
        self._folders: list[str] = []
        self._seqs: Seqs | None = None
        self._since: _Standing | None = None
        self._turn = threading.Lock()

    def seqs(self, roots: Roots) -> "Seqs | None":
        """Return the seqs of images below the roots, sorted; None if that is all of them."""
        with self._turn:
            key = (tuple(roots.folders), self._catalog.version())
            if key != self._key:
                if roots.folders != self._folders:
                    self._folders, self._since = list(roots.folders), None
                self._bring_up()
                self._key = key
            return self._seqs

    def _bring_up(self) -> None:
        with self._catalog.snapshot():
            if not self._catalog.any_outside(self._folders):
                self._seqs = self._since = None
                return
            since, copies = self._since, self._catalog.copies_changed()
            if since and (since.copies != copies or not self._embeddings.remembers(since.removal)):
                since = None
            known = since or _Standing(0, 0, copies)
            gone, last_removal = self._embeddings.removals.after(known.removal, known.seq)
            came = self._catalog.seqs_below(
                self._folders, self._embeddings.fingerprint, after=known.seq
            )
            stayed = self._seqs if since and self._seqs is not None else came[:0]
            stayed = np.setdiff1d(stayed, gone, assume_unique=True) if len(gone) else stayed
            self._seqs = np.concatenate([stayed, came])
            self._since = _Standing(self._embeddings.newest()[0], last_removal, copies)


def check_folder(folder: str, roots: Roots, catalog: Catalog, is_fenced: bool) -> None:
    """Raise :class:`RootError` if no search can find anything in a folder, wherever it leads.

    What is known outside the roots can be found, too, unless the roots are a fence.
    """
    roots.refuse_shares(folder)
    places = places_of(folder)
    if not roots.folders or any(map(roots.meet, places)):
        return
    if is_fenced or not any(map(catalog.file_count, places)):
        raise RootError(
            f"the folder {shown(folder)!r} lies outside the roots ({listed(roots.folders)}): give "
            "one below them, or index it first"
        )
