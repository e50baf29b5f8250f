"""What a search is asked: what to search for, and which hits count."""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, get_args

from mcp_vlsearch.core.phrasings import check_text
from mcp_vlsearch.errors import QueryError
from mcp_vlsearch.types import Filters, MinRelevance, SearchResult
from mcp_vlsearch.wording import shown

if TYPE_CHECKING:
    from PIL import Image

    from mcp_vlsearch.contracts import Vectors

__all__ = ["SearchRequest", "check", "nothing_found"]


@dataclass(frozen=True)
class SearchRequest:
    """What to search for, and which hits count.

    ``texts`` are the caller's phrasings of one wish, the original first, ``rewritten`` those of a
    rewriter. ``image`` is a picture to go with them (a composed query), and ``vector`` its ready
    one, shape (dim,): one of them is enough, unless picture and texts are encoded together, which
    takes the picture. ``given`` is the image id of a picture that is no answer, as it is the one
    that the texts change. ``group_by_file`` keeps the best image of each file. ``started`` is when
    the call began, by ``time.monotonic``.
    """

    texts: tuple[str, ...] = ()
    rewritten: tuple[str, ...] = ()
    image: "Image.Image | None" = None
    vector: "Vectors | None" = None
    given: str = ""
    exclude: str = ""
    top_k: int = 10
    filters: Filters = field(default_factory=Filters)
    min_relevance: MinRelevance = "any"
    group_by_file: bool = False
    started: float = field(default_factory=time.monotonic)

    @property
    def phrasings(self) -> tuple[str, ...]:
        """All texts that are searched."""
        return self.texts + self.rewritten


def check(request: SearchRequest) -> None:
    """Raise :class:`QueryError` for a number of hits, a relevance or a text that can't be given."""
    for text in (*request.texts, request.exclude):
        check_text(text)
    if not 1 <= request.top_k <= 100:
        raise QueryError(f"top_k is {request.top_k}: give a number from 1 to 100")
    if request.min_relevance not in get_args(MinRelevance):
        raise QueryError(
            f"min_relevance is {shown(str(request.min_relevance))!r}: give any, likely or strong"
        )


def nothing_found(request: SearchRequest) -> SearchResult:
    """Return what a search of an empty library finds."""
    return SearchResult(
        queries=list(request.phrasings),
        hits=[],
        total_images=0,
        searched_images=0,
        seconds=time.monotonic() - request.started,
    )
