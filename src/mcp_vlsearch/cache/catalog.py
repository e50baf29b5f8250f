"""What is known of roots, files and images.

Writing methods join the transaction that they are called in.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from mcp_vlsearch.cache.conditions import BELOW, Condition, below, between, inside, sortable
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.parts import Parts
from mcp_vlsearch.cache.records import Counts, FileRecord, ImageInfo, ImageRecord
from mcp_vlsearch.cache.selecting import allowed_seqs, parsed
from mcp_vlsearch.types import Orientation

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs

__all__ = ["Catalog", "Counts", "FileRecord", "ImageInfo", "ImageRecord"]

# Not by sqlite-utils' upsert: where the disk is full, it takes SQLite for one without ON CONFLICT
# and falls back to statements that lose new rows without an error (4.2.1).
_PUT_FILE: Final = """
    INSERT INTO files (path, size, mtime_ns, image_id, error, retry) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (path) DO UPDATE SET size = excluded.size, mtime_ns = excluded.mtime_ns,
        image_id = excluded.image_id, error = excluded.error, retry = excluded.retry
"""

_COUNT_FOLDER: Final = """
    INSERT INTO counted_folders (path, low, high, files)
    SELECT :path, :low, :high,
        (SELECT COUNT(*) FROM files WHERE path = :path OR (path >= :low AND path < :high))
    WHERE NOT EXISTS (SELECT 1 FROM counted_folders WHERE path = :path)
"""


class Catalog:
    """Roots, files and images of one library."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.parts = Parts(database)

    def snapshot(self) -> AbstractContextManager[object]:
        """Have all that is asked for within a block be as it was at one moment."""
        return self._database.read()

    def version(self) -> int:
        """Return a number that changes with every commit, of whichever process or thread."""
        return self._database.version()

    def roots(self) -> list[str]:
        """Return the folders that were allowed, sorted."""
        with self._database.read() as connection:
            return _column(connection.execute("SELECT path FROM roots ORDER BY path"))

    def add_root(self, path: str) -> None:
        """Allow a folder, and keep count of its files; once is enough."""
        with self._database.write() as tables:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            tables["roots"].insert({"path": path, "added_at": now}, ignore=True)
            self.count_folders([path])

    def remove_roots(self, paths: Iterable[str]) -> None:
        """Allow exactly these folders no more; others are ignored."""
        with self._database.write() as tables:
            for path in paths:
                tables.execute("DELETE FROM roots WHERE path = ?", (path,))
                tables.execute("DELETE FROM counted_folders WHERE path = ?", (path,))

    def known(self, path: str, recursive: bool = True) -> dict[str, FileRecord]:
        """Return the known files below a folder (or the file of this path), by path."""
        low, high = below(path)
        direct = "" if recursive else f"AND instr(substr(path, {len(low) + 1}), ?) = 0"
        query = f"""
            SELECT path, size, mtime_ns, image_id, error, retry FROM files WHERE path = ?
            UNION ALL
            SELECT path, size, mtime_ns, image_id, error, retry FROM files WHERE {BELOW} {direct}
        """
        parameters = (path, low, high) if recursive else (path, low, high, os.sep)
        with self._database.read() as connection:
            return _records(connection.execute(query, parameters))

    def records(self, paths: Sequence[str]) -> dict[str, FileRecord]:
        """Return what is known of files, by path, without those that are not known."""
        query = """
            SELECT files.path, size, mtime_ns, image_id, error, retry
            FROM json_each(?) AS wanted JOIN files ON files.path = wanted.value
        """
        with self._database.read() as connection:
            return _records(connection.execute(query, (json.dumps(paths),)))

    def count_folders(self, folders: Iterable[str]) -> None:
        """Keep count of the files at or below folders from now on."""
        with self._database.write() as tables:
            for folder in folders:
                low, high = below(folder)
                tables.execute(_COUNT_FOLDER, {"path": folder, "low": low, "high": high})

    def file_count(self, folder: str) -> int:
        """Return how many files are known at or below a folder, failed ones included."""
        counted = "SELECT files FROM counted_folders WHERE path = ?"
        query = f"SELECT COUNT(*) FROM files WHERE path = ? OR ({BELOW})"
        with self._database.read() as connection:
            row = connection.execute(counted, (folder,)).fetchone()
            row = row or connection.execute(query, (folder, *below(folder))).fetchone()
        return int(row[0])

    def counts(self, folders: Sequence[str] | None = None) -> Counts:
        """Return the totals of the library, or of the files at or below some folders."""
        if folders is None:
            query, parameters = "SELECT files, failed, images FROM totals", None
        else:
            those = inside(folders)
            held = f"source IN (SELECT image_id FROM files WHERE {those.sql})"
            query = f"""SELECT COUNT(*), COUNT(*) - COUNT(image_id),
                (SELECT COUNT(*) FROM images WHERE {held}) FROM files WHERE {those.sql}"""
            parameters = those.parameters * 2
        with self._database.read() as connection:
            return Counts(*connection.execute(query, parameters or ()).fetchone())

    def any_entry(self) -> bool:
        """Say whether there is an image that can be found, under whichever fingerprint."""
        with self._database.read() as connection:
            return bool(connection.execute("SELECT EXISTS (SELECT 1 FROM entries)").fetchone()[0])

    def indexed_with(self) -> str | None:
        """Return the encoder and settings that were last indexed with, as words."""
        query = """SELECT model, precision, dim FROM fingerprints
            WHERE id = (SELECT fingerprint FROM entries ORDER BY seq DESC LIMIT 1)
        """
        with self._database.read() as connection:
            row = connection.execute(query).fetchone()
        return f"{row[0]}, {row[1]}, {row[2]} dimensions" if row else None

    def has_image(self, image_id: str) -> bool:
        """Say whether an image's description is known, even if no file holds it any more."""
        query = "SELECT 1 FROM images WHERE image_id = ?"
        with self._database.read() as connection:
            return connection.execute(query, (image_id,)).fetchone() is not None

    def paths_of(self, image_id: str) -> list[str]:
        """Return all files that hold an image, or several from this source, sorted."""
        source = "IFNULL((SELECT source FROM images WHERE image_id = ?1), ?1)"
        query = f"SELECT path FROM files WHERE image_id = {source} ORDER BY path"
        with self._database.read() as connection:
            return _column(connection.execute(query, (image_id,)))

    def put_image(self, image_id: str, info: ImageInfo) -> None:
        """Describe an image, before the files that hold it are put."""
        row = vars(info) | {
            "image_id": image_id,
            "source": info.source or image_id,
            "format": info.format.upper(),
            "orientation": _orientation(info.width, info.height),
            "taken_sort": info.taken_at and sortable(datetime.fromisoformat(info.taken_at)),
        }
        # By hand: for single rows, sqlite-utils looks the table up anew each time.
        columns = ", ".join(row)
        values = ", ".join(f":{column}" for column in row)
        renewed = ", ".join(f"{column} = excluded.{column}" for column in row)
        with self._database.write() as tables:
            tables.execute(
                f"""INSERT INTO images ({columns}) VALUES ({values})
                ON CONFLICT (image_id) DO UPDATE SET {renewed}""",
                row,
            )

    def put_files(self, files: Iterable[tuple[str, FileRecord]]) -> None:
        """Record files as they were read; an image that loses its last file can't be found then."""
        with self._database.write() as tables:
            tables.conn.executemany(_PUT_FILE, ((path, *record) for path, record in files))

    def forget(self, paths: Iterable[str]) -> None:
        """Forget files; an image that loses its last one can't be found then."""
        with self._database.write() as tables:
            tables.conn.executemany("DELETE FROM files WHERE path = ?", ((p,) for p in paths))

    def describe(self, seqs: Sequence[int]) -> list[ImageRecord]:
        """Return the images of seqs, in their order, without those that went meanwhile."""
        query = """
            SELECT seq, images.image_id, width, height, format, bytes, part, taken_at, files.path
            FROM json_each(?) AS wanted
            JOIN entries ON seq = wanted.value
            JOIN images USING (image_id)
            JOIN files ON files.image_id = images.source
            ORDER BY wanted.key, files.path
        """
        with self._database.read() as connection:
            rows = connection.execute(query, (json.dumps(seqs),)).fetchall()
        return [
            ImageRecord(tuple(row[-1] for row in same), *columns)
            for columns, same in groupby(rows, key=itemgetter(slice(-1)))
        ]

    def seqs_below(self, folders: Sequence[str], fingerprint: str, after: int = 0) -> "Seqs":
        """Return the higher seqs of images with a file at or below one of the folders, sorted."""
        those = inside(folders)
        query = f"""
            SELECT group_concat(seq) FROM entries CROSS JOIN images USING (image_id)
            WHERE entries.fingerprint = (SELECT id FROM fingerprints WHERE fingerprint = ?)
            AND seq > ? AND EXISTS (
                SELECT 1 FROM files WHERE files.image_id = images.source AND {those.sql}
            )
        """
        with self._database.read() as connection:
            rows = connection.execute(query, (fingerprint, after, *those.parameters))
            return parsed(rows.fetchone()[0])

    def any_outside(self, folders: Sequence[str]) -> bool:
        """Say whether a file is known that lies below none of the folders."""
        outside = between(folders)
        with self._database.read() as connection:
            rows = connection.execute(f"SELECT EXISTS ({outside.sql})", outside.parameters)
            return bool(rows.fetchone()[0])

    def copies_changed(self) -> int:
        """Return how often something has happened to a file whose image other files hold, too."""
        with self._database.read() as connection:
            return int(connection.execute("SELECT changes FROM copies").fetchone()[0])

    def allowed(self, condition: Condition, fingerprint: str) -> "Seqs":
        """Return the seqs of a fingerprint whose images meet a condition, sorted, shape (n,)."""
        with self._database.read() as connection:
            return allowed_seqs(connection, condition, fingerprint)


def _orientation(width: int, height: int) -> Orientation:
    if width == height:
        return "square"
    return "landscape" if width > height else "portrait"


def _records(cursor: sqlite3.Cursor) -> dict[str, FileRecord]:
    return {
        path: FileRecord(size, mtime_ns, image_id, error, bool(retry))
        for path, size, mtime_ns, image_id, error, retry in cursor
    }


def _column(cursor: sqlite3.Cursor) -> list[str]:
    return [value for (value,) in cursor]
