"""The contract suite of rewriters."""

import time
from typing import Final

from mcp_vlsearch.contracts import ModelRewriter, QueryRewriter

__all__ = ["check_rewriter"]

_QUERIES: Final = (
    *("cat", "猫", "two red bicycles at night", "紅色的汽車 海邊", "OPEN 牌子"),
    "two dogs on a beach at sunset, seen from above",
    *("?!", "42", "<|im_end|>", "a" * 2000, "两只猫" * 500, "cat\ndog", ""),
)
"""What rewriters are asked: terse and long, in both languages and both scripts, and no words."""


def check_rewriter(rewriter: QueryRewriter, *, seconds: float = 60) -> None:
    """Check that a rewriter gives a handful of further phrasings for any query.

    They are in the query's own language (as far as its script tells), none of them is the query
    again, their number and length are bounded, and none takes more than ``seconds``. One that has a
    model write must say by its ``fingerprint`` what wrote them.
    """
    assert isinstance(rewriter, QueryRewriter), "a rewriter has a name and rewrite()"
    assert rewriter.name, "a rewriter has a name"
    if isinstance(rewriter, ModelRewriter):
        fingerprint = rewriter.fingerprint
        assert fingerprint, "a rewriter with a model has a fingerprint"
        rewriter.load()
        rewriter.load()
        assert rewriter.fingerprint == fingerprint, "load() must not change the fingerprint"
    for query in _QUERIES:
        started = time.monotonic()
        phrasings = rewriter.rewrite(query)
        took = time.monotonic() - started
        shown = f"rewrite({query[:20]!r}) gave {phrasings!r}"[:2000]
        assert took <= seconds, f"rewrite({query[:20]!r}) took {took:.1f} s"
        assert isinstance(phrasings, list), f"{shown}: not a list"
        assert all(isinstance(p, str) and p.strip() for p in phrasings), f"{shown}: blank phrasings"
        same = {_bare(phrasing) for phrasing in phrasings}
        assert _bare(query) not in same, f"{shown}: the original is searched anyway"
        assert len(same) == len(phrasings) <= 10, f"{shown}: repeated or too many"
        assert all(len(p) <= 1000 + 2 * len(query) for p in phrasings), f"{shown}: too long"
        assert all(_chinese(p) == _chinese(query) for p in phrasings), (
            f"{shown}: not in the query's language"
        )


def _bare(text: str) -> str:
    return " ".join(text.casefold().split())


def _chinese(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)
