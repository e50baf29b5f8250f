"""One collection in Milvus, with what is known of its rows in a partition of its own.

State and rows lie together, so whoever drops, empties or restores the collection takes both.
"""

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from filelock import FileLock
from pymilvus import DataType, MilvusClient

from mcp_vlsearch.contracts import ImageFacts, Space
from mcp_vlsearch.errors import LibraryError
from mcp_vlsearch.indexes.milvus.connection import NOTHING_THERE, AbsentError, Connection
from mcp_vlsearch.indexes.milvus.expressions import Expression, columns_of
from mcp_vlsearch.settings import Settings

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Vectors

__all__ = ["Collection", "State"]

_FORMAT: Final = 1
"""Part of the name: a release that changes the columns raises it, and starts anew."""
_ROWS: Final = "_default"
"""The partition that every collection has."""
_STATE: Final = "state"
_STATE_SEQ: Final = 0
_NUMBERS: Final = ("taken", "width", "height")
_TEXTS: Final = {"format": 64, "orientation": 64, "camera": 65_535, "state": 1024}
"""Columns and the bytes that they may hold."""
_SETTLED: Final = 10.0
"""Seconds after a change from which on it is seen by reads that don't wait for the newest."""
_UNSEALED: Final = 256
"""Changes that Milvus Lite may hold in memory, where it looks at rows one by one."""


class State(NamedTuple):
    """What the rows are: all entries up to a seq, without those that went up to a removal.

    There are ``rows`` of them at least; where there are fewer, some were lost.
    """

    last_seq: int = 0
    last_removal: int = 0
    rows: int = 0


class Collection:
    """The rows of one library and fingerprint; made when they are first asked for.

    Any number of processes may use it. Those that change it take turns by a lock in the library,
    which they share as they share its database.
    """

    def __init__(self, settings: Settings, space: Space) -> None:
        fingerprint = hashlib.sha256(space.fingerprint.encode()).hexdigest()[:16]
        self.name = f"mcp_vlsearch_{_FORMAT}_{space.library}_{fingerprint}"
        self._dim = space.dim
        self._connection = Connection(settings)
        self._read_only = settings.read_only
        self._lock = FileLock(settings.library / "milvus.lock")  # a thread may take it twice
        self._changed_at = time.monotonic()
        self._unsealed = 0

    @property
    def kind(self) -> str:
        """How vectors are found: Milvus Lite compares all, a server does as it thinks best."""
        return "FLAT" if self._connection.is_lite else "AUTOINDEX"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep others from changing the collection meanwhile. Raises :class:`LibraryError`."""
        try:
            self._lock.acquire()
        except OSError as error:
            raise LibraryError(
                f"{self._lock.lock_file} can't be written ({error.strerror}): make its folder "
                "writable, so that the index can be brought up to date"
            ) from error
        try:
            yield
        finally:
            self._lock.release()

    def state(self, newest: bool) -> State:
        """Return what the rows are; what others wrote in the last seconds may be missing."""
        found = self._call(
            "query",
            filter=f"seq in [{_STATE_SEQ}]",
            output_fields=["state"],
            partition_names=[_STATE],
            consistency_level="Strong" if newest else "Bounded",
        )
        return State(*json.loads(found[0]["state"])) if found else State()

    def put_state(self, state: State) -> None:
        """Say what the rows are; to be called when they are there."""
        row = self._row(_STATE_SEQ, [1.0] + [0.0] * (self._dim - 1), ImageFacts())
        self._call("upsert", data=[row | {"state": json.dumps(state)}], partition_name=_STATE)
        self.has_changed()

    def has_changed(self) -> None:
        """Let searches wait for the newest rows, for some time."""
        self._changed_at = time.monotonic()

    def put(self, seqs: list[int], vectors: "Vectors", facts: list[ImageFacts]) -> None:
        """Add rows, or write them once more."""
        rows = [self._row(*row) for row in zip(seqs, vectors, facts, strict=True)]
        self._call("upsert", data=rows)
        self._seal(len(rows))

    def delete(self, seqs: list[int]) -> None:
        """Delete rows; unknown seqs are ignored."""
        self._call("delete", ids=seqs)
        self._seal(len(seqs))

    def delete_after(self, seq: int) -> None:
        """Delete all rows with higher seqs."""
        self._call("delete", filter=f"seq > {seq}")

    def size(self) -> int:
        """Return how many rows there are, as of this moment."""
        if self._connection.is_lite:  # where a query counts all partitions, and statistics are true
            return int(self._call("get_partition_stats", partition_name=_ROWS)["row_count"])
        found = self._call(
            "query",
            filter="",
            output_fields=["count(*)"],
            partition_names=[_ROWS],
            consistency_level="Strong",
        )
        return int(found[0]["count(*)"])

    def count(self, condition: Expression) -> int:
        """Return how many rows meet a condition."""
        is_lite = self._connection.is_lite  # which counts by reading all columns of each row
        found = self._call(
            "query",
            **self._filter(condition),
            output_fields=["seq" if is_lite else "count(*)"],
            partition_names=[_ROWS],
            consistency_level=self._consistency(),
        )
        return len(found) if is_lite else int(found[0]["count(*)"])

    def search(
        self, queries: "Vectors", k: int, condition: Expression
    ) -> list[tuple[list[int], list[float]]]:
        """Return seqs and cosines of up to ``k`` rows for each query, best first."""
        found = self._call(
            "search",
            data=list(queries),
            anns_field="vector",
            limit=k,
            **self._filter(condition),
            output_fields=["seq"],
            partition_names=[_ROWS],
            search_params={"metric_type": "COSINE"},
            consistency_level=self._consistency(),
        )
        return [(hits.ids, hits.distances) for hits in found]

    def drop(self) -> None:
        """Delete rows and state."""
        self._connection.call("drop_collection", collection_name=self.name)

    def close(self) -> None:
        """Let go of the connection; the next call makes it anew."""
        self._connection.close()

    def _call(self, method: str, **arguments: Any) -> Any:
        try:
            return self._connection.call(method, collection_name=self.name, **arguments)
        except AbsentError:
            self._prepare()
            return self._connection.call(method, collection_name=self.name, **arguments)

    def _prepare(self) -> None:
        """Make what is missing of the collection, and have it loaded.

        Raises :class:`LibraryError` if it has to be made and must not be.
        """

        def call(method: str, **arguments: Any) -> Any:
            return self._connection.call(method, collection_name=self.name, **arguments)

        if self._read_only:
            if not call("has_collection"):
                raise LibraryError(NOTHING_THERE)
            call("load_collection")
            return
        with self.alone():
            if not call("has_collection"):
                call("create_collection", schema=self._schema())
            if not call("has_partition", partition_name=_STATE):
                call("create_partition", partition_name=_STATE)
            if not call("list_indexes"):
                call("create_index", index_params=self._index_params())
            call("load_collection")
        self.has_changed()

    def _schema(self) -> Any:
        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("seq", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=self._dim)
        for name in _NUMBERS:
            schema.add_field(name, DataType.INT64)
        for name, length in _TEXTS.items():
            schema.add_field(name, DataType.VARCHAR, max_length=length)
        return schema

    def _index_params(self) -> Any:
        params = MilvusClient.prepare_index_params()
        params.add_index("vector", index_type=self.kind, metric_type="COSINE")
        if not self._connection.is_lite:
            for name in (*_NUMBERS, "format", "orientation"):
                params.add_index(name, index_type="INVERTED")
        return params

    def _row(self, seq: int, vector: Any, facts: ImageFacts) -> dict[str, Any]:
        return {"seq": seq, "vector": vector, **columns_of(facts), "state": ""}

    def _filter(self, condition: Expression) -> dict[str, Any]:
        if self._connection.is_lite:  # which knows no templates
            return {"filter": condition.inlined()}
        return {"filter": condition.text, "filter_params": condition.values}

    def _consistency(self) -> str:
        """Wait for the newest rows only while there may be such."""
        is_settled = time.monotonic() - self._changed_at > _SETTLED
        return "Bounded" if is_settled else "Strong"

    def _seal(self, changes: int) -> None:
        """Have Milvus Lite write its memory down; a server knows better when."""
        if self._connection.is_lite:
            self._unsealed += changes
            if self._unsealed > _UNSEALED:
                self._call("flush")
                self._unsealed = 0
