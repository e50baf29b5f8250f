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

from mcp_vlsearch.core.health import environment
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
    for variable in ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "XDG_CONFIG_HOME"):
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
def test_a_database_of_garbage_is_told_and_left_as_it_is(examine: Examine, library: Path) -> None:
    for name in ("library.db-wal", "library.db-shm"):
        (library / name).unlink(missing_ok=True)
    (library / "library.db").write_bytes(b"garbage " * 1000)
    check = examine("--quick")["database"]
    assert check.state == "error"
    assert "away" in check.mend
    examine("--fix", "--quick")
    assert (library / "library.db").read_bytes() == b"garbage " * 1000


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
    from mcp_vlsearch.core.health import database

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
    examine: Examine, run: Run, home: Path
) -> None:
    assert run("install", "cursor", "--yes").code == 0
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
