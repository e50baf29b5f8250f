"""The rewriter ``template``: which queries it takes, and in which language."""

import re
from typing import Final

from mcp_vlsearch.rewriters.answers import folded
from mcp_vlsearch.rewriters.template import chinese, english
from mcp_vlsearch.settings import Settings

__all__ = ["TemplateRewriter"]

_LONGEST: Final = 80
"""Characters from which on no query is terse."""
_HAN: Final = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_SENTENCE_END: Final = re.compile(r"[.!?…。！？]\s*$")


class TemplateRewriter:
    """Takes a terse English or Chinese query apart, and says the same in a few sentences.

    The parts are subject with its attributes, setting, style and viewpoint. It adds no facts: a
    query that already is a sentence, or long, or in another script or language gets nothing,
    because there an added template only blurs what was said.
    """

    name = "template"

    def __init__(self, settings: Settings) -> None:
        del settings  # nothing to choose

    def rewrite(self, query: str) -> list[str]:
        """Return up to two descriptions in the query's language, or none."""
        query = " ".join(query.split())
        if not query or len(query) > _LONGEST or _SENTENCE_END.search(query):
            return []
        language = chinese if _HAN.search(query) else english
        said = dict.fromkeys(language.descriptions(query))
        return [description for description in said if folded(description) != folded(query)]
