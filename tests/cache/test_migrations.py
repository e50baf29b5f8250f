"""The schema comes in steps; each is there whole, or not at all."""

import shlex
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from mcp_vlsearch.cache import migrating, migrations
from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.embeddings import Embeddings
from mcp_vlsearch.cache.fingerprints import Fingerprints
from mcp_vlsearch.errors import LibraryError

from .conftest import Promise


def tables_of(file: Path) -> set[str]:
    """Return what is in a database, without our code."""
    connection = sqlite3.connect(file)
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    connection.close()
    return names


def add_colours(tables: Any) -> None:
    tables.execute("CREATE TABLE colours (name TEXT)")
    tables.execute("INSERT INTO colours VALUES ('red')")


def fail_halfway(tables: Any) -> None:
    tables.execute("CREATE TABLE shapes (name TEXT)")
    tables.execute("DROP TABLE roots")
    raise ZeroDivisionError


def open_once(file: Path, *, read_only: bool = False) -> None:
    database = Database(file, read_only)
    try:
        with database.read() if read_only else database.write():
            pass
    finally:
        database.close()


def test_every_step_is_recorded(file: Path) -> None:
    open_once(file)
    connection = sqlite3.connect(file)
    rows = connection.execute("SELECT name FROM _sqlite_migrations ORDER BY id").fetchall()
    connection.close()
    assert rows == [(step.__name__,) for step in migrations.STEPS]


def test_an_older_library_gets_the_steps_it_lacks(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_once(file)
    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, add_colours))
    open_once(file)
    open_once(file)
    connection = sqlite3.connect(file)
    assert connection.execute("SELECT name FROM colours").fetchall() == [("red",)]
    connection.close()


@pytest.mark.parametrize("is_large", [True, False])
def test_a_step_that_takes_long_is_told_before_it_begins(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, is_large: bool
) -> None:
    names = [step.__name__ for step in migrations.STEPS]
    before = names.index("free_embeddings")
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "STEPS", migrations.STEPS[:before])
        open_once(file)

    def told(_: Any) -> None:
        assert ("are brought up to this version" in caplog.text) is is_large

    monkeypatch.setattr(migrating, "_LARGE", 0 if is_large else migrating._LARGE)
    rest = (migrations.free_embeddings, told, *migrations.STEPS[before + 1 :])
    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS[:before], *rest))
    open_once(file)
    assert len(caplog.records) == is_large
    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, add_colours))
    open_once(file)
    assert len(caplog.records) == is_large, "a step that is quick is not told of"


def test_a_step_that_fails_leaves_the_library_as_it_was(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(file)
    Catalog(database).add_root("/pictures")
    database.close()
    before = tables_of(file)
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "STEPS", (*migrations.STEPS, add_colours, fail_halfway))
        with pytest.raises(ZeroDivisionError):
            open_once(file)
    assert tables_of(file) == before
    database = Database(file)
    assert Catalog(database).roots() == ["/pictures"]
    database.close()


def test_a_first_step_that_fails_leaves_an_empty_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "STEPS", (add_colours, fail_halfway))
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            open_once(file)
    assert tables_of(file) == set()
    open_once(file)


def test_a_library_of_a_newer_version_says_to_upgrade(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "STEPS", (*migrations.STEPS, add_colours))
        open_once(file)
    with pytest.raises(LibraryError, match=r"add_colours.*install --upgrade mcp-vlsearch"):
        open_once(file)


def test_a_read_only_library_of_an_older_version_is_left_alone(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_once(file)
    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, add_colours))
    with pytest.raises(LibraryError, match="older mcp-vlsearch") as caught:
        open_once(file, read_only=True)
    command = f"`mcp-vlsearch status --library {shlex.quote(str(file.parent))}`"
    assert command in str(caught.value)
    assert "colours" not in tables_of(file)


def test_the_database_itself_refuses_an_image_that_nobody_described(file: Path) -> None:
    database = Database(file)
    with (
        pytest.raises(sqlite3.IntegrityError, match="described before"),
        database.write() as tables,
    ):
        tables.execute("INSERT INTO files VALUES ('/a', 1, 2, 'unknown', NULL, 0)")
    database.close()


def test_removals_of_a_library_from_before_they_were_told_apart_count_for_all(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [step.__name__ for step in migrations.STEPS]
    before = migrations.STEPS[: names.index("tell_removals_apart")]
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "STEPS", before)
        open_once(file)
    connection = sqlite3.connect(file)
    connection.executescript(
        """
        INSERT INTO images (image_id, width, height, format, bytes, orientation)
            VALUES ('one', 1, 1, 'PNG', 1, 'square');
        INSERT INTO files VALUES ('/a', 1, 2, 'one', NULL, 0);
        INSERT INTO fingerprints (id, fingerprint, encoder, model, precision, dim, created_at)
            VALUES (1, 'one', 'e', 'm', 'fp32', 2, 'then'), (2, 'two', 'e', 'm', 'fp32', 2, 'then');
        INSERT INTO embeddings VALUES (3, 'one', 1, x'003c0000');
        INSERT INTO entries VALUES (9, 'one', 1);
        INSERT INTO removals VALUES (5, 1), (6, 8);
        """
    )
    connection.close()
    database = Database(file)
    one, two = (Embeddings(database, Promise(name, dim=2)) for name in ("one", "two"))
    for embeddings in (one, two):
        assert [embeddings.remembers(n) for n in (3, 4, 6)] == [False, True, True]
        assert embeddings.changes(9, 4, 9)[2].tolist() == [1, 8]
        assert embeddings.changes(9, 4, 9)[3] == 6
    Catalog(database).forget(["/a"])
    assert (one.changes(9, 6, 9)[2].tolist(), one.changes(9, 6, 9)[3]) == ([9], 7)
    assert (two.changes(9, 6, 9)[2].tolist(), two.changes(9, 6, 9)[3]) == ([], 6)
    database.close()


def test_a_library_from_before_vectors_stood_alone_keeps_them_all(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "STEPS", migrations.STEPS[:2])
        open_once(file)
    connection = sqlite3.connect(file)
    connection.executescript(
        """
        INSERT INTO images VALUES ('one', 1, 1, 'PNG', 1, NULL, 'square', NULL, NULL, NULL, 0, 0);
        INSERT INTO files VALUES ('/a', 1, 2, 'one', NULL, 0);
        INSERT INTO fingerprints VALUES (7, 'f', 'e', 'm', 'fp32', 2, 'then');
        INSERT INTO embeddings VALUES (3, 'one', 7, x'003c0000');
        INSERT INTO entries VALUES (5, 'one', 7);
        """
    )
    connection.close()
    database = Database(file)
    with database.read() as reading:
        assert reading.execute("SELECT * FROM embeddings").fetchall() == [
            (3, "one", 7, b"\0\x3c\0\0")
        ]
        assert reading.execute("SELECT seq FROM entries").fetchall() == [(5,)]
        assert reading.execute("SELECT COUNT(*) FROM removals").fetchone() == (0,)
        assert reading.execute("PRAGMA foreign_key_check").fetchall() == []
    [space] = Fingerprints(database).all()
    assert (space.fingerprint, space.choices, space.searched, space.entries) == ("f", None, 0, 1)
    with database.write() as tables:
        tables.execute("INSERT INTO embeddings VALUES (4, 'before its picture', 7, x'003c0000')")
    for statement in (
        "INSERT INTO embeddings VALUES (9, 'one', 8, x'00')",
        "DELETE FROM embeddings WHERE id = 3",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"), database.write() as tables:
            tables.execute(statement)
    with database.write() as tables:
        tables.execute("DELETE FROM files")
        assert tables.execute("SELECT seq FROM removals").fetchall() == [(5,)]
    database.close()
