"""Which space a server's vectors are of, told by vectors of the same two probes every time.

A name says little: another model, or another state of it, may be served under it. And a digest of
a vector says too much: half-precision servers answer the same request a little differently from
one batch to the next. So the library keeps the probes' vectors as they were first seen; vectors
that are as near to them as rounding explains are of the same space.
"""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from filelock import FileLock

from mcp_vlsearch.files import write_whole
from mcp_vlsearch.settings import Settings

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Vectors

__all__ = ["RemoteSpace"]

FILE: Final = "remote.json"
SAME: Final = 0.998
"""Cosine from which on two vectors of one probe are the same but for rounding. Half precision
moves a vector by less than 0.001; other weights move it by far more."""


class RemoteSpace:
    """The space that probes' unit vectors, shape (n, dim), are of, among those of the library.

    ``served`` says under which name and conditions they were made. A new space is remembered in the
    library, unless that is not there yet or read-only. Of several processes that meet a new one at
    the same time, all take the name that the first one gave it.
    """

    def __init__(self, settings: Settings, served: str, probes: "Vectors") -> None:
        self._path = settings.library / FILE
        self._may_write = not settings.read_only
        rounded = probes.round(5)
        digest = hashlib.sha256(served.encode() + rounded.astype("<f4").tobytes())
        self.name = digest.hexdigest()[:16]
        self._new: dict[str, Any] = {
            "name": self.name,
            "served": served,
            "probes": rounded.tolist(),
        }
        self._is_known = self._find()
        self.remember()

    def remember(self) -> None:
        """Write a new space into the library, once that is there."""
        if self._is_known or not self._may_write or not self._path.parent.is_dir():
            return
        with FileLock(self._path.with_suffix(".lock")):
            if not self._find():
                write_whole(self._path, json.dumps([*_read(self._path), self._new]))
        self._is_known = True

    def _find(self) -> bool:
        """Take the name that the library knows the space by; say whether it does."""
        probes = np.asarray(self._new["probes"], np.float32)
        for space in _read(self._path):
            known = np.asarray(space["probes"], np.float32)
            if space["served"] == self._new["served"] and _same(known, probes):
                self.name = str(space["name"])
                return True
        return False


def _same(known: "Vectors", probes: "Vectors") -> bool:
    return known.shape == probes.shape and bool(((known * probes).sum(axis=1) >= SAME).all())


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads(path.read_text("utf-8"))
        return [s for s in found if {"name", "served", "probes"} <= s.keys()]
    except (OSError, ValueError, AttributeError, TypeError):
        return []
