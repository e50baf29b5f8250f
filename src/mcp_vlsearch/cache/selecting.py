"""From a condition on images to the seqs that it allows, as fast as SQLite gives them away."""

import sqlite3
from typing import TYPE_CHECKING, Final

import numpy as np

from mcp_vlsearch.cache.conditions import Condition

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs

__all__ = ["MANY", "allowed_seqs", "parsed"]

MANY: Final = 8
"""One file in so many is too many for a list of them, if something else may narrow the search."""


def allowed_seqs(connection: sqlite3.Connection, condition: Condition, fingerprint: str) -> "Seqs":
    """Return the seqs of a fingerprint whose images meet a condition, sorted, shape (n,)."""
    is_wide = condition.files and _are_many(connection, condition.files)
    # CROSS keeps images first: their indexes narrow the search, entries have none to add.
    query = f"""
        SELECT group_concat(seq) FROM images CROSS JOIN entries USING (image_id)
        WHERE entries.fingerprint = (SELECT id FROM fingerprints WHERE fingerprint = ?)
        AND ({condition.wide if is_wide else condition.sql})
    """
    (text,) = connection.execute(query, (fingerprint, *condition.parameters)).fetchone()
    return parsed(text)


def parsed(text: str | None) -> "Seqs":
    """Return the seqs, sorted, that SQLite has joined to one text.

    Rows would take longer in Python than all the rest.
    """
    seqs = np.fromstring(text, np.int64, sep=",") if text else np.empty(0, np.int64)
    return np.sort(seqs)


def _are_many(connection: sqlite3.Connection, files: Condition) -> bool:
    """Say whether so many files meet a condition that there are better places to begin."""
    query = f"""SELECT COUNT(*) > (SELECT MAX(seq) FROM entries) / {MANY} FROM (
        SELECT 1 FROM files WHERE {files.sql}
        LIMIT (SELECT IFNULL(MAX(seq), 0) / {MANY} + 1 FROM entries)
    )"""
    return bool(connection.execute(query, files.parameters).fetchone()[0])
