"""From one query to the texts that are searched: the original first, then the caller's own
alternatives, then a rewriter's."""

from collections.abc import Sequence

from mcp_vlsearch.errors import QueryError
from mcp_vlsearch.plugins import resolve
from mcp_vlsearch.settings import Settings

__all__ = ["phrasings"]

_MOST = 16
_LONGEST = 8000


def phrasings(
    query: str, alternatives: Sequence[str], rewrite: str | None, settings: Settings
) -> tuple[str, ...]:
    """Return distinct texts to search. Raises :class:`QueryError` and :class:`PluginError`."""
    if not query.strip():
        raise QueryError("the query is empty: say what the picture shows")
    texts = [query, *alternatives]
    if any(len(text) > _LONGEST for text in texts):
        raise QueryError(f"a query has over {_LONGEST} characters: shorten it")
    name = settings.rewrite if rewrite is None else rewrite
    if name != "off":
        texts += resolve("rewriters", name)(settings).rewrite(query)
    distinct = dict.fromkeys(text.strip() for text in texts if text.strip())
    return tuple(distinct)[:_MOST]
