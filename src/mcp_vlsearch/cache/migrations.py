"""The schema of ``library.db``, as small steps in order; a step that is released never changes."""

from typing import Final

from mcp_vlsearch.cache.migrations_counts import (
    count_changes_of_copies,
    count_lacking,
    count_rows,
)
from mcp_vlsearch.cache.migrations_parts import hold_parts
from mcp_vlsearch.cache.tables import Tables

__all__ = ["STEPS"]


def create_catalog(tables: Tables) -> None:
    """Make what is known of roots, files and images.

    Paths and image ids are the clustered keys: everything below a folder is one range of ``files``.
    """
    for statement in (
        "CREATE TABLE roots (path TEXT PRIMARY KEY, added_at TEXT NOT NULL)",
        """CREATE TABLE images (
            image_id TEXT PRIMARY KEY,
            width INTEGER NOT NULL,
            height INTEGER NOT NULL,
            format TEXT NOT NULL,
            bytes INTEGER NOT NULL,
            part TEXT,
            orientation TEXT NOT NULL,
            taken_at TEXT,
            taken_sort TEXT,
            camera TEXT,
            latitude REAL,
            longitude REAL
        ) WITHOUT ROWID""",
        "CREATE INDEX images_taken ON images (taken_sort) WHERE taken_sort IS NOT NULL",
        "CREATE INDEX images_place ON images (latitude, longitude) WHERE latitude IS NOT NULL",
        """CREATE TABLE files (
            path TEXT PRIMARY KEY,
            size INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL,
            image_id TEXT REFERENCES images (image_id),
            error TEXT,
            retry INTEGER NOT NULL,
            CHECK ((image_id IS NULL) = (error IS NOT NULL))
        ) WITHOUT ROWID""",
        "CREATE INDEX files_image ON files (image_id)",
    ):
        tables.execute(statement)


def create_embeddings(tables: Tables) -> None:
    """Make the embedding cache, what of it can be found, and the log of what went.

    Vectors are large for a clustered key, so ``embeddings`` keeps its rowid. The triggers hold two
    rules whoever writes: an image without a file can't be found, and an entry that goes leaves its
    seq in ``removals``.
    """
    for statement in (
        """CREATE TABLE fingerprints (
            id INTEGER PRIMARY KEY,
            fingerprint TEXT NOT NULL UNIQUE,
            encoder TEXT NOT NULL,
            model TEXT NOT NULL,
            precision TEXT NOT NULL,
            dim INTEGER NOT NULL,
            created_at TEXT NOT NULL
        )""",
        """CREATE TABLE embeddings (
            id INTEGER PRIMARY KEY,
            image_id TEXT NOT NULL REFERENCES images (image_id),
            fingerprint INTEGER NOT NULL REFERENCES fingerprints (id),
            vector BLOB NOT NULL,
            UNIQUE (image_id, fingerprint)
        )""",
        """CREATE TABLE entries (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            image_id TEXT NOT NULL,
            fingerprint INTEGER NOT NULL,
            UNIQUE (image_id, fingerprint),
            FOREIGN KEY (image_id, fingerprint) REFERENCES embeddings (image_id, fingerprint)
        )""",
        "CREATE INDEX entries_fingerprint ON entries (fingerprint)",
        "CREATE TABLE removals (id INTEGER PRIMARY KEY AUTOINCREMENT, seq INTEGER NOT NULL)",
        """CREATE TRIGGER entry_removed AFTER DELETE ON entries BEGIN
            INSERT INTO removals (seq) VALUES (OLD.seq);
        END""",
        """CREATE TRIGGER file_removed AFTER DELETE ON files
        WHEN NOT EXISTS (SELECT 1 FROM files WHERE image_id = OLD.image_id) BEGIN
            DELETE FROM entries WHERE image_id = OLD.image_id;
        END""",
        """CREATE TRIGGER file_changed AFTER UPDATE OF image_id ON files
        WHEN OLD.image_id IS NOT NEW.image_id
            AND NOT EXISTS (SELECT 1 FROM files WHERE image_id = OLD.image_id) BEGIN
            DELETE FROM entries WHERE image_id = OLD.image_id;
        END""",
    ):
        tables.execute(statement)


def index_filters(tables: Tables) -> None:
    """Add lenses, which images of earlier versions don't have, and an index for each filter.

    An index of files has the image, too, so that it need not be looked up.
    """
    for statement in (
        "ALTER TABLE images ADD COLUMN lens TEXT",
        "CREATE INDEX images_camera ON images (camera)",
        "CREATE INDEX images_lens ON images (lens)",
        "CREATE INDEX images_format ON images (format)",
        "CREATE INDEX images_orientation ON images (orientation)",
        "CREATE INDEX images_size ON images (width, height)",
        "CREATE INDEX files_modified ON files (mtime_ns, image_id)",
    ):
        tables.execute(statement)


def free_embeddings(tables: Tables) -> None:
    """Let a vector be there before its picture: another machine may have made it.

    The table is made anew without its reference to ``images``, which SQLite can't take away.
    """
    for statement in (
        """CREATE TABLE freed (
            id INTEGER PRIMARY KEY,
            image_id TEXT NOT NULL,
            fingerprint INTEGER NOT NULL REFERENCES fingerprints (id),
            vector BLOB NOT NULL,
            UNIQUE (image_id, fingerprint)
        )""",
        "INSERT INTO freed SELECT id, image_id, fingerprint, vector FROM embeddings ORDER BY id",
        "DROP TABLE embeddings",
        "ALTER TABLE freed RENAME TO embeddings",
    ):
        tables.execute(statement)


def describe_spaces(tables: Tables) -> None:
    """Keep what a fingerprint was made with, since when it is searched, and what failed in it.

    ``choices`` are settings as JSON. ``searched`` is 0 or a number that grows: the fingerprint with
    the highest was the last that the library went over to.
    """
    for statement in (
        "ALTER TABLE fingerprints ADD COLUMN choices TEXT",
        "ALTER TABLE fingerprints ADD COLUMN searched INTEGER NOT NULL DEFAULT 0",
        """CREATE TABLE failures (
            image_id TEXT NOT NULL,
            fingerprint INTEGER NOT NULL REFERENCES fingerprints (id),
            error TEXT NOT NULL,
            PRIMARY KEY (image_id, fingerprint)
        ) WITHOUT ROWID""",
    ):
        tables.execute(statement)


def name_library(tables: Tables) -> None:
    """Give the library an id, which tells what is kept of it elsewhere from that of others."""
    tables.execute("CREATE TABLE library (id TEXT NOT NULL)")
    tables.execute("INSERT INTO library VALUES (lower(hex(randomblob(8))))")


def tell_removals_apart(tables: Tables) -> None:
    """Keep of which fingerprint an entry was that went: an index reads those of its own.

    Older removals don't say; they count for all. ``forgotten`` is the last removal that is not told
    any more.
    """
    for statement in (
        "ALTER TABLE removals ADD COLUMN fingerprint INTEGER",
        "CREATE INDEX removals_fingerprint ON removals (fingerprint)",
        "DROP TRIGGER entry_removed",
        """CREATE TRIGGER entry_removed AFTER DELETE ON entries BEGIN
            INSERT INTO removals (seq, fingerprint) VALUES (OLD.seq, OLD.fingerprint);
        END""",
        "ALTER TABLE fingerprints ADD COLUMN forgotten INTEGER NOT NULL DEFAULT 0",
        "UPDATE fingerprints SET forgotten = IFNULL((SELECT MIN(id) - 1 FROM removals), 0)",
    ):
        tables.execute(statement)


def keep_looks(tables: Tables) -> None:
    """Keep the looks of pictures that were compared, by the version of what makes them.

    They are large for a clustered key, so the table keeps its rowid.
    """
    tables.execute(
        """CREATE TABLE looks (
            image_id TEXT NOT NULL UNIQUE,
            version INTEGER NOT NULL,
            look BLOB NOT NULL
        )"""
    )


def keep_spaces_twice(tables: Tables) -> None:
    """Keep on another page, too, what tells vectors apart: without it all of them are lost."""
    tables.execute(
        """CREATE INDEX fingerprints_again ON fingerprints (
            id, fingerprint, encoder, model, precision, dim, created_at, choices, searched
        )"""
    )


STEPS: Final = (
    create_catalog,
    create_embeddings,
    index_filters,
    count_rows,
    free_embeddings,
    describe_spaces,
    name_library,
    tell_removals_apart,
    count_lacking,
    keep_looks,
    count_changes_of_copies,
    hold_parts,  # keeps the triggers that ``files`` has from others
    keep_spaces_twice,
)
