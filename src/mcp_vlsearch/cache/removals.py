"""The log of entries that went, as an index of one fingerprint reads it."""

from typing import TYPE_CHECKING, Final

import numpy as np

from mcp_vlsearch.cache.database import Database

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs

__all__ = ["LAST", "Removals"]

LAST: Final = "IFNULL((SELECT seq FROM sqlite_sequence WHERE name = 'removals'), 0)"
"""The number of the last removal of all that there ever was, in SQL."""

_FINGERPRINT: Final = "(SELECT id FROM fingerprints WHERE fingerprint = :fingerprint)"
_FORGOTTEN: Final = f"""
    IFNULL((SELECT forgotten FROM fingerprints WHERE fingerprint = :fingerprint), {LAST})
"""
"""The last removal that is not told any more: of a fingerprint that is not there, none is."""
_AFTER: Final = f"""
    SELECT seq FROM removals WHERE fingerprint = {_FINGERPRINT} AND id > :after AND seq <= :seq
    UNION ALL SELECT seq FROM removals WHERE fingerprint IS NULL AND id > :after AND seq <= :seq
"""
_LAST_OWN: Final = f"""
    SELECT MAX(
        {_FORGOTTEN},
        IFNULL((SELECT MAX(id) FROM removals WHERE fingerprint = {_FINGERPRINT}), 0),
        IFNULL((SELECT MAX(id) FROM removals WHERE fingerprint IS NULL), 0)
    )
"""


class Removals:
    """What went of one fingerprint's entries, by a number that grows.

    In an older library removals don't say of which fingerprint they were; those count for all.
    """

    def __init__(self, database: Database, fingerprint: str) -> None:
        self._database = database
        self._fingerprint = fingerprint

    def after(self, removal: int, seq: int) -> "tuple[Seqs, int]":
        """Return the seqs up to one that went after a removal, and the number of the last one."""
        given = {"fingerprint": self._fingerprint, "after": removal, "seq": seq}
        with self._database.read() as connection:
            rows = connection.execute(_AFTER, given).fetchall()
            (last,) = connection.execute(_LAST_OWN, given).fetchone()
        return np.fromiter((seq for (seq,) in rows), np.int64, len(rows)), last

    def are_told(self, removal: int) -> bool:
        """Say whether each one after a removal can still be told."""
        query = f"SELECT {_FORGOTTEN} <= :after"
        given = {"fingerprint": self._fingerprint, "after": removal}
        with self._database.read() as connection:
            return bool(connection.execute(query, given).fetchone()[0])
