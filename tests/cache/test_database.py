"""One file, many readers, one writer, and errors that say what to do."""

import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mcp_vlsearch.cache import database as module
from mcp_vlsearch.cache.catalog import Catalog, FileRecord
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.errors import CancelledError, LibraryBusyError, LibraryError

from .conftest import Shelf

NOBODY = 65534
needs_permissions = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX permissions")

WRITER = """
import sys
from pathlib import Path
from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.cache.database import Database

database = Database(Path(sys.argv[1]))
catalog = Catalog(database)
"""


def writer(file: Path, script: str) -> "subprocess.Popen[str]":
    """Start another process that has the same library open."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER + script, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_library_is_made_at_first_use_and_not_before(file: Path) -> None:
    database = Database(file)
    assert not file.parent.exists()
    Catalog(database).add_root("/pictures")
    assert database.bytes() >= file.stat().st_size > 0
    database.close()


def test_what_was_written_is_there_when_opened_again(file: Path) -> None:
    for folder in ("/b", "/a"):
        database = Database(file)
        Catalog(database).add_root(folder)
        database.close()
    database = Database(file, read_only=True)
    assert Catalog(database).roots() == ["/a", "/b"]
    database.close()


def test_a_transaction_that_is_cancelled_leaves_nothing(shelf: Shelf) -> None:
    def cancelled() -> None:
        with shelf.database.write():
            shelf.catalog.add_root("/pictures")
            raise CancelledError

    with pytest.raises(CancelledError):
        cancelled()
    assert shelf.catalog.roots() == []
    shelf.catalog.add_root("/after")
    assert shelf.catalog.roots() == ["/after"]


def test_a_transaction_within_a_transaction_is_part_of_it(shelf: Shelf) -> None:
    def cancelled() -> None:
        with shelf.database.write():
            with shelf.database.write():
                shelf.catalog.add_root("/inner")
            assert shelf.catalog.roots() == ["/inner"]
            raise CancelledError

    with pytest.raises(CancelledError):
        cancelled()
    assert shelf.catalog.roots() == []


def test_a_read_sees_one_state_throughout(shelf: Shelf) -> None:
    shelf.catalog.add_root("/before")
    with shelf.database.read(), ThreadPoolExecutor(1) as other:
        assert shelf.catalog.roots() == ["/before"]
        other.submit(shelf.catalog.add_root, "/meanwhile").result()
        assert shelf.catalog.roots() == ["/before"]
    assert shelf.catalog.roots() == ["/before", "/meanwhile"]


def test_writing_inside_of_a_read_is_refused(shelf: Shelf) -> None:
    with shelf.database.read(), pytest.raises(RuntimeError, match="snapshot"):
        shelf.catalog.add_root("/pictures")


def test_threads_read_whole_batches_while_another_thread_writes(shelf: Shelf) -> None:
    batch, batches, readers = 50, 20, 4
    started = threading.Barrier(readers + 1)
    done = threading.Event()

    def read() -> set[int]:
        started.wait()
        seen = {shelf.catalog.file_count("/")}
        while not done.is_set():
            seen.add(shelf.catalog.file_count("/"))
        return seen

    with ThreadPoolExecutor(readers) as pool:
        counts = [pool.submit(read) for _ in range(readers)]
        started.wait()
        for number in range(batches):
            shelf.catalog.put_files(
                (f"/{number}/{i}", FileRecord(1, 2, error="broken")) for i in range(batch)
            )
        done.set()
        for seen in counts:
            assert all(count % batch == 0 for count in seen.result())
    assert shelf.catalog.file_count("/") == batch * batches


def test_another_process_writes_and_this_one_reads_on(shelf: Shelf) -> None:
    shelf.catalog.add_root("/0")
    script = """
for number in range(1, 30):
    catalog.add_root(f"/{number}")
database.close()
"""
    with writer(shelf.database.path, script) as process:
        while process.poll() is None:
            assert "/0" in shelf.catalog.roots()
    assert process.returncode == 0
    assert len(shelf.catalog.roots()) == 30


def test_a_killed_process_leaves_finished_batches_and_nothing_of_the_one_in_flight(
    shelf: Shelf,
) -> None:
    script = """
catalog.add_root("/finished")
with database.write():
    for number in range(1000):
        catalog.add_root(f"/{number}")
    print("ready", flush=True)
    sys.stdin.read()
"""
    with writer(shelf.database.path, script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert shelf.catalog.roots() == ["/finished"]
        process.kill()
    assert shelf.catalog.roots() == ["/finished"]
    shelf.catalog.add_root("/later")
    assert shelf.catalog.roots() == ["/finished", "/later"]


def test_libraries_opened_at_the_same_moment_agree_on_one_schema(file: Path) -> None:
    together = threading.Barrier(6)

    def open_and_write(number: int) -> None:
        database = Database(file)
        together.wait()
        Catalog(database).add_root(f"/{number}")
        database.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(open_and_write, range(6)))
    database = Database(file)
    assert Catalog(database).roots() == [f"/{number}" for number in range(6)]
    database.close()


def test_a_second_writer_that_waits_too_long_is_told_so(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.05)
    first, second = Database(file), Database(file)
    assert Catalog(second).roots() == []
    with first.write(), pytest.raises(LibraryBusyError, match="try again"):
        Catalog(second).add_root("/pictures")
    Catalog(second).add_root("/pictures")
    first.close()
    second.close()


def test_a_threads_connection_ends_with_the_thread(shelf: Shelf) -> None:
    for _ in range(5):
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: shelf.catalog.roots(), range(8)))
    assert len(shelf.database._sessions) <= 2


def test_closing_closes_the_connections_of_all_threads(shelf: Shelf) -> None:
    opened, closed = threading.Event(), threading.Event()
    connections: list[sqlite3.Connection] = []

    def hold() -> None:
        with shelf.database.read() as connection:
            connections.append(connection)
        opened.set()
        closed.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    opened.wait()
    shelf.database.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connections[0].execute("SELECT 1")
    closed.set()
    thread.join()
    with pytest.raises(LibraryError, match="closed"):
        shelf.catalog.roots()


def test_a_file_that_is_no_database_is_named(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"holiday pictures, do not delete" * 100)
    with pytest.raises(
        LibraryError, match=r"library\.db is not a database, .* `mcp-vlsearch doctor --fix"
    ):
        Catalog(Database(file)).roots()
    assert file.read_bytes().startswith(b"holiday")


def test_a_damaged_database_says_how_it_is_recovered(file: Path) -> None:
    database = Database(file)
    Catalog(database).put_files((f"/{i}", FileRecord(1, 2, error="x")) for i in range(2000))
    database.close()
    whole = file.read_bytes()
    file.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(LibraryError, match="damaged: run `mcp-vlsearch doctor --fix --library "):
        Catalog(Database(file)).counts()


def test_a_library_that_can_not_be_made_says_where(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(LibraryError, match=r"taken can't be made .*: give another --library"):
        Catalog(Database(tmp_path / "taken" / "library.db")).add_root("/photos")


def test_a_folder_in_the_place_of_the_database_says_what_to_do(file: Path) -> None:
    file.mkdir(parents=True)
    with pytest.raises(LibraryError, match="can't be opened"):
        Catalog(Database(file)).roots()


def test_a_full_disk_keeps_what_was_written_and_says_what_to_do(shelf: Shelf) -> None:
    shelf.catalog.add_root("/before")
    with shelf.database.write() as tables:
        (pages,) = tables.execute("PRAGMA page_count").fetchone()
        tables.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(LibraryError, match="disk is full: free some space"):
        shelf.catalog.put_files((f"/{i}", FileRecord(1, 2, error="x")) for i in range(9999))
    assert shelf.catalog.roots() == ["/before"]
    assert shelf.catalog.counts().files == 0


def test_a_read_only_library_must_exist(file: Path) -> None:
    with pytest.raises(LibraryError, match="does not exist: index a folder"):
        Catalog(Database(file, read_only=True)).roots()
    assert not file.parent.exists()


def test_a_read_only_library_is_never_written(shelf: Shelf) -> None:
    shelf.catalog.add_root("/before")
    database = Database(shelf.database.path, read_only=True)
    with pytest.raises(LibraryError, match="can't be written"):
        Catalog(database).add_root("/after")
    assert Catalog(database).roots() == ["/before"]
    database.close()


@pytest.fixture
def sealed() -> Iterator[Path]:
    """A library in a folder that this process can't write to, even where root runs the tests."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        database = Database(folder / "library.db")
        Catalog(database).add_root("/pictures")
        database.close()
        yield folder / "library.db"
        os.seteuid(os.getuid())
        folder.chmod(0o755)


def seal(file: Path) -> None:
    file.parent.chmod(0o555)
    if os.geteuid() == 0:
        os.seteuid(NOBODY)


@needs_permissions
def test_a_folder_that_can_not_be_written_can_be_read(sealed: Path) -> None:
    seal(sealed)
    database = Database(sealed, read_only=True)
    with ThreadPoolExecutor(1) as other:
        assert other.submit(Catalog(database).roots).result() == ["/pictures"]
    assert Catalog(database).roots() == ["/pictures"]
    database.close()


@needs_permissions
def test_a_log_that_can_not_be_read_is_not_passed_over(sealed: Path) -> None:
    sealed.with_name("library.db-wal").write_bytes(b"more")
    seal(sealed)
    database = Database(sealed, read_only=True)
    with pytest.raises(LibraryError, match="make its folder readable and writable"):
        Catalog(database).roots()
    database.close()


def test_a_mistake_in_the_code_is_not_blamed_on_the_library(shelf: Shelf) -> None:
    with pytest.raises(sqlite3.OperationalError), shelf.database.read() as connection:
        connection.execute("SELECT nothing FROM nowhere")


def test_the_version_changes_with_every_commit_and_with_nothing_else(file: Path) -> None:
    database, other = Database(file), Database(file)
    catalog, reader = Catalog(database), Catalog(other)
    versions = [reader.version()]
    for writer, root in ((catalog, "/a"), (reader, "/b")):
        writer.add_root(root)
        versions.append(reader.version())
        assert reader.roots()
        assert reader.version() == versions[-1]
    assert len(set(versions)) == 3
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(reader.version).result() == versions[-1]
    database.close()
    other.close()
    with pytest.raises(LibraryError, match="closed"):
        reader.version()


def test_the_version_of_a_library_that_is_not_there_changes_when_it_comes(file: Path) -> None:
    database, other = Database(file), Database(file)
    before = database.version()
    assert database.version() == before
    assert not file.exists()
    Catalog(other).add_root("/a")
    assert database.version() != before
    database.close()
    other.close()


def test_what_is_written_after_the_file_was_replaced_is_in_the_new_file(tmp_path: Path) -> None:
    old, new = Database(tmp_path / "library.db"), Database(tmp_path / "new.db")
    Catalog(old).add_root("/before")
    Catalog(new).add_root("/recovered")
    version = old.version()
    new.close()
    for side in ("-wal", "-shm"):
        (tmp_path / f"library.db{side}").unlink(missing_ok=True)
    (tmp_path / "new.db").replace(tmp_path / "library.db")
    Catalog(old).add_root("/after")
    assert Catalog(old).roots() == ["/after", "/recovered"]
    assert Catalog(Database(tmp_path / "library.db")).roots() == ["/after", "/recovered"]
    Catalog(Database(tmp_path / "library.db")).add_root("/later")
    assert old.version() != version
    assert "/later" in Catalog(old).roots()
    old.close()
