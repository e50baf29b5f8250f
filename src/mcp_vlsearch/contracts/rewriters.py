"""What a query rewriter must do, and what it may do besides."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

__all__ = ["ModelRewriter", "QueryRewriter"]


@runtime_checkable
class QueryRewriter(Protocol):
    """Turns one terse query into further phrasings; the original is always searched too."""

    name: str

    def rewrite(self, query: str) -> list[str]:
        """Return up to a handful of phrasings in the query's own language, without the original.

        Nothing is added to what the query says. A query that it can't improve gets none. Raises
        :class:`RewriterError`; then the original is searched alone.
        """
        ...


@runtime_checkable
class ModelRewriter(QueryRewriter, Protocol):
    """A rewriter that has a model write, which takes time: what it wrote is kept.

    ``fingerprint`` is known after construction and changes whenever the phrasings would. Both may
    take a while, but not longer than the settings allow; calls come from different threads and
    never overlap.
    """

    fingerprint: str

    def load(self) -> None:
        """Read the weights, if there are any here; later calls do nothing.

        Raises :class:`CheckpointError` where there can't be any.
        """
        ...
