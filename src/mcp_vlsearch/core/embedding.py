"""One vector to look at: of a picture as indexing makes it, of a query as a search does."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.contracts import Query
from mcp_vlsearch.core.decode import decode, open_upright
from mcp_vlsearch.core.encoding import EncoderSlot
from mcp_vlsearch.core.fuse import ANYTHING, compose
from mcp_vlsearch.core.picture import GivenPicture, open_known
from mcp_vlsearch.core.progress import ProgressCallback
from mcp_vlsearch.core.roots import Roots
from mcp_vlsearch.core.spaces import OpenSpace

if TYPE_CHECKING:
    from PIL import Image

    from mcp_vlsearch.contracts import Vectors

__all__ = ["Embedder", "Embedding"]


@dataclass(frozen=True)
class Embedding:
    """A unit-norm float32 ``vector``, shape (dim,), with the space it lies in and what made it."""

    vector: "Vectors"
    fingerprint: str
    encoder: str
    model: str
    precision: str
    device: str


class Embedder:
    """Makes vectors in one space."""

    def __init__(
        self,
        space: OpenSpace,
        encoder: EncoderSlot,
        catalog: Catalog,
        roots: Roots,
        report: ProgressCallback,
    ) -> None:
        self._space = space
        self._encoder = encoder
        self._catalog = catalog
        self._roots = roots
        self._report = report

    def embed(self, text: str, given: GivenPicture | None) -> Embedding:
        """Return the vector of a text, of a picture, or of both as a composed query.

        A picture alone has the vector that the index holds of it, or would.
        """
        if given is None:
            vector = self._queries(Query(text))[0]
        elif not text:
            vector = self._of_picture(given)
        elif self._space.composes:
            vector = self._queries(Query(text, self._opened(given)))[0]
        else:
            about, anything = self._queries(Query(text), Query(ANYTHING))
            known = self._space.embeddings.vector(given.image_id)
            start = self._queries(Query(image=self._opened(given)))[0] if known is None else known
            vector = compose(start, about, anything)
        encoder = self._space.encoder
        return Embedding(
            vector,
            encoder.fingerprint,
            encoder.name,
            encoder.model,
            encoder.precision,
            encoder.device,
        )

    def _queries(self, *queries: Query) -> "Vectors":
        fingerprint = self._space.embeddings.fingerprint
        return self._encoder.encode_queries(queries, self._report, fingerprint)

    def _of_picture(self, given: GivenPicture) -> "Vectors":
        embeddings = self._space.embeddings
        known = embeddings.vector(given.image_id)
        if known is not None:
            return known
        if given.data is None:
            image = self._opened(given)
        else:  # at the size that indexing gives it
            image = decode(given.data, self._space.encoder.target_size).image
        vector: Vectors
        (vector,) = self._encoder.encode_images([image], self._report, embeddings.fingerprint)
        return vector

    def _opened(self, given: GivenPicture) -> "Image.Image":
        if given.data is not None:
            return open_upright(given.data)
        return open_known(given.image_id, self._roots, self._catalog)
