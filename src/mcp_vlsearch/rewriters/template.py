"""``template``: a terse query put into the sentences that encoders are trained on; no model."""

import re
from typing import Final

from mcp_vlsearch.settings import Settings

__all__ = ["TemplateRewriter"]

_HAN: Final = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_SENTENCE_END: Final = re.compile(r"[.!?…。！？]+\s*$")

_MOST_WORDS: Final = 4
_MOST_CHARACTERS: Final = 8
"""Of Chinese, which has no spaces between words."""

_ENGLISH: Final = ("A picture of {}.", "A picture in which {} can be seen clearly.")
_CHINESE: Final = ("一张{}的图片。", "画面中可以清楚地看到{}。")


class TemplateRewriter:
    """Fills a terse English or Chinese query into two descriptions and leaves others alone.

    It adds no facts: a query that already is a sentence, or long, or in another script gets
    nothing, because there an added template only blurs what was said.
    """

    name = "template"

    def __init__(self, settings: Settings) -> None:
        del settings  # nothing to choose

    def rewrite(self, query: str) -> list[str]:
        """Return two descriptions in the query's language, or none."""
        query = " ".join(query.split())
        if not query or _SENTENCE_END.search(query):
            return []
        if _HAN.search(query):
            terse, templates = len(query.replace(" ", "")) <= _MOST_CHARACTERS, _CHINESE
        else:
            terse, templates = query.isascii() and len(query.split()) <= _MOST_WORDS, _ENGLISH
        return [template.format(query) for template in templates] if terse else []
