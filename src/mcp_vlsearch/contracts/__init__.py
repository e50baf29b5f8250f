"""What an encoder, an index and a rewriter must do; a plugin is a class that fits one of these.

``mcp_vlsearch.testing`` holds the suites that check it.
"""

from typing import TYPE_CHECKING

from mcp_vlsearch.contracts.encoders import (
    Encoder,
    ExplainingEncoder,
    Prepared,
    PreparingEncoder,
    Query,
)
from mcp_vlsearch.contracts.indexes import (
    ClosingIndex,
    FilteringIndex,
    ImageFacts,
    LimitedIndex,
    SharedIndex,
    Space,
    StoredIndex,
    TellingIndex,
    VectorIndex,
)
from mcp_vlsearch.contracts.rewriters import ModelRewriter, QueryRewriter

if TYPE_CHECKING:
    from mcp_vlsearch.contracts.encoders import Heat as Heat
    from mcp_vlsearch.contracts.encoders import Vectors as Vectors
    from mcp_vlsearch.contracts.indexes import Seqs as Seqs

__all__ = [
    "ClosingIndex",
    "Encoder",
    "ExplainingEncoder",
    "FilteringIndex",
    "ImageFacts",
    "LimitedIndex",
    "ModelRewriter",
    "Prepared",
    "PreparingEncoder",
    "Query",
    "QueryRewriter",
    "SharedIndex",
    "Space",
    "StoredIndex",
    "TellingIndex",
    "VectorIndex",
]
