"""What a model is asked for a query, the same for one that runs here and for one elsewhere."""

import hashlib
import json
from typing import Final

__all__ = ["MOST", "WRITTEN", "messages"]

MOST: Final = 3
"""Phrasings that are asked for, and taken."""
_LONGEST: Final = 500
"""Characters of a query that a model gets; what is longer needs no more words."""

_TASK: Final = (
    "You help to find pictures by what they show. Somebody gives you the words of a search. Answer "
    f"with {MOST} captions that a picture with all of it could have: the subject and what is said "
    "of it, then the setting, the style and the viewpoint, as far as the words say them. Add "
    "nothing that the words do not say. Write in the language of the words. Write one caption per "
    "line and nothing else: no numbers, no quotation marks, no explanation."
)
# Small models keep to a form that they are shown better than to one that they are told.
_SHOWN: Final = (
    (
        "red bicycle rain",
        "A red bicycle in the rain.\n"
        "A bicycle that is red, seen on a rainy day.\n"
        "In the rain, a red bicycle.",
    ),
    (
        "两只猫 俯拍",
        "从上方拍摄的两只猫。\n画面中有两只猫，视角是从上往下。\n两只猫的俯拍照片。",
    ),
)

WRITTEN: Final = hashlib.sha256(json.dumps([_TASK, _SHOWN, MOST]).encode()).hexdigest()[:16]
"""Changes with what is asked, and so with the answers."""


def messages(query: str) -> list[dict[str, str]]:
    """Return a conversation in the form of chat templates and of OpenAI's endpoint."""
    said = [{"role": "system", "content": _TASK}]
    for words, captions in _SHOWN:
        said.append({"role": "user", "content": words})
        said.append({"role": "assistant", "content": captions})
    # typed special tokens must stay text: they would end the message
    words = " ".join(query.split())[:_LONGEST].replace("<|", "< |")
    return [*said, {"role": "user", "content": words}]
