"""From one query to the texts that are searched: the original first, then the caller's own
alternatives, then a rewriter's."""

from collections.abc import Sequence

from mcp_vlsearch.errors import QueryError

__all__ = ["check_text", "phrasings"]

_MOST = 16
_LONGEST = 8000


def phrasings(
    query: str, alternatives: Sequence[str] = (), rewritten: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return distinct texts to search. Raises :class:`QueryError`."""
    if isinstance(alternatives, str):
        raise QueryError("alternatives is one text: give a list of texts, such as ['a red car']")
    if not query.strip():
        raise QueryError("the query is empty: say what the picture shows")
    if any(len(text) > _LONGEST for text in (query, *alternatives)):
        raise QueryError(f"a query has over {_LONGEST} characters: shorten it")
    for text in (query, *alternatives):
        check_text(text)
    texts = (query, *alternatives, *(text for text in rewritten if len(text) <= _LONGEST))
    distinct = dict.fromkeys(text.strip() for text in texts if text.strip())
    return tuple(distinct)[:_MOST]


def check_text(text: str) -> None:
    """Raise :class:`QueryError` for a text with halves of characters, which nobody can encode.

    A terminal gives them for bytes that are no UTF-8, JSON for escapes of single surrogates.
    """
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise QueryError("a text is not valid UTF-8: type it anew, or set the terminal to UTF-8")
