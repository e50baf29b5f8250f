"""Parameters that several tools share, and what clients are told about the tools' effects."""

from typing import Annotated, Final

from mcp.types import ToolAnnotations
from pydantic import Field

from mcp_vlsearch.core.picture import MAX_BASE64
from mcp_vlsearch.types import Filters, MinRelevance

__all__ = [
    "LONGEST_PICTURE",
    "NO_FILTERS",
    "READS",
    "FiltersParameter",
    "GroupParameter",
    "MinRelevanceParameter",
    "Paths",
    "TopK",
]

TopK = Annotated[int, Field(ge=1, le=100, description="How many hits to return at most.")]

FiltersParameter = Annotated[
    Filters,
    Field(
        description=(
            "Facts that every hit must meet, combined with AND: folder, format, when taken or "
            "changed, size, orientation, camera, lens, place. They narrow the search itself, so "
            "put facts here rather than into words."
        ),
        json_schema_extra={"default": {}},
    ),
]

MinRelevanceParameter = Annotated[
    MinRelevance,
    Field(description='Leave out hits below this relevance; "any" keeps all.'),
]

GroupParameter = Annotated[
    bool,
    Field(description="Only the best page of each PDF and the best moment of each video."),
]

Paths = list[Annotated[str, Field(min_length=1, max_length=4096)]]

NO_FILTERS: Final = Filters()

LONGEST_PICTURE: Final = MAX_BASE64 + 256
"""Characters of a picture in base64, with what a data: URI has before them."""

READS: Final = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
