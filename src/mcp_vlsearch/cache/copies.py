"""What the database can tell of copies: files of one content, and what is worth comparing."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from mcp_vlsearch.cache.conditions import within
from mcp_vlsearch.cache.database import Database

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mcp_vlsearch.contracts import Seqs

__all__ = ["COPIED", "PART", "PICTURE", "KeptFile", "Originals"]

PICTURE: Final = np.dtype(
    [("seq", "i8"), ("pixels", "i8"), ("bytes", "i8"), ("oldest", "i8"), ("aspect", "f4")]
)
"""What decides which of two copies is kept; ``oldest`` is a file's mtime in nanoseconds."""

PART: Final = np.dtype([("seq", "i8"), ("source", "S16")])
"""A page or a moment, and the digest of the file that it comes from."""

COPIED: Final = np.dtype([("source", "S16"), ("files", "i8"), ("bytes", "i8")])
"""What several files hold, each of so many bytes."""

_OF_SPACE: Final = """
    entries.fingerprint = (SELECT id FROM fingerprints WHERE fingerprint = ?)
"""
_IS_WHOLE: Final = f"{_OF_SPACE} AND part IS NULL"
_IS_PART: Final = f"{_OF_SPACE} AND part IS NOT NULL"


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file, and the image that it holds; of several, the one that was asked for."""

    seq: int
    image_id: str
    path: str
    bytes: int
    mtime_ns: int
    width: int
    height: int
    format: str


class Originals:
    """The entries of one fingerprint that are files' whole pictures, and the files with parts.

    A page of a document or a moment of a film is no file that could go; the document or film is.
    """

    def __init__(self, database: Database, fingerprint: str) -> None:
        self._database = database
        self._fingerprint = fingerprint

    def pictures(self) -> "NDArray[np.void]":
        """Return all of them by growing seq, as rows of :data:`PICTURE`."""
        query = f"""
            SELECT seq, width * height, bytes,
                (SELECT MIN(mtime_ns) FROM files WHERE files.image_id = images.image_id),
                CAST(width AS REAL) / height
            FROM entries JOIN images USING (image_id) WHERE {_IS_WHOLE} ORDER BY seq
        """
        with self._database.read() as connection:
            return np.fromiter(connection.execute(query, (self._fingerprint,)), PICTURE)

    def file_counts(self, folders: Sequence[str] | None) -> "tuple[Seqs, Seqs]":
        """Return the seqs of images that several files hold, sorted, and how many do.

        With folders, only files at or below one of them count.
        """
        those = within(folders)
        query = f"""
            SELECT seq, COUNT(*)
            FROM files JOIN entries USING (image_id) JOIN images USING (image_id)
            WHERE {_IS_WHOLE} AND {those.sql}
            GROUP BY image_id HAVING COUNT(*) > 1
        """
        parameters = (self._fingerprint, *those.parameters)
        with self._database.read() as connection:
            rows = connection.execute(query, parameters)
            found = np.fromiter(rows, np.dtype([("seq", "i8"), ("count", "i8")]))
        found.sort(order="seq")
        return found["seq"], found["count"]

    def parts(self) -> "NDArray[np.void]":
        """Return the pages and moments by growing seq, as rows of :data:`PART`."""
        query = f"""
            SELECT seq, source FROM entries JOIN images USING (image_id)
            WHERE {_IS_PART} ORDER BY seq
        """
        with self._database.read() as connection:
            return np.fromiter(connection.execute(query, (self._fingerprint,)), PART)

    def copied(self, folders: Sequence[str] | None) -> "NDArray[np.void]":
        """Return what has parts and lies in several files by source, as rows of :data:`COPIED`.

        With folders, only files at or below one of them count.
        """
        those = within(folders)
        query = f"""
            SELECT image_id, COUNT(*), MAX(size) FROM files
            WHERE image_id IN (SELECT source FROM images WHERE part IS NOT NULL)
            AND {those.sql} GROUP BY image_id HAVING COUNT(*) > 1 ORDER BY image_id
        """
        with self._database.read() as connection:
            rows = connection.execute(query, those.parameters)
            return np.fromiter(rows, COPIED)

    def image_ids(self, seqs: "Seqs") -> dict[int, str]:
        """Return the image of each seq that is still an entry."""
        query = "SELECT seq, image_id FROM json_each(?) JOIN entries ON seq = value"
        with self._database.read() as connection:
            return dict(connection.execute(query, (json.dumps(seqs.tolist()),)).fetchall())

    def files(self, seqs: Sequence[int]) -> list[KeptFile]:
        """Return the files that hold these images, or have them as a part."""
        query = """
            SELECT seq, images.image_id, files.path, size, mtime_ns, width, height, format
            FROM json_each(?) JOIN entries ON seq = value
            JOIN images USING (image_id) JOIN files ON files.image_id = images.source
        """
        with self._database.read() as connection:
            rows = connection.execute(query, (json.dumps(list(seqs)),))
            return [KeptFile(*row) for row in rows]
