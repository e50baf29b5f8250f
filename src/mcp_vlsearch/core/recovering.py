"""A working library from what is left of a damaged one.

Every table that can't be made again is copied row by row into a new database, as far as it can be
read and makes sense. The damaged file stays, under another name. Entries, counts and the index are
made anew, so what was lost is only what no page tells any more: those pictures are encoded again by
the next run, and no others.
"""

import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.salvaging import Salvage, open_damaged
from mcp_vlsearch.cache.vectors import STORED, are_unit
from mcp_vlsearch.core.progress import Progress, ProgressCallback, silent
from mcp_vlsearch.core.writing import writer_lock
from mcp_vlsearch.errors import LibraryError

__all__ = ["Recovered", "recover"]

_DATABASE: Final = "library.db"
_BATCH: Final = 1000
_ID: Final = re.compile(r"[0-9a-f]{16}")
_SIDES: Final = ("-wal", "-shm")
_SPACES: Final = ("fingerprint", "encoder", "model", "precision", "dim", "created_at")
_FILE: Final = ("size", "mtime_ns", "image_id", "error", "retry")

_ENTER: Final = """
    INSERT INTO entries (image_id, fingerprint)
    SELECT image_id, fingerprint FROM embeddings JOIN images USING (image_id)
    WHERE EXISTS (SELECT 1 FROM files WHERE files.image_id = images.source)
    ORDER BY embeddings.id
"""
_WITHOUT_VECTOR: Final = """
    SELECT DISTINCT path FROM files JOIN images ON files.image_id = images.source
    WHERE NOT EXISTS (
        SELECT 1 FROM embeddings WHERE embeddings.image_id = images.image_id
            AND fingerprint = :space
    ) AND NOT EXISTS (
        SELECT 1 FROM failures WHERE failures.image_id = images.image_id AND fingerprint = :space
    )
"""
_WITH_PARTS: Final = """
    SELECT path FROM files
    WHERE EXISTS (SELECT 1 FROM images WHERE source = files.image_id AND part IS NOT NULL)
"""


class Recovered(BaseModel):
    """What :func:`recover` kept, and what it could not."""

    model_config = ConfigDict(frozen=True)

    backup: str = Field(description="The damaged database, which is kept under this path.")
    roots: int = Field(description="Roots that are allowed still.")
    files: int = Field(description="Files that are known still.")
    vectors: int = Field(description="Vectors that need not be computed again.")
    lost: list[str] = Field(
        description="Files that the next index run reads again, by path. Where not even the path "
        "could be read, the run finds the file as a new one."
    )

    def __str__(self) -> str:
        """Say it in one line that ends with what to do next."""
        kept = f"{self.files} files and {self.vectors} vectors were kept"
        lost = f"{len(self.lost)} files are to be read again" if self.lost else "no file is missed"
        folders = "" if self.roots else " FOLDER"
        return (
            f"{kept}, {lost}; the damaged database is {self.backup}: "
            f"run `mcp-vlsearch index{folders}`, and restart servers that run"
        )


def recover(library: Path, report: ProgressCallback = silent) -> Recovered:
    """Put a new database, with all that can still be read, in the place of a damaged one.

    The damaged one stays beside it, under the name that the result tells. The index is made again
    from the vectors at the next search or run. The library must not be open in this process.
    ``report`` may raise :class:`CancelledError`; the damaged database then stays in its place.
    Raises :class:`LibraryError` if there is no database, or if it can't be put aside.
    """
    damaged = library / _DATABASE
    if not damaged.exists():
        raise LibraryError(f"{damaged} does not exist: index a folder into this library first")
    new = library / f"{_DATABASE}.recovering"
    with writer_lock(library, report):
        _delete(new)
        try:
            with closing(Database(new)) as database:
                made = _Recovery(damaged, database, report).run()
            backup = _exchange(damaged, new)
        except OSError as error:
            raise LibraryError(
                f"{damaged} can't be put aside ({error.strerror}): stop servers that use it, "
                "free some space, and run it again"
            ) from error
        finally:
            _delete(new)
    return made.model_copy(update={"backup": str(backup)})


def _exchange(damaged: Path, new: Path) -> Path:
    """Put the new file in the damaged one's place, and return where that is now.

    Its log goes before: SQLite would take it for one of the new file. At every moment there is a
    whole copy of what was damaged.
    """
    backup = damaged.with_name(f"{damaged.name}.damaged-{datetime.now():%Y%m%d-%H%M%S-%f}")
    for side in ("", "-wal"):
        if (source := _beside(damaged, side)).exists():
            _link(source, _beside(backup, side))
    for side in _SIDES:
        _beside(damaged, side).unlink(missing_ok=True)
    new.replace(damaged)
    return backup


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copy2(source, target)


def _beside(file: Path, side: str) -> Path:
    return file.with_name(file.name + side)


def _delete(file: Path) -> None:
    for side in ("", *_SIDES):
        _beside(file, side).unlink(missing_ok=True)


class _Recovery:
    """Copies from a damaged database to a new one, table by table."""

    def __init__(self, damaged: Path, database: Database, report: ProgressCallback) -> None:
        self._damaged = damaged
        self._database = database
        self._report = report
        self._done = 0
        self._lost: set[str] = set()

    def run(self) -> Recovered:
        """Copy what can be read; a file that is no database at all has nothing."""
        self._database.make()
        with closing(open_damaged(self._damaged)) as connection:
            self._copy(connection)
        with self._database.read() as new:
            (files,) = new.execute("SELECT COUNT(*) FROM files").fetchone()
            (vectors,) = new.execute("SELECT COUNT(*) FROM embeddings").fetchone()
        roots = len(Catalog(self._database).roots())
        lost = sorted(self._lost)
        return Recovered(backup="", roots=roots, files=files, vectors=vectors, lost=lost)

    def _copy(self, old: sqlite3.Connection) -> None:
        for path, *_ in Salvage(old, "roots", "path", ()).rows():
            if _is_text(path):
                Catalog(self._database).add_root(path)
        self._fill("fingerprints", _spaces(old))
        dims = self._dims()
        images = Salvage(old, "images", "image_id", self._columns(old, "images", "image_id"))
        self._fill("images", _images(images))
        self._fill("embeddings", _vectors(old, dims))
        self._fill("failures", _failures(old, dims))
        self._fill("files", self._files(old))
        if images.is_torn:
            self._forget_parted()
        with self._database.write() as tables:
            tables.execute(_ENTER)
        self._name_those_without_vector()

    def _columns(self, old: sqlite3.Connection, table: str, key: str) -> tuple[str, ...]:
        """Return the columns that a table has in both; an older library lacks some."""
        query = f"SELECT name FROM pragma_table_info('{table}')"
        with self._database.read() as new:
            wanted = [name for (name,) in new.execute(query) if name != key]
        try:
            there = {name for (name,) in old.execute(query)}
        except sqlite3.Error:
            return ()
        return tuple(name for name in wanted if name in there)

    def _fill(self, table: str, rows: Iterator[dict[str, Any]]) -> None:
        while batch := list(islice(rows, _BATCH)):
            columns = tuple(batch[0])
            marks = ", ".join(f":{column}" for column in columns)
            with self._database.write() as tables:
                tables.conn.executemany(
                    f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({marks})", batch
                )
            self._done += len(batch)
            self._report(Progress(self._done, None, f"reading {table} of the damaged database"))

    def _dims(self) -> dict[int, int]:
        with self._database.read() as new:
            return dict(new.execute("SELECT id, dim FROM fingerprints").fetchall())

    def _files(self, old: sqlite3.Connection) -> Iterator[dict[str, Any]]:
        """Yield files whose images are known still; the others are read again."""
        with self._database.read() as new:
            sources = {source for (source,) in new.execute("SELECT DISTINCT source FROM images")}
        salvage = Salvage(old, "files", "path", _FILE)
        for path, *values in salvage.rows():
            row = dict(zip(_FILE, values, strict=True))
            if not _is_text(path):
                continue
            if _is_file(row) and (row["image_id"] is None or row["image_id"] in sources):
                yield {"path": path, **row}
            else:
                self._lost.add(path)
        self._lost.update(filter(_is_text, salvage.gaps))

    def _forget_parted(self) -> None:
        """Have files with several images read again: nothing tells whether one of them is gone."""
        with self._database.write() as tables:
            paths = [path for (path,) in tables.execute(_WITH_PARTS)]
            tables.conn.executemany("DELETE FROM files WHERE path = ?", [(path,) for path in paths])
        self._lost.update(paths)

    def _name_those_without_vector(self) -> None:
        searched = "SELECT id FROM fingerprints ORDER BY searched DESC, entries DESC LIMIT 1"
        with self._database.read() as new:
            space = new.execute(searched).fetchone() or (0,)
            found = new.execute(_WITHOUT_VECTOR, {"space": space[0]}).fetchall()
        self._lost.update(path for (path,) in found)


def _spaces(old: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    columns = (*_SPACES, "choices", "searched")
    salvage = Salvage(old, "fingerprints", "id", columns)
    for key, *values in chain(salvage.rows(), salvage.copies("fingerprints_again")):
        row = dict(zip(columns, values, strict=True))
        if all(map(_is_text, (row[name] for name in _SPACES if name != "dim"))) and row["dim"]:
            yield {"id": key, **row}


def _images(salvage: Salvage) -> Iterator[dict[str, Any]]:
    for key, *values in salvage.rows():
        row = dict(zip(salvage.columns, values, strict=True))
        row.setdefault("source", key)
        numbers = (row["width"], row["height"], row["bytes"])
        texts = (row["format"], row["orientation"])
        if (
            _is_id(key)
            and _is_id(row["source"])
            and all(isinstance(number, int) for number in numbers)
            and all(map(_is_text, texts))
        ):
            yield {"image_id": key, **row}


def _vectors(old: sqlite3.Connection, dims: dict[int, int]) -> Iterator[dict[str, Any]]:
    columns = ("image_id", "fingerprint", "vector")
    for key, image, space, vector in Salvage(old, "embeddings", "id", columns).rows():
        if _is_id(image) and space in dims and _is_vector(vector, dims[space]):
            yield {"id": key, "image_id": image, "fingerprint": space, "vector": vector}


def _failures(old: sqlite3.Connection, dims: dict[int, int]) -> Iterator[dict[str, Any]]:
    for image, space, error in Salvage(
        old, "failures", "image_id", ("fingerprint", "error")
    ).rows():
        if _is_id(image) and space in dims and _is_text(error):
            yield {"image_id": image, "fingerprint": space, "error": error}


def _is_vector(stored: Any, dim: int) -> bool:
    if not isinstance(stored, bytes) or len(stored) != dim * STORED.itemsize:
        return False
    return are_unit(np.frombuffer(stored, STORED).astype(np.float32)[None])


def _is_file(row: dict[str, Any]) -> bool:
    numbers = (row["size"], row["mtime_ns"], row["retry"])
    return (
        all(isinstance(number, int) for number in numbers)
        and (row["image_id"] is None or _is_id(row["image_id"]))
        and (row["error"] is None or _is_text(row["error"]))
        and not (row["image_id"] is None and row["error"] is None)
    )


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
