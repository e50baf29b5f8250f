"""Vector engines that run without a server of their own, each as its documentation shows.

They are not dependencies: making one raises ModuleNotFoundError where it is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks._engines import NOTHING, Rows

__all__ = ["Chroma", "LanceDB", "Milvus", "Qdrant", "Usearch"]

NAME: Final = "rows"


class Milvus:
    """Milvus Lite through pymilvus: HNSW, as the index that it chooses by itself is."""

    kind = "HNSW"
    efforts: Sequence[int] = (64, 128, 256, 512, 1024)
    effort = NOTHING
    can_filter = True

    built: Final = {"M": 16, "efConstruction": 200}

    def __init__(self) -> None:
        import milvus_lite  # noqa: F401 - pymilvus alone reaches servers only
        import pymilvus

        self._pymilvus: Any = pymilvus

    def build(self, folder: Path, rows: Rows) -> None:
        """Make a collection with an index and insert all rows."""
        kinds = self._pymilvus.DataType
        client = self._client(folder)
        schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", kinds.INT64, is_primary=True)
        schema.add_field("vector", kinds.FLOAT_VECTOR, dim=rows.vectors.shape[1])
        schema.add_field("camera", kinds.INT64)
        indexes = client.prepare_index_params()
        indexes.add_index("vector", index_type=self.kind, metric_type="IP", params=self.built)
        client.create_collection(NAME, schema=schema, index_params=indexes)
        for numbers, vectors, cameras in rows.blocks():
            columns = zip(numbers.tolist(), vectors, cameras.tolist(), strict=True)
            client.insert(NAME, [{"id": n, "vector": v, "camera": c} for n, v, c in columns])
        client.flush(NAME)
        client.close()

    def open(self, folder: Path, rows: Rows) -> None:
        """Load the collection."""
        self._open = self._client(folder)
        self._open.load_collection(NAME)
        self._rows = rows

    def search(self, query: int, k: int, camera: int | None) -> Sequence[int]:
        """Search with a filter expression."""
        vector = self._rows.queries[query].tolist()
        condition = "" if camera is None else f"camera == {camera}"
        params = {"params": {"ef": self.effort}}
        hits = self._open.search(
            NAME, data=[vector], limit=k, filter=condition, search_params=params
        )[0]
        return [hit["id"] for hit in hits]

    def _client(self, folder: Path) -> Any:
        return self._pymilvus.MilvusClient(str(folder / "milvus.db"))


class Qdrant:
    """Qdrant's client in its local mode, which compares every vector."""

    kind = "exact"
    efforts: Sequence[int] = (NOTHING,)
    effort = NOTHING
    can_filter = True

    def __init__(self) -> None:
        import qdrant_client
        from qdrant_client import models

        self._client: Any = qdrant_client.QdrantClient
        self._models: Any = models

    def build(self, folder: Path, rows: Rows) -> None:
        """Make a collection and upsert all points."""
        client = self._client(path=str(folder))
        size, distance = rows.vectors.shape[1], self._models.Distance.DOT
        client.create_collection(NAME, self._models.VectorParams(size=size, distance=distance))
        for numbers, vectors, cameras in rows.blocks():
            batch = self._models.Batch(
                ids=numbers.tolist(),
                vectors=vectors.tolist(),
                payloads=[{"camera": camera} for camera in cameras.tolist()],
            )
            client.upsert(NAME, batch)
        client.close()

    def open(self, folder: Path, rows: Rows) -> None:
        """Read the collection into memory."""
        self._open = self._client(path=str(folder))
        self._rows = rows

    def search(self, query: int, k: int, camera: int | None) -> Sequence[int]:
        """Search with a condition on the payload."""
        m, condition = self._models, None
        if camera is not None:
            field = m.FieldCondition(key="camera", match=m.MatchValue(value=camera))
            condition = m.Filter(must=[field])
        found = self._open.query_points(
            NAME, self._rows.queries[query], query_filter=condition, limit=k, with_payload=False
        )
        return [point.id for point in found.points]


class Chroma:
    """A persistent Chroma collection: HNSW, with metadata in SQLite."""

    kind = "HNSW"
    efforts: Sequence[int] = (100, 200, 400, 800)
    effort = NOTHING
    can_filter = True

    def __init__(self) -> None:
        import chromadb

        self._chromadb: Any = chromadb
        self._told = NOTHING

    def build(self, folder: Path, rows: Rows) -> None:
        """Make a collection and add all rows."""
        client = self._client(folder)
        collection = client.create_collection(NAME, configuration={"hnsw": {"space": "ip"}})
        for numbers, vectors, cameras in rows.blocks():
            collection.add(
                ids=[str(number) for number in numbers],
                embeddings=vectors,
                metadatas=[{"camera": camera} for camera in cameras.tolist()],
            )

    def open(self, folder: Path, rows: Rows) -> None:
        """Open the collection."""
        self._open = self._client(folder).get_collection(NAME)
        self._rows = rows

    def search(self, query: int, k: int, camera: int | None) -> Sequence[int]:
        """Search with a condition on the metadata."""
        if self.effort != self._told:
            self._open.modify(configuration={"hnsw": {"ef_search": self.effort}})
            self._told = self.effort
        where = None if camera is None else {"camera": camera}
        vector = np.array(self._rows.queries[query : query + 1])
        found = self._open.query(query_embeddings=vector, n_results=k, where=where, include=[])
        return [int(name) for name in found["ids"][0]]

    def _client(self, folder: Path) -> Any:
        settings = self._chromadb.Settings(anonymized_telemetry=False)
        return self._chromadb.PersistentClient(str(folder), settings)


class LanceDB:
    """A LanceDB table with its default index of vectors, and a bitmap of the filter's column."""

    kind = "IVF_PQ"
    efforts: Sequence[int] = (20, 50, 100, 200)
    """Partitions that are searched."""
    effort = NOTHING
    can_filter = True
    refine: Final = 10
    """How many times ``k`` rows are compared again by their whole vectors."""

    def __init__(self) -> None:
        import lancedb
        import lancedb.index
        import pyarrow

        self._lancedb: Any = lancedb
        self._index: Any = lancedb.index
        self._arrow: Any = pyarrow

    def build(self, folder: Path, rows: Rows) -> None:
        """Write the table and index both columns."""
        arrow, dim = self._arrow, rows.vectors.shape[1]
        fields = [("id", arrow.int64()), ("vector", arrow.list_(arrow.float32(), dim))]
        schema = arrow.schema([*fields, ("camera", arrow.int64())])
        batches = (
            arrow.record_batch(
                [numbers, arrow.FixedSizeListArray.from_arrays(vectors.ravel(), dim), cameras],
                schema=schema,
            )
            for numbers, vectors, cameras in rows.blocks()
        )
        table = self._lancedb.connect(folder).create_table(NAME, batches, schema=schema)
        table.create_index("vector", config=self._index.IvfPq(distance_type="dot"))
        table.create_index("camera", config=self._index.Bitmap())

    def open(self, folder: Path, rows: Rows) -> None:
        """Open the table."""
        self._open = self._lancedb.connect(folder).open_table(NAME)
        self._rows = rows

    def search(self, query: int, k: int, camera: int | None) -> Sequence[int]:
        """Search with a condition before the search."""
        search = self._open.search(np.array(self._rows.queries[query])).distance_type("dot")
        search = search.nprobes(self.effort).refine_factor(self.refine).select(["id"]).limit(k)
        if camera is not None:
            search = search.where(f"camera = {camera}", prefilter=True)
        found: list[int] = search.to_arrow()["id"].to_pylist()
        return found


class Usearch:
    """An index file of USearch: HNSW over half-precision vectors; its Python has no filter."""

    kind = "HNSW, f16"
    efforts: Sequence[int] = (64, 128, 256, 512, 1024)
    effort = NOTHING
    can_filter = False

    def __init__(self) -> None:
        from usearch.index import Index

        self._index: Any = Index

    def build(self, folder: Path, rows: Rows) -> None:
        """Add all rows and save the index."""
        index = self._index(ndim=rows.vectors.shape[1], metric="ip", dtype="f16")
        for numbers, vectors, _ in rows.blocks():
            index.add(numbers, vectors)
        index.save(str(folder / "index"))

    def open(self, folder: Path, rows: Rows) -> None:
        """Map the index file."""
        self._open = self._index.restore(str(folder / "index"), view=True)
        self._rows = rows

    def search(self, query: int, k: int, camera: int | None) -> Sequence[int]:
        """Search without a filter."""
        assert camera is None
        self._open.expansion_search = self.effort
        found: list[int] = self._open.search(self._rows.queries[query], k).keys.tolist()
        return found
