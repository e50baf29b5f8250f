"""The page that hosts with MCP Apps show for the hits of a search.

It is one HTML document without network: pictures come as data through the host, by the tools. Its
parts are files of their own, so that each is read in one sitting.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any, Final

__all__ = ["META", "URI", "page"]

URI: Final = "ui://mcp-vlsearch/gallery.html"
META: Final[dict[str, Any]] = {"ui": {"resourceUri": URI}}
"""What a tool says of itself so that a host shows the page with its result."""

_FOLDER: Final = Path(__file__).parent
_PART: Final = re.compile(
    r'<link rel="stylesheet" href="(?P<style>[\w.]+)">|<script src="(?P<script>[\w.]+)"></script>'
)


@cache
def page() -> str:
    """Return the page with its styles and scripts inside."""
    return _PART.sub(_inlined, (_FOLDER / "gallery.html").read_text("utf-8"))


def _inlined(part: re.Match[str]) -> str:
    tag = "style" if part["style"] else "script"
    text = (_FOLDER / (part["style"] or part["script"])).read_text("utf-8")
    return f"<{tag}>\n{text}</{tag}>"
