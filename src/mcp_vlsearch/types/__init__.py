"""The results and filters of the public contract, shared by every face."""

from mcp_vlsearch.types.reports import (
    ExportReport,
    Failure,
    ImportReport,
    IndexReport,
    Profile,
    PruneReport,
    RemoveReport,
    StageName,
    StageTime,
)
from mcp_vlsearch.types.searching import (
    Filters,
    Hit,
    MinRelevance,
    Near,
    Orientation,
    Relevance,
    SearchResult,
)
from mcp_vlsearch.types.state import (
    EncoderState,
    EncoderStatus,
    IndexStatus,
    LibraryStatus,
    RootStatus,
    SpaceState,
    SpaceStatus,
)

__all__ = [
    "EncoderState",
    "EncoderStatus",
    "ExportReport",
    "Failure",
    "Filters",
    "Hit",
    "ImportReport",
    "IndexReport",
    "IndexStatus",
    "LibraryStatus",
    "MinRelevance",
    "Near",
    "Orientation",
    "Profile",
    "PruneReport",
    "Relevance",
    "RemoveReport",
    "RootStatus",
    "SearchResult",
    "SpaceState",
    "SpaceStatus",
    "StageName",
    "StageTime",
]
