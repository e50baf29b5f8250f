"""From what a model answered to phrasings: thoughts, lists, fences and chatter are taken off."""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

__all__ = [
    "folded",
    "has_words",
    "is_thinking",
    "keeps_language",
    "phrasings_in",
    "without_thoughts",
]

_LONGEST: Final = 400
"""Characters of a phrasing; what is longer is a model that talks."""

_THOUGHT: Final = re.compile(r"<think>.*?</think>", re.DOTALL)
_FENCE: Final = re.compile(r"```[^\n`]*\n(.*?)(?:```|\Z)", re.DOTALL)
_MARK: Final = re.compile(
    r"""\s*(?:
        (?:[-*•·–—]|>)\s+           # a bullet, or a quotation
        | \#{1,6}\s+
        | [(（]?\d{1,2}[.)、．）:：]\s*(?!\d)   # 1. and 1) and （1）, but not 1.5
        | [①-⑳]\s*
    )""",
    re.VERBOSE,
)
_LABEL: Final = re.compile(
    r"(?:caption|phrasing|description|query|描述|标题|標題|说明|說明)\s*\d*\s*[:：]\s*",
    re.IGNORECASE,
)
_QUOTES: Final = "\"'`“”‘’«»「」『』*_ \t"
_ANNOUNCES: Final = (":", "：")


def without_thoughts(text: str) -> str:
    """Return an answer without what stands between ``<think>`` and ``</think>``.

    Either mark may be missing: a chat template may have opened the thought, and a limit may have
    cut it off.
    """
    text = _THOUGHT.sub("", text)
    text = text.rpartition("</think>")[2]
    return text.partition("<think>")[0]


def is_thinking(prompt: str) -> bool:
    """Say whether a prompt ends in a thought that the chat template opened."""
    return prompt.rstrip().endswith("<think>")


def phrasings_in(answer: str, query: str, most: int) -> list[str]:
    """Return up to ``most`` distinct phrasings, in the query's language and none of them it."""
    found: dict[str, str] = {}
    for line in _lines(without_thoughts(answer)):
        phrasing = _bare(line)
        if _is_phrasing(phrasing, query):
            found.setdefault(folded(phrasing), phrasing)
    found.pop(folded(query), None)
    return list(found.values())[:most]


def folded(text: str) -> str:
    """Return what is the same for texts that say the same: letters and digits."""
    return "".join(c for c in text.casefold() if c.isalnum())


def has_words(text: str) -> bool:
    """Say whether there is anything to put in other words."""
    return any(character.isalpha() for character in text)


def keeps_language(query: str, phrasing: str) -> bool:
    """Say whether a phrasing is written as the query is, as far as scripts tell.

    With a Chinese character in the query it must have one, too; otherwise most of its letters must
    be of a script that the query has.
    """
    asked, written = _scripts(query), _scripts(phrasing)
    if not asked or not written:
        return not asked
    if "CJK" in asked:
        return "CJK" in written
    return written.most_common(1)[0][0] in asked


def _lines(answer: str) -> Iterator[str]:
    fenced = _FENCE.findall(answer)
    text = "\n".join(fenced) if fenced else answer
    listed = _texts(_json(text))
    yield from listed or text.splitlines()


def _json(text: str) -> Any:
    """Return the first list or object of JSON in a text, None if there is none."""
    starts = [position for mark in "[{" if (position := text.find(mark)) >= 0]
    for start in sorted(starts):
        try:
            value, _ = json.JSONDecoder().raw_decode(text, start)
        except ValueError:
            continue
        return value
    return None


def _texts(value: Any) -> list[str]:
    """Return the texts of a list, also of a list in an object."""
    if isinstance(value, dict):
        value = [text for v in value.values() for text in (v if isinstance(v, list) else [v])]
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _bare(line: str) -> str:
    """Return a line without number, bullet, label and quotation marks."""
    before = None
    while line != before:
        before = line
        line = _MARK.sub("", line.strip(), count=1) if _MARK.match(line) else line.strip()
        line = line.removesuffix(",") if line.endswith('",') else line
        if line[:1] in _QUOTES and line[-1:] in _QUOTES:
            line = line.strip(_QUOTES)
        line = line[match.end() :] if (match := _LABEL.match(line)) else line
    return " ".join(line.split())


def _is_phrasing(phrasing: str, query: str) -> bool:
    return (
        has_words(phrasing)
        and len(phrasing) <= _LONGEST
        and not phrasing.endswith(_ANNOUNCES)
        and keeps_language(query, phrasing)
    )


def _scripts(text: str) -> Counter[str]:
    """Count the letters of each script, by the first word of their names."""
    names = (unicodedata.name(c, "").partition(" ")[0] for c in text if c.isalpha())
    return Counter(name for name in names if name)
