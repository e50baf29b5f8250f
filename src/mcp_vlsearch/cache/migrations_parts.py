"""The step of the schema by which a file holds several images, such as the pages of a PDF."""

from mcp_vlsearch.cache.tables import Tables

__all__ = ["hold_parts"]


def hold_parts(tables: Tables) -> None:
    """Give each image a ``source``: what the files that hold it have as their ``image_id``.

    A picture that is a file by itself is its own source. Pages and moments have the id of their
    file's bytes, under which no image is. Of such a file an ``error`` may tell that some parts have
    no image, beside those that have one. So ``files`` is made anew, and what triggers it had of
    other steps; in place of its reference to ``images``, triggers hold that a file's images are
    described first.
    """
    triggers = tables.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'files'"
    ).fetchall()
    for statement in (
        "ALTER TABLE images ADD COLUMN source TEXT NOT NULL DEFAULT ''",
        "UPDATE images SET source = image_id",
        "CREATE INDEX images_source ON images (source)",
        """CREATE TABLE remade (
            path TEXT PRIMARY KEY,
            size INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL,
            image_id TEXT,
            error TEXT,
            retry INTEGER NOT NULL,
            CHECK (image_id IS NOT NULL OR error IS NOT NULL)
        ) WITHOUT ROWID""",
        "INSERT INTO remade SELECT path, size, mtime_ns, image_id, error, retry FROM files",
        "DROP TABLE files",
        "ALTER TABLE remade RENAME TO files",
        "CREATE INDEX files_image ON files (image_id)",
        "CREATE INDEX files_modified ON files (mtime_ns, image_id)",
        *_RULES,
        *_COUNTS,
        *(sql for name, sql in triggers if name not in _MADE_ANEW),
    ):
        tables.execute(statement)


_MADE_ANEW = {
    *("file_removed", "file_changed"),
    *("file_added_counted", "file_removed_counted", "file_changed_counted"),
}


_UNDESCRIBED = """NEW.image_id IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM images WHERE source = NEW.image_id) BEGIN
        SELECT RAISE(ABORT, 'the images of a file are described before it is put');
    END"""
_LOSE_ENTRIES = """NOT EXISTS (SELECT 1 FROM files WHERE image_id = OLD.image_id) BEGIN
        DELETE FROM entries
        WHERE image_id IN (SELECT image_id FROM images WHERE source = OLD.image_id);
    END"""
_RULES = (
    f"CREATE TRIGGER file_added BEFORE INSERT ON files WHEN {_UNDESCRIBED}",
    f"CREATE TRIGGER file_renewed BEFORE UPDATE OF image_id ON files WHEN {_UNDESCRIBED}",
    f"CREATE TRIGGER file_removed AFTER DELETE ON files WHEN {_LOSE_ENTRIES}",
    f"""CREATE TRIGGER file_changed AFTER UPDATE OF image_id ON files
    WHEN OLD.image_id IS NOT NEW.image_id AND {_LOSE_ENTRIES}""",
)

_IMAGES = "(SELECT COUNT(*) FROM images WHERE source = {row}.image_id)"
_NEW_IMAGES = f"""CASE WHEN EXISTS (
        SELECT 1 FROM files WHERE image_id = NEW.image_id AND path <> NEW.path
    ) THEN 0 ELSE {_IMAGES.format(row="NEW")} END"""
_OLD_IMAGES = f"""CASE WHEN EXISTS (SELECT 1 FROM files WHERE image_id = OLD.image_id)
    THEN 0 ELSE {_IMAGES.format(row="OLD")} END"""
_HELD = "EXISTS (SELECT 1 FROM files WHERE image_id = {row}.source)"
_COUNTS = (
    f"""CREATE TRIGGER file_added_counted AFTER INSERT ON files BEGIN
        UPDATE totals SET files = files + 1, failed = failed + (NEW.image_id IS NULL),
            images = images + {_NEW_IMAGES};
        UPDATE counted_folders SET files = files + 1
        WHERE path = NEW.path OR (low <= NEW.path AND high > NEW.path);
    END""",
    f"""CREATE TRIGGER file_removed_counted AFTER DELETE ON files BEGIN
        UPDATE totals SET files = files - 1, failed = failed - (OLD.image_id IS NULL),
            images = images - {_OLD_IMAGES};
        UPDATE counted_folders SET files = files - 1
        WHERE path = OLD.path OR (low <= OLD.path AND high > OLD.path);
    END""",
    f"""CREATE TRIGGER file_changed_counted AFTER UPDATE OF image_id ON files
    WHEN OLD.image_id IS NOT NEW.image_id BEGIN
        UPDATE totals SET
            failed = failed + (NEW.image_id IS NULL) - (OLD.image_id IS NULL),
            images = images + {_NEW_IMAGES} - {_OLD_IMAGES};
    END""",
    f"""CREATE TRIGGER image_added_counted AFTER INSERT ON images
    WHEN {_HELD.format(row="NEW")} BEGIN
        UPDATE totals SET images = images + 1;
    END""",
    f"""CREATE TRIGGER image_removed AFTER DELETE ON images
    WHEN {_HELD.format(row="OLD")} BEGIN
        DELETE FROM entries WHERE image_id = OLD.image_id;
        UPDATE totals SET images = images - 1;
    END""",
)
