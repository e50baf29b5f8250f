"""Eyes for an assistant over your own pictures.

    from mcp_vlsearch import Library

    with Library.open("my-library", model="storybook") as library:
        library.allow(["~/Pictures"])
        library.index()
        for hit in library.search_by_text("a red bicycle in the snow").hits:
            print(hit.rank, hit.path)

Importing this package is cheap: the engine is imported when ``Library`` is first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcp_vlsearch.core.library import Library
    from mcp_vlsearch.core.progress import Progress
    from mcp_vlsearch.core.stages import Stages
    from mcp_vlsearch.types import Filters, Hit, IndexReport, Near, SearchResult

    __version__: str

__all__ = [
    "Filters",
    "Hit",
    "IndexReport",
    "Library",
    "Near",
    "Progress",
    "SearchResult",
    "Stages",
    "__version__",
]

_HOMES = {
    "Filters": "mcp_vlsearch.types",
    "Hit": "mcp_vlsearch.types",
    "IndexReport": "mcp_vlsearch.types",
    "Library": "mcp_vlsearch.core.library",
    "Near": "mcp_vlsearch.types",
    "Progress": "mcp_vlsearch.core.progress",
    "SearchResult": "mcp_vlsearch.types",
    "Stages": "mcp_vlsearch.core.stages",
    "__version__": "mcp_vlsearch.version",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), "VERSION" if name == "__version__" else name)
