"""Which seqs a filter allows, remembered as long as nothing is written."""

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.cache.conditions import Condition

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs

__all__ = ["Allowed"]

_MOST: Final = 2_000_000
"""Seqs that are remembered, of all conditions together: 16 MB."""


class Allowed:
    """The seqs of one fingerprint by the condition that their images meet.

    A conversation asks again with the same filters, and in a large library the answer is long.
    """

    def __init__(self, catalog: Catalog, fingerprint: str) -> None:
        self._catalog = catalog
        self._fingerprint = fingerprint
        self._version = -1
        self._found: OrderedDict[Condition, Seqs] = OrderedDict()
        self._turn = threading.Lock()

    def seqs(self, condition: Condition) -> "Seqs":
        """Return the seqs of images that meet a condition, sorted, shape (n,)."""
        version = self._catalog.version()
        with self._turn:
            if version != self._version:
                self._found.clear()
                self._version = version
            known = self._found.get(condition)
            if known is not None:
                self._found.move_to_end(condition)
                return known
        found = self._catalog.allowed(condition, self._fingerprint)
        with self._turn:
            if version == self._version:
                self._found[condition] = found
                self._forget()
        return found

    def _forget(self) -> None:
        """Drop what was longest not asked for, so that not too many seqs are remembered."""
        total = sum(map(len, self._found.values()))
        while total > _MOST:
            total -= len(self._found.popitem(last=False)[1])
