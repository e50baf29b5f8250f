"""Vectors of one fingerprint as a Parquet file: image id, fingerprint, vector.

The file's metadata says what the vectors were made with, so that they are worth something on
another machine. A row group has as many rows as fit into some megabytes, so memory is bounded in
both directions, and pages carry checksums.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mcp_vlsearch.cache.vectors import are_unit
from mcp_vlsearch.errors import LibraryError, MissingExtraError
from mcp_vlsearch.settings import OF_A_MODEL, Settings

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ModuleNotFoundError as error:
    raise MissingExtraError(
        "Parquet files need the package 'pyarrow': pip install 'mcp-vlsearch[arrow]'"
    ) from error

__all__ = ["Description", "VectorFile", "rows_at_once", "write"]

_KEY: Final = b"mcp-vlsearch"
_BLOCK_BYTES: Final = 16 * 2**20
_IMAGE_ID: Final = re.compile(r"[0-9a-f]{16}")


class Description(BaseModel):
    """What a file's vectors were made with; any encoder's fields, and the settings it had."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    fingerprint: str
    name: str
    model: str
    precision: str
    dim: int = Field(ge=1)
    choices: dict[str, Any] | None = None


def rows_at_once(dim: int) -> int:
    """Return how many vectors of so many numbers make a row group."""
    return max(1, _BLOCK_BYTES // (2 * dim))


def write(
    file: Path,
    description: Description,
    blocks: Iterable[tuple[list[str], NDArray[np.float16]]],
) -> int:
    """Write blocks of image ids and vectors, shape (n, dim), each as a row group; count them."""
    count = 0
    schema = pa.schema(
        [
            pa.field("image_id", pa.string(), nullable=False),
            pa.field("fingerprint", pa.dictionary(pa.int32(), pa.string()), nullable=False),
            pa.field("vector", pa.list_(pa.float16(), description.dim), nullable=False),
        ],
        metadata={_KEY: description.model_dump_json()},
    )
    with pq.ParquetWriter(
        file,
        schema,
        compression={"image_id": "zstd", "fingerprint": "zstd", "vector.list.element": "none"},
        use_dictionary=["fingerprint"],
        write_statistics=False,
        write_page_checksum=True,
    ) as writer:
        for image_ids, vectors in blocks:
            same = pa.array(np.zeros(len(image_ids), np.int32))
            columns = [
                pa.array(image_ids, pa.string()),
                pa.DictionaryArray.from_arrays(same, [description.fingerprint]),
                pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), description.dim),
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
            count += len(image_ids)
    return count


class VectorFile:
    """A file that :func:`write` has made. Raises :class:`LibraryError` for any other."""

    def __init__(self, file: Path) -> None:
        self._path = file
        if file.exists() and not file.is_file():  # a pipe would be waited for
            raise LibraryError(f"{file} is not a regular file: give another file")
        try:
            self._file = pq.ParquetFile(file, page_checksum_verification=True)
        except FileNotFoundError as error:
            raise LibraryError(f"{file} does not exist: give a file that does") from error
        except (pa.ArrowException, OSError) as error:
            raise self._torn(error) from error
        self.description = self._described()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        """Return how many vectors there are."""
        return int(self._file.metadata.num_rows)

    def blocks(self) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
        """Give image ids and unit-norm vectors, shape (n, dim), in blocks; each one is checked."""
        rows = rows_at_once(self.description.dim)
        batches = chain.from_iterable(
            self._file.iter_batches(rows, row_groups=[group])
            for group in range(self._file.num_row_groups)
        )
        while True:
            try:
                batch = next(batches, None)
            except (pa.ArrowException, OSError) as error:
                raise self._torn(error) from error
            if batch is None:
                return
            yield self._checked(batch)

    def _checked(self, batch: Any) -> tuple[list[str], NDArray[np.float32]]:
        image_ids, fingerprints, lists = (
            batch.column(name) for name in ("image_id", "fingerprint", "vector")
        )
        numbers = lists.flatten()
        if any(column.null_count for column in (image_ids, fingerprints, lists, numbers)):
            raise self._foreign("it has empty fields")
        if fingerprints.unique().to_pylist() != [self.description.fingerprint]:
            raise self._foreign("it has vectors of several fingerprints")
        names = image_ids.to_pylist()
        if not all(map(_IMAGE_ID.fullmatch, names)):
            raise self._foreign("it has names that are no image ids")
        vectors = numbers.to_numpy(zero_copy_only=False).astype(np.float32)
        vectors = vectors.reshape(-1, self.description.dim)
        if not are_unit(vectors):
            raise self._foreign("it has vectors that are not of norm 1")
        return names, vectors

    def _described(self) -> Description:
        schema = self._file.schema_arrow
        try:
            found = Description.model_validate_json((schema.metadata or {})[_KEY])
        except (KeyError, ValidationError) as error:
            raise self._foreign("it does not say what its vectors are") from error
        found = found.model_copy(update={"choices": self._choices(found)})
        number = pa.float16(), pa.float32()
        expected = {
            "image_id": [pa.string()],
            "fingerprint": [pa.dictionary(pa.int32(), pa.string()), pa.string()],
            "vector": [pa.list_(kind, found.dim) for kind in number],
        }
        if schema.names != list(expected) or any(
            schema.field(name).type not in kinds for name, kinds in expected.items()
        ):
            raise self._foreign("its columns are others")
        return found

    def _choices(self, found: Description) -> dict[str, Any]:
        """Return the choices that are made for a model; addresses, say, are none of a file's."""
        choices = {k: v for k, v in (found.choices or {}).items() if k in OF_A_MODEL}
        try:
            Settings.model_validate({"library": Path(), **choices})
        except ValidationError as error:
            raise self._foreign("it has choices that are none") from error
        return choices

    def _foreign(self, why: str) -> LibraryError:
        return LibraryError(
            f"{self._path} is not from `mcp-vlsearch cache export`: {why}; nothing of it was "
            "taken: give a file of that command"
        )

    def _torn(self, error: Exception) -> LibraryError:
        reason = " ".join(str(error).split())[:120]
        return LibraryError(
            f"{self._path} can't be read as Parquet ({reason}): copy or export it again"
        )
