"""Steps of the schema that count, by triggers, what takes long to count in a large library."""

from mcp_vlsearch.cache.tables import Tables

__all__ = ["count_changes_of_copies", "count_lacking", "count_rows"]


def count_rows(tables: Tables) -> None:
    """Count files, images and entries as they come and go: a large library takes long to count.

    ``counted_folders`` has the number of files at or below certain folders, ``low`` and ``high``
    being the bounds of the paths below.
    """
    for statement in (
        """CREATE TABLE totals (
            files INTEGER NOT NULL,
            failed INTEGER NOT NULL,
            images INTEGER NOT NULL
        )""",
        "INSERT INTO totals SELECT COUNT(*), COUNT(error), COUNT(DISTINCT image_id) FROM files",
        """CREATE TABLE counted_folders (
            path TEXT PRIMARY KEY,
            low TEXT NOT NULL,
            high TEXT NOT NULL,
            files INTEGER NOT NULL
        ) WITHOUT ROWID""",
        """CREATE TRIGGER file_added_counted AFTER INSERT ON files BEGIN
            UPDATE totals SET files = files + 1, failed = failed + (NEW.image_id IS NULL),
                images = images + (NEW.image_id IS NOT NULL AND NOT EXISTS (
                    SELECT 1 FROM files WHERE image_id = NEW.image_id AND path <> NEW.path
                ));
            UPDATE counted_folders SET files = files + 1
            WHERE path = NEW.path OR (low <= NEW.path AND high > NEW.path);
        END""",
        """CREATE TRIGGER file_removed_counted AFTER DELETE ON files BEGIN
            UPDATE totals SET files = files - 1, failed = failed - (OLD.image_id IS NULL),
                images = images - (OLD.image_id IS NOT NULL AND NOT EXISTS (
                    SELECT 1 FROM files WHERE image_id = OLD.image_id
                ));
            UPDATE counted_folders SET files = files - 1
            WHERE path = OLD.path OR (low <= OLD.path AND high > OLD.path);
        END""",
        """CREATE TRIGGER file_changed_counted AFTER UPDATE OF image_id ON files
        WHEN OLD.image_id IS NOT NEW.image_id BEGIN
            UPDATE totals SET
                failed = failed + (NEW.image_id IS NULL) - (OLD.image_id IS NULL),
                images = images + (NEW.image_id IS NOT NULL AND NOT EXISTS (
                    SELECT 1 FROM files WHERE image_id = NEW.image_id AND path <> NEW.path
                )) - (OLD.image_id IS NOT NULL AND NOT EXISTS (
                    SELECT 1 FROM files WHERE image_id = OLD.image_id
                ));
        END""",
        "ALTER TABLE fingerprints ADD COLUMN entries INTEGER NOT NULL DEFAULT 0",
        """UPDATE fingerprints SET entries = (
            SELECT COUNT(*) FROM entries WHERE fingerprint = fingerprints.id
        )""",
        """CREATE TRIGGER entry_added_counted AFTER INSERT ON entries BEGIN
            UPDATE fingerprints SET entries = entries + 1 WHERE id = NEW.fingerprint;
        END""",
        """CREATE TRIGGER entry_removed_counted AFTER DELETE ON entries BEGIN
            UPDATE fingerprints SET entries = entries - 1 WHERE id = OLD.fingerprint;
        END""",
    ):
        tables.execute(statement)


def count_changes_of_copies(tables: Tables) -> None:
    """Count what happens to files whose image other files hold as well.

    Where that stays the same, what came and went of the files that hold an image is told by
    entries: by new seqs and by removals.
    """
    for statement in (
        "CREATE TABLE copies (changes INTEGER NOT NULL)",
        "INSERT INTO copies VALUES (0)",
        """CREATE TRIGGER copy_added AFTER INSERT ON files
        WHEN EXISTS (SELECT 1 FROM files WHERE image_id = NEW.image_id AND path <> NEW.path) BEGIN
            UPDATE copies SET changes = changes + 1;
        END""",
        """CREATE TRIGGER copy_removed AFTER DELETE ON files
        WHEN EXISTS (SELECT 1 FROM files WHERE image_id = OLD.image_id) BEGIN
            UPDATE copies SET changes = changes + 1;
        END""",
        """CREATE TRIGGER copy_changed AFTER UPDATE OF image_id ON files
        WHEN OLD.image_id IS NOT NEW.image_id AND (
            EXISTS (SELECT 1 FROM files WHERE image_id = OLD.image_id)
            OR EXISTS (SELECT 1 FROM files WHERE image_id = NEW.image_id AND path <> NEW.path)
        ) BEGIN
            UPDATE copies SET changes = changes + 1;
        END""",
    ):
        tables.execute(statement)


def count_lacking(tables: Tables) -> None:
    """Count how many images each fingerprint lacks of each other one, as they come and go.

    Those are the other's entries whose image has neither a vector nor a failure in ``space``.
    """
    has_none = """
        NOT EXISTS (SELECT 1 FROM embeddings WHERE image_id = {image} AND fingerprint = {space})
        AND NOT EXISTS (SELECT 1 FROM failures WHERE image_id = {image} AND fingerprint = {space})
    """
    tables.execute(
        """CREATE TABLE lacking (
            space INTEGER NOT NULL,
            other INTEGER NOT NULL,
            images INTEGER NOT NULL,
            PRIMARY KEY (space, other)
        ) WITHOUT ROWID"""
    )
    tables.execute(
        f"""INSERT INTO lacking SELECT own.id, others.id, (
            SELECT COUNT(*) FROM entries WHERE entries.fingerprint = others.id
            AND {has_none.format(image="entries.image_id", space="own.id")}
        ) FROM fingerprints AS own JOIN fingerprints AS others ON own.id <> others.id"""
    )
    tables.execute(
        """CREATE TRIGGER space_added AFTER INSERT ON fingerprints BEGIN
            INSERT INTO lacking SELECT NEW.id, id, (
                SELECT COUNT(*) FROM entries WHERE entries.fingerprint = fingerprints.id
            ) FROM fingerprints WHERE id <> NEW.id;
            INSERT INTO lacking SELECT id, NEW.id, 0 FROM fingerprints WHERE id <> NEW.id;
        END"""
    )
    tables.execute(
        """CREATE TRIGGER space_removed AFTER DELETE ON fingerprints BEGIN
            DELETE FROM lacking WHERE OLD.id IN (space, other);
        END"""
    )
    of_entry = f"other = {{row}}.fingerprint AND {has_none}"
    of_vector = """
        space = {row}.fingerprint AND EXISTS (
            SELECT 1 FROM entries WHERE image_id = {row}.image_id AND fingerprint = other
        ) AND NOT EXISTS (
            SELECT 1 FROM {beside}
            WHERE image_id = {row}.image_id AND fingerprint = {row}.fingerprint
        )
    """
    for table, by, condition, beside in (
        ("entries", 1, of_entry, ""),
        ("embeddings", -1, of_vector, "failures"),
        ("failures", -1, of_vector, "embeddings"),
    ):
        for event, row, change in (("INSERT", "NEW", by), ("DELETE", "OLD", -by)):
            rows = condition.format(row=row, image=f"{row}.image_id", space="space", beside=beside)
            tables.execute(
                f"""CREATE TRIGGER lacking_{table}_{event.lower()} AFTER {event} ON {table} BEGIN
                    UPDATE lacking SET images = images + ({change}) WHERE {rows};
                END"""
            )
