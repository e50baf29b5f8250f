"""Vectors of texts that were searched before."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from mcp_vlsearch.contracts import Encoder, Query
from mcp_vlsearch.errors import EncoderError

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Vectors

__all__ = ["QueryCache"]

_ENTRIES: Final = 1024
"""Texts that are kept: 8 MiB of vectors at 2048 dimensions."""

_Key = tuple[str, str, str]


class QueryCache:
    """The latest texts' vectors in memory, by (fingerprint, query instruction, text)."""

    def __init__(self, instruction: str, entries: int = _ENTRIES) -> None:
        self._instruction = instruction
        self._entries = entries
        self._vectors: OrderedDict[_Key, Vectors] = OrderedDict()
        self._lock = threading.Lock()
        self.hits = 0
        """Texts whose vectors were here."""
        self.encoded = 0
        """Queries that the encoder has seen."""

    def known(self, encoder: Encoder, queries: Sequence[Query]) -> "Vectors | None":
        """Return the vectors, shape (len(queries), dim), if all are here, else None."""
        found = [self._get(encoder, query) for query in queries]
        rows = [vector for vector in found if vector is not None]
        return np.stack(rows) if rows and len(rows) == len(found) else None

    def encode(self, encoder: Encoder, queries: Sequence[Query]) -> "Vectors":
        """Return vectors, shape (len(queries), dim); the encoder sees what is new, and once."""
        found = {_identity(query): self._get(encoder, query) for query in queries}
        new = {_identity(q): q for q in queries if found[_identity(q)] is None}
        if new:
            encoded = encoder.encode_queries(list(new.values()))
            if encoded.shape != (len(new), encoder.dim):
                raise EncoderError(
                    f"encoder {encoder.name!r} gave vectors of shape {encoded.shape} for "
                    f"{len(new)} queries of {encoder.dim} dimensions: report it to its author"
                )
            with self._lock:
                self.encoded += len(new)
            for (identity, query), vector in zip(new.items(), encoded, strict=True):
                found[identity] = vector
                self._put(encoder, query, vector)
        rows = [vector for q in queries if (vector := found[_identity(q)]) is not None]
        return np.stack(rows) if rows else np.empty((0, encoder.dim), np.float32)

    def _get(self, encoder: Encoder, query: Query) -> "Vectors | None":
        if query.image is not None:
            return None
        key = self._key(encoder, query)
        with self._lock:
            if key in self._vectors:
                self._vectors.move_to_end(key)
                self.hits += 1
            return self._vectors.get(key)

    def _put(self, encoder: Encoder, query: Query, vector: "Vectors") -> None:
        if query.image is not None:
            return
        with self._lock:
            self._vectors[self._key(encoder, query)] = vector.copy()
            while len(self._vectors) > self._entries:
                self._vectors.popitem(last=False)

    def _key(self, encoder: Encoder, query: Query) -> _Key:
        return encoder.fingerprint, self._instruction, query.text


def _identity(query: Query) -> tuple[str, int | None]:
    return query.text, None if query.image is None else id(query.image)
