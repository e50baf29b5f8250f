"""``doctor``: what is wrong is said with its mend, whatever the library is like."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest
from filelock import FileLock
from PIL import Image

from mcp_vlsearch.core.health import content, database, doctor, environment, folder
from mcp_vlsearch.core.health.check import Check
from tests.cli.conftest import Run

Examine = Callable[..., dict[str, Check]]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without clients."""
    folder = tmp_path / "home"
    folder.mkdir()
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(folder))
    for variable in ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "XDG_CONFIG_HOME", "OMP_NUM_THREADS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def library() -> Path:
    return Path(os.environ["MCP_VLSEARCH_LIBRARY"])


@pytest.fixture
def examine(run: Run) -> Examine:
    """Run ``doctor`` and return its checks by name; its code fits them."""

    def checks(*arguments: str) -> dict[str, Check]:
        result = run("doctor", "--json", *arguments)
        found = [Check.model_validate(each) for each in json.loads(result.out)["checks"]]
        assert result.code == int(any(check.state == "error" for check in found)), result.err
        assert all(check.mend for check in found if check.state != "ok")
        return {check.name: check for check in found}

    return checks


def states(checks: dict[str, Check]) -> dict[str, str]:
    return {name: check.state for name, check in checks.items() if check.state != "ok"}


@pytest.mark.usefixtures("indexed")
def test_of_a_library_that_is_well_every_line_is_ok(examine: Examine, run: Run) -> None:
    checks = examine("--encoder", "colours")
    assert states(checks) == {}
    assert {"packages", "disk", "library", "database", "schema", "lock", "leftovers"} <= set(checks)
    assert {"roots", "failures", "index", "clients", "model", "encoder"} <= checks.keys()
    assert {"python", "threads", "memory", "extras", "log", "settings", "files"} <= checks.keys()
    assert "4 more are read" in checks["index"].message
    lines = run("doctor").out.splitlines()
    assert all(line.startswith("ok ") for line in lines)


def test_where_there_is_no_library_it_says_how_to_make_one_and_makes_none(
    examine: Examine, library: Path
) -> None:
    check = examine("--quick")["library"]
    assert check.state == "warning"
    assert "mcp-vlsearch index FOLDER" in check.mend
    assert not library.exists()


def test_a_file_in_place_of_the_library_is_told(examine: Examine, library: Path) -> None:
    library.write_text("a file")
    found = examine("--quick")
    assert "settings" in found or found["library"].state == "error"


@pytest.mark.usefixtures("indexed")
def test_a_database_of_garbage_is_told_and_kept_beside_a_new_one(
    examine: Examine, library: Path
) -> None:
    for name in ("library.db-wal", "library.db-shm"):
        (library / name).unlink(missing_ok=True)
    garbage = b"garbage " * 1000
    (library / "library.db").write_bytes(garbage)
    check = examine("--quick")["database"]
    assert (check.state, check.can_fix) == ("error", True)
    assert (library / "library.db").read_bytes() == garbage
    assert examine("--fix", "--quick")["database"].state == "ok"
    [kept] = library.glob("library.db.damaged-*")
    assert kept.read_bytes() == garbage


@pytest.mark.usefixtures("indexed")
def test_a_damaged_page_of_the_database_is_found(examine: Examine, library: Path) -> None:
    file = library / "library.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        root = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'files'"
        ).fetchone()[0]
    assert root <= pages
    with file.open("r+b") as stream:
        stream.seek((root - 1) * 4096)
        stream.write(b"\xff" * 4096)
    assert examine("--quick")["database"].state == "error"


@pytest.mark.usefixtures("indexed")
def test_a_library_of_a_newer_version_is_told(examine: Examine, library: Path) -> None:
    with closing(sqlite3.connect(library / "library.db")) as connection:
        [table] = connection.execute(
            "SELECT name FROM sqlite_schema WHERE name LIKE '%migrations%' AND type = 'table'"
        ).fetchone()
        connection.execute(
            f"INSERT INTO {table} (migration_set, name, applied_at) VALUES (?, ?, ?)",
            ("mcp-vlsearch", "from_the_future", "2100-01-01"),
        )
        connection.commit()
    check = examine("--quick")["schema"]
    assert check.state == "error"
    assert check.mend.startswith("pip install --upgrade")


@pytest.mark.usefixtures("indexed")
def test_a_locked_database_is_told_after_a_moment(
    examine: Examine, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_PATIENCE", 0.05)
    with closing(sqlite3.connect(library / "library.db", isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        check = examine("--quick")["database"]
        assert (check.state, check.mend) == ("warning", "try again when it is done")


@pytest.mark.usefixtures("indexed")
def test_a_writer_at_work_is_named_and_nothing_is_mended_meanwhile(
    examine: Examine, run: Run, library: Path
) -> None:
    left = library / f"config.toml.{'0' * 16}"
    left.write_text("half")
    os.utime(left, (0, 0))
    with FileLock(library / "writer.lock"):
        assert "is writing" in examine("--quick")["lock"].message
        assert "try again when it is done" in run("doctor", "--quick", "--fix").err
    assert left.exists()


@pytest.mark.usefixtures("indexed")
def test_what_dead_processes_left_is_deleted_and_nothing_else(
    examine: Examine, library: Path
) -> None:
    old = [library / f"config.toml.{'0' * 16}", library / "index" / "x" / "unfinished-1"]
    old[1].mkdir(parents=True)
    old[0].write_text("half")
    for path in old:
        os.utime(path, (0, 0))
    young = library / f"config.toml.{'1' * 16}"
    young.write_text("being written")
    (library / "writer.json").write_text("{}")
    before = examine("--quick")
    assert states(before) == {"leftovers": "warning", "lock": "warning"}
    assert states(examine("--quick", "--fix")) == {}
    assert not any(path.exists() for path in (*old, library / "writer.json"))
    assert young.exists()
    assert (library / "config.toml").exists()


def test_a_root_that_is_gone_and_files_that_failed_are_told(
    examine: Examine, run: Run, pictures: Path
) -> None:
    (pictures / "broken.png").write_bytes(b"no picture")
    run("index", pictures, "--encoder", "colours")
    check = examine("--quick")["failures"]
    assert check.state == "warning"
    assert "broken.png" in check.message
    shutil.rmtree(pictures)
    assert states(examine("--quick"))["roots"] == "warning"


@pytest.fixture
def stored(indexed: Path, library: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> Path:
    """The folder of an index that was stored, though the library is small."""
    from mcp_vlsearch.indexes.faiss import index

    monkeypatch.setattr(index, "_LEAST_TAIL", 2)
    (indexed / "copy").mkdir()
    shutil.copy(indexed / "red.png", indexed / "copy" / "red.png")
    assert run("index", indexed).code == 0
    [base] = (library / "index").glob("*/gen-*")
    return base


def test_a_stored_index_that_is_whole_is_ok(examine: Examine, stored: Path) -> None:
    assert "4 vectors stored" in examine("--encoder", "colours")["index"].message
    assert stored.exists()


@pytest.mark.parametrize("name", ["base.json", "vectors.faiss", "seqs.npy"])
def test_a_damaged_index_is_found_left_alone_and_made_again_by_fix(
    name: str, examine: Examine, run: Run, stored: Path
) -> None:
    content = bytearray((stored / name).read_bytes())
    content[-1] ^= 0xFF
    (stored / name).write_bytes(content)
    assert states(examine("--quick")) == {"index": "error"}
    assert stored.exists(), "looking changes nothing"
    result = run("doctor", "--fix", "--json")
    assert result.code == 0, result.out
    assert "made again from 4 vectors" in json.loads(result.out)["fixed"][0]
    assert "4 vectors stored" in examine("--quick")["index"].message
    assert "red.png" in run("search", "red", "-k", "1").out


@pytest.mark.usefixtures("indexed")
def test_missing_packages_are_told_with_the_line_that_installs_them(
    examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = find_spec
    monkeypatch.setattr(
        environment, "find_spec", lambda name: None if name == "faiss" else there(name)
    )
    packages = examine("--quick")["packages"]
    assert packages.state == "error"
    assert packages.mend == "pip install 'mcp-vlsearch[cpu]'"


def test_a_wrong_setting_is_told_as_a_check(examine: Examine, library: Path) -> None:
    library.mkdir()
    (library / "config.toml").write_text("precision = 'fp7'")
    check = examine("--quick")["settings"]
    assert check.state == "error"
    assert "config.toml" in check.message


def test_a_model_that_is_not_here_is_told_without_network(
    examine: Examine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    check = examine("--model", "owner/name")["model"]
    assert check.state == "warning"
    folder = tmp_path / "hub" / "models--owner--name" / "snapshots" / "1"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    index = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "one.safetensors").write_bytes(b"")
    part = examine("--quick", "--model", "owner/name")["model"]
    assert "only in part" in part.message
    (folder / "two.safetensors").write_bytes(b"")
    assert examine("--quick", "--model", "owner/name")["model"].state == "ok"


def test_clients_that_start_what_is_not_there_or_another_library_are_told(
    examine: Examine, run: Run, home: Path, library: Path
) -> None:
    assert run("install", "cursor", "--yes").code == 0
    library.mkdir()
    assert examine("--quick")["cursor"].state == "ok"
    file = home / ".cursor" / "mcp.json"
    text = file.read_text()
    file.write_text(text.replace(os.environ["MCP_VLSEARCH_LIBRARY"], "/other"))
    other = examine("--quick")["cursor"]
    assert (other.state, "/other" in other.message) == ("warning", True)
    file.write_text(text.replace(sys.executable, "/nowhere/python"))
    gone = examine("--quick")["cursor"]
    assert gone.state == "error"
    assert "mcp-vlsearch install cursor" in gone.mend


@pytest.mark.usefixtures("indexed")
def test_a_read_only_library_is_examined_and_nothing_in_it_changes(
    run: Run, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (library / "writer.json").write_text("{}")
    before = {path: path.stat().st_mtime_ns for path in library.rglob("*") if path.is_file()}
    monkeypatch.setenv("MCP_VLSEARCH_READ_ONLY", "true")
    result = run("doctor", "--json", "--fix", "--quick")
    assert json.loads(result.out)["fixed"] == []
    after = {path: path.stat().st_mtime_ns for path in before}
    assert after == before


def test_a_quick_look_imports_no_torch() -> None:
    script = (
        "import sys; from mcp_vlsearch.cli import run; run(['doctor', '--quick']);"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("indexed")
def test_an_index_of_the_database_that_lacks_rows_is_made_again(
    examine: Examine, library: Path
) -> None:
    whole = "CREATE INDEX files_image ON files (image_id)"
    with closing(sqlite3.connect(library / "library.db", isolation_level=None)) as connection:
        connection.execute("DROP INDEX files_image")
        connection.execute(f"{whole} WHERE image_id = 'nothing'")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'files_image'", (whole,))
    check = examine()["database"]
    assert check.state == "error"
    assert check.can_fix
    result = examine("--fix")["database"]
    assert result.state == "ok"


@pytest.mark.usefixtures("indexed")
def test_rows_that_refer_to_nothing_are_found(examine: Examine, library: Path) -> None:
    with closing(sqlite3.connect(library / "library.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("UPDATE entries SET image_id = 'nothing' WHERE seq = 1")
    check = examine("--quick")["database"]
    assert check.state == "error"
    assert "refer to nothing" in check.message
    assert examine("--quick", "--fix")["database"].state == "ok"


@pytest.mark.usefixtures("indexed")
def test_a_large_database_is_looked_through_only_where_there_is_time(
    examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_LARGE", 0)
    assert "not looked through" in examine("--quick")["database"].message
    assert "whole" in examine()["database"].message


def test_files_that_are_gone_are_forgotten_by_fix_and_their_vectors_stay(
    examine: Examine, indexed: Path, library: Path
) -> None:
    def vectors() -> int:
        with closing(sqlite3.connect(library / "library.db")) as connection:
            return int(connection.execute("SELECT COUNT(*) FROM embeddings").fetchone()[0])

    before = vectors()
    (indexed / "red.png").unlink()
    check = examine()["files"]
    assert (check.state, "red.png" in check.message) == ("warning", True)
    assert states(examine("--fix")) == {}
    assert vectors() == before == 4


def test_a_root_that_is_unmounted_loses_nothing_by_fix(
    examine: Examine, run: Run, indexed: Path
) -> None:
    away = indexed.rename(indexed.with_name("away"))
    indexed.mkdir()
    assert states(examine("--fix")) == {"roots": "warning"}
    indexed.rmdir()
    assert states(examine("--fix")) == {"roots": "warning"}
    away.rename(indexed)
    assert states(examine()) == {}
    assert json.loads(run("status", "--json").out)["images"] == 4


def test_files_that_are_new_are_told(examine: Examine, indexed: Path) -> None:
    shutil.copy(indexed / "red.png", indexed / "new.png")
    check = examine()["files"]
    assert "1 files are new or changed" in check.message
    assert check.mend == "mcp-vlsearch index"


def test_a_root_that_can_not_be_read_is_told(
    examine: Examine, indexed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, how: path != str(indexed) and access(path, how))
    assert "can't be read" in examine("--quick")["roots"].message


@pytest.mark.usefixtures("indexed")
def test_settings_of_which_no_picture_has_a_vector_are_told(examine: Examine) -> None:
    check = examine("--quick", "--encoder", "qwen3-vl", "--model", "storybook")["settings"]
    assert check.state == "warning"
    assert "4 have one of colours" in check.message


def test_an_index_of_other_vectors_is_told(examine: Examine, stored: Path, library: Path) -> None:
    with closing(sqlite3.connect(library / "library.db", isolation_level=None)) as connection:
        rows = connection.execute("SELECT rowid, vector FROM embeddings ORDER BY rowid").fetchall()
        vectors = [vector for _, vector in rows]
        for (row, _), other in zip(rows, [*vectors[1:], vectors[0]], strict=True):
            connection.execute("UPDATE embeddings SET vector = ? WHERE rowid = ?", (other, row))
    assert stored.exists()
    check = examine("--quick")["index"]
    assert (check.state, check.can_fix) == ("error", True)
    assert "other vectors" in check.message
    assert "index" not in states(examine("--quick", "--fix"))


@pytest.mark.usefixtures("stored")
def test_an_index_that_lacks_much_is_told(
    examine: Examine, run: Run, indexed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mcp_vlsearch.indexes.faiss import index

    monkeypatch.setattr(content, "_MANY", 0)
    monkeypatch.setattr(index, "_LEAST_TAIL", 10)
    for position in range(3):
        Image.new("RGB", (60, 60), (position, 9, 9)).save(indexed / f"{position}.png")
    assert run("index").code == 0
    assert "3 more must be read" in examine("--quick")["index"].message


@pytest.mark.usefixtures("indexed")
def test_a_long_log_is_written_into_the_database_by_fix(
    examine: Examine, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(library / "library.db", isolation_level=None)) as writer:
        writer.execute("CREATE TABLE scratch (x)")
        writer.execute("DROP TABLE scratch")
        log = library / "library.db-wal"
        assert log.stat().st_size > 0
        monkeypatch.setattr(folder, "_LONG", 1)
        assert states(examine("--quick")) == {"log": "warning"}
        assert states(examine("--quick", "--fix")) == {}
        assert log.stat().st_size == 0


@pytest.mark.parametrize(("free", "state"), [(10 * 2**20, "error"), (500 * 2**20, "warning")])
def test_a_full_disk_is_told(
    free: int, state: str, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=free))
    assert examine("--quick")["disk"].state == state


def test_a_download_for_which_there_is_no_room_is_an_error(
    examine: Examine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=int(5e9)))
    check = examine("--quick")["model"]
    assert (check.state, "about 4.3 GB" in check.message) == ("warning", True)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=int(4e9)))
    check = examine("--quick")["model"]
    assert (check.state, "HF_HOME" in check.mend) == ("error", True)


def test_a_variable_that_keeps_the_encoder_from_the_cores_is_told(
    examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert "1 of its 8 cores" in examine("--quick")["threads"].message


@pytest.mark.usefixtures("indexed")
def test_a_check_that_breaks_is_a_line_and_the_others_go_on(
    examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> Check:
        raise RuntimeError("no such thing")

    for module, name in ((environment, "python"), (content, "roots"), (doctor, "clients")):
        monkeypatch.setattr(module, name, broken)
    checks = examine("--quick")
    assert states(checks) == {"python": "error", "roots": "error", "clients": "error"}
    assert checks["roots"].message == "RuntimeError: no such thing"


def test_a_client_whose_library_is_not_there_is_told(
    examine: Examine, run: Run, library: Path
) -> None:
    assert run("install", "cursor", "--yes").code == 0
    check = examine("--quick")["cursor"]
    assert (check.state, check.mend) == (
        "warning",
        f"mcp-vlsearch index FOLDER --library {library}",
    )
