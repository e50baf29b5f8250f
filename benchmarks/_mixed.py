"""Calls as a few assistants would make them, each other than all before it."""

from __future__ import annotations

import base64
import itertools
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks._churn import altered
from mcp_vlsearch.storybook import sample_scene
from mcp_vlsearch.storybook.captions import Language, caption

__all__ = ["WEIGHTS", "Mix", "what_is_wrong"]

WEIGHTS: Final = {
    "search_by_text": 60,
    "search_by_image": 20,
    "view_images": 12,
    "library_status": 6,
    "explain_match": 2,
}
"""Of a hundred calls, how many are for each tool."""

_MOST_SHOWN: Final = 12

Arguments = dict[str, Any]


class Mix:
    """Draws calls about PNGs of one folder, which stay as they are."""

    def __init__(self, kept: Sequence[Path], seed: int) -> None:
        self._kept = kept
        self._seed = seed
        self._rng = random.Random(f"mix {seed}")
        self._texts = itertools.count()

    def draw(self) -> tuple[str, Arguments]:
        """Return a tool and its arguments."""
        (tool,) = self._rng.choices(list(WEIGHTS), list(WEIGHTS.values()))
        match tool:
            case "search_by_text":
                return tool, {"query": self._text(), **self._rng.choice(self._choices())}
            case "search_by_image":
                return tool, self._picture()
            case "view_images":
                layout = self._rng.choice(("sheet", "sheet", "single"))
                return tool, {"images": self._some(), "layout": layout}
            case "explain_match":
                return tool, {"image": str(self._rng.choice(self._kept)), "query": self._text()}
        return tool, {}

    def _choices(self) -> Sequence[Arguments]:
        folder = str(self._kept[0].parent)
        return (
            {},
            {"alternatives": [self._text()]},
            {"exclude": "a bicycle"},
            {"filters": {"folder": folder}},
            {"filters": {"format": "PNG", "min_width": 8}, "top_k": 50},
        )

    def _picture(self) -> Arguments:
        """Return a picture that is known, one that is not, or one to be changed as a text says."""
        path = self._rng.choice(self._kept)
        match self._rng.randrange(3):
            case 0:
                return {"image": str(path)}
            case 1:
                return {"image": base64.b64encode(altered(path, self._rng)).decode()}
        return {"image": str(path), "text": self._text()}

    def _some(self) -> list[str]:
        most = min(_MOST_SHOWN, len(self._kept))
        return [str(path) for path in self._rng.sample(self._kept, self._rng.randint(1, most))]

    def _text(self) -> str:
        languages: tuple[Language, ...] = ("en", "zh")
        said = caption(sample_scene(self._rng), self._rng, self._rng.choice(languages), "full").text
        return f"{said} {self._seed}-{next(self._texts)}"


def what_is_wrong(tool: str, arguments: Arguments, result: Mapping[str, Any]) -> str:
    """Return what a call of a :class:`Mix` should have given but did not, or nothing."""
    content, data = result["content"], result.get("structuredContent", {})
    pictures = sum(item["type"] == "image" for item in content)
    match tool:
        case "view_images":
            is_single = arguments["layout"] == "single"
            wanted = len(arguments["images"]) if is_single else 1
            return "" if pictures == wanted else f"{pictures} pictures instead of {wanted}"
        case "explain_match":
            return "" if pictures == 1 else "no heat map"
        case "library_status":
            return "" if data["images"] else "no images"
    if not data["hits"] and "exclude" not in arguments:
        return "no hits"
    if arguments.keys() == {"image"} and arguments["image"].endswith(".png"):
        paths = [path for hit in data["hits"] for path in (hit["path"], *hit["other_paths"])]
        return "" if arguments["image"] in paths else "a picture did not find itself"
    return ""
