"""Why a picture matches: its parts' heat against a query, drawn over the picture."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_vlsearch.core.decode import within
from mcp_vlsearch.core.encoding import EncoderSlot
from mcp_vlsearch.core.heatmap import MAX_SIDE, draw_heat_map
from mcp_vlsearch.core.progress import ProgressCallback
from mcp_vlsearch.core.spaces import OpenSpace

if TYPE_CHECKING:
    from PIL import Image

    from mcp_vlsearch.contracts import Heat, Vectors

__all__ = ["Explanation", "explain"]


@dataclass(frozen=True)
class Explanation:
    """A heat map: how much each part of a picture matches a query, and as a JPEG over the picture.

    ``heat`` has the shape (rows, columns), from 0 to 1. ``score`` is the picture's cosine as a
    search gives it, None for a picture that is not indexed.
    """

    heat: "Heat"
    score: float | None
    jpeg: bytes


def explain(
    picture: "Image.Image",
    image_id: str,
    query: str,
    vector: "Vectors",
    space: OpenSpace,
    encoder: EncoderSlot,
    report: ProgressCallback,
) -> Explanation:
    """Explain the match of an upright RGB picture with a query's unit vector, shape (dim,).

    Raises :class:`EncoderError` if the encoder can't say.
    """
    shown = picture.resize(within(*picture.size, MAX_SIDE), reducing_gap=3.0)
    heat = encoder.explain(shown, vector, report, space.embeddings.fingerprint)
    known = space.embeddings.vector(image_id)
    score = None if known is None else float(known @ vector)
    caption = query if score is None else f"{score:.3f}  {query}"
    return Explanation(heat, score, draw_heat_map(shown, heat, caption))
