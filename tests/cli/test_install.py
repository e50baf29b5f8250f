"""``install``: a client is told of the server, and nothing else of its configuration changes."""

import json
import os
import stat
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from mcp_vlsearch.clients.changing import installed
from mcp_vlsearch.clients.table import CLIENTS, Place, client_named
from mcp_vlsearch.errors import ClientError
from tests.cli.conftest import Run

NAMES = [client.name for client in CLIENTS]
SECRET = "sk-very-secret"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of the test's own, in which a project is worked on."""
    folder = tmp_path / "home"
    (folder / "project").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    for variable in ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "XDG_CONFIG_HOME", "UV"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(folder / "project")
    return folder


def servers(name: str, file: Path | None = None) -> dict[str, Any]:
    """Return the servers that a client's file names."""
    client = client_named(name)
    text = (file or client.file("user", Place.here())).read_text("utf-8")
    parsed = tomllib.loads(text) if client.form == "toml" else json.loads(text)
    found: dict[str, Any] = parsed[client.key]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_client_is_told_of_the_server_and_a_second_time_nothing_changes(
    name: str, run: Run, pictures: Path
) -> None:
    assert run("install", name, "--root", pictures, "--yes").code == 0
    entry = servers(name)["pictures"]
    library = os.environ["MCP_VLSEARCH_LIBRARY"]
    assert entry["command"] == sys.executable
    assert entry["args"] == [
        *("-m", "mcp_vlsearch", "serve", "--root", str(pictures), "--library", library)
    ]
    file = client_named(name).file("user", Place.here())
    before = file.stat().st_mtime_ns
    again = run("install", name, "--root", pictures, "--yes")
    assert again.code == 0
    assert "is there already" in again.err
    assert file.stat().st_mtime_ns == before
    assert [path.name for path in file.parent.glob(f"{file.name}*")] == [file.name]


@pytest.mark.parametrize("name", NAMES)
def test_print_prints_a_whole_configuration_and_writes_nothing(
    name: str, run: Run, home: Path
) -> None:
    printed = run("install", name, "--print", "--uvx").out
    client = client_named(name)
    parsed = tomllib.loads(printed) if client.form == "toml" else json.loads(printed)
    assert parsed[client.key]["pictures"]["command"] == "uvx"
    assert [path.name for path in home.iterdir()] == ["project"]


@pytest.mark.parametrize("name", [n for n in NAMES if n != "claude-desktop"])
def test_a_projects_configuration_is_in_its_folder(name: str, run: Run, home: Path) -> None:
    assert run("install", name, "--scope", "project", "--yes").code == 0
    project = client_named(name).project
    assert project is not None
    assert "pictures" in servers(name, home / "project" / project)


def test_other_servers_stay_a_copy_is_made_and_permissions_are_kept(run: Run, home: Path) -> None:
    file = home / ".cursor" / "mcp.json"
    file.parent.mkdir()
    other = {"command": "npx", "env": {"KEY": SECRET}}
    text = json.dumps({"mcpServers": {"other": other}})
    file.write_text(text)
    file.chmod(0o640)
    result = run("install", "cursor", "--yes")
    assert result.code == 0
    assert SECRET not in result.out + result.err
    assert servers("cursor")["other"] == other
    [copy] = file.parent.glob("mcp.json.*.bak")
    assert copy.read_text() == text
    assert {stat.S_IMODE(path.stat().st_mode) for path in (file, copy)} == {0o640}
    assert len(list(file.parent.iterdir())) == 2, "nothing else is left"


def test_of_the_copies_the_first_and_the_latest_five_stay(run: Run, home: Path) -> None:
    folder = home / ".cursor"
    folder.mkdir()
    (folder / "mcp.json").write_text('{"mcpServers": {}}')
    when = "20250101-000000-000000"
    others = ["mcp.json.1.bak", f"mcp.json.{when}x.bak", f"a.mcp.json.{when}.bak"]
    old = [f"mcp.json.2025010{day}-000000-000000.bak" for day in range(1, 9)]
    for name in (*others, *old):
        (folder / name).write_text("{}")
    assert run("install", "cursor", "--yes").code == 0
    [made] = {path.name for path in folder.glob("*.bak")} - {*others, *old}
    kept = {*others, made, old[0], *old[-4:]}
    assert {path.name for path in folder.glob("*.bak")} == kept


def test_what_the_user_has_added_to_the_server_stays_and_its_secrets_are_not_shown(
    run: Run, home: Path
) -> None:
    file = home / ".codex" / "config.toml"
    file.parent.mkdir()
    file.write_text(
        '# mine\n[mcp_servers.pictures]\ncommand = "old"\nstartup_timeout_sec = 30  # slow disk\n'
        f'[mcp_servers.pictures.env]\nMCP_VLSEARCH_ENCODER_TOKEN = "{SECRET}"\n'
    )
    result = run("install", "codex", "--yes")
    assert SECRET not in result.out + result.err
    assert '-command = "old"' in result.err
    entry = servers("codex")["pictures"]
    assert entry["env"] == {"MCP_VLSEARCH_ENCODER_TOKEN": SECRET}
    assert entry["startup_timeout_sec"] == 30
    assert "# slow disk" in file.read_text()


def test_a_server_over_http_of_that_name_becomes_one_over_stdio(run: Run, home: Path) -> None:
    file = home / ".cursor" / "mcp.json"
    file.parent.mkdir()
    entry = {"type": "http", "url": "http://x/mcp", "headers": {"Authorization": SECRET}}
    file.write_text(json.dumps({"mcpServers": {"pictures": entry}}))
    result = run("install", "cursor", "--yes")
    assert SECRET not in result.out + result.err
    assert servers("cursor")["pictures"].keys() == {"command", "args"}


def test_a_configuration_that_is_a_link_stays_one(run: Run, home: Path) -> None:
    real = home / "dotfiles.json"
    real.write_text("{}")
    (home / ".claude.json").symlink_to(real)
    assert run("install", "claude-code", "--yes").code == 0
    assert (home / ".claude.json").is_symlink()
    assert "pictures" in servers("claude-code", real)


@pytest.mark.parametrize(
    "text", ['{\n  // mine\n  "servers": {},\n}', '{"servers": []}', "[]", '{"a": 1, "a": 2}']
)
def test_what_can_not_be_changed_without_harm_stays_and_the_user_is_told_what_to_add(
    text: str, run: Run, home: Path
) -> None:
    file = home / "project" / ".vscode" / "mcp.json"
    file.parent.mkdir()
    file.write_text(text)
    result = run("install", "vscode", "--scope", "project", "--yes")
    assert result.code == 1
    assert (
        'change it by hand, add to "servers": "pictures": {"type": "stdio", "command"' in result.err
    )
    assert file.read_text() == text
    assert len(list(file.parent.iterdir())) == 1


def test_no_writes_nothing(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    result = run("install", "cursor")
    assert result.code == 1
    assert "nothing was written" in result.err
    assert not (home / ".cursor").exists()


def test_without_a_terminal_yes_must_be_given(run: Run, home: Path) -> None:
    result = run("install", "cursor")
    assert result.code == 2
    assert "--yes" in result.err
    assert not (home / ".cursor").exists()


def test_the_server_is_taken_out_again(run: Run, home: Path) -> None:
    file = home / ".cursor" / "mcp.json"
    file.parent.mkdir()
    file.write_text('{"mcpServers": {"other": {}}}')
    run("install", "cursor", "--yes")
    out = run("install", "cursor", "--uninstall", "--yes")
    assert out.code == 0
    assert "now " not in out.err
    assert "--root" not in out.err, "what a new server lacks is not told of one that goes"
    assert file.read_text() == '{"mcpServers": {"other": {}}}'
    again = run("install", "cursor", "--uninstall", "--yes")
    assert again.code == 0
    assert "is not there" in again.err


def test_a_file_that_changes_while_the_user_thinks_is_not_overwritten(home: Path) -> None:
    client, file = client_named("cursor"), home / "mcp.json"
    file.write_text("{}")
    change = installed(client, file, "pictures", {"command": "x"})
    file.write_text('{"new": 1}')
    with pytest.raises(ClientError, match="run it again"):
        change.write()
    assert file.read_text() == '{"new": 1}'


def test_settings_that_were_given_go_along_but_no_secrets(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MCP_VLSEARCH_PRECISION", "bf16")
    monkeypatch.setenv("MCP_VLSEARCH_ROOTS", str(tmp_path))
    monkeypatch.setenv("MCP_VLSEARCH_TOKEN", SECRET)
    result = run("install", "cursor", "--print", "--model", "storybook", "--read-only")
    arguments = json.loads(result.out)["mcpServers"]["pictures"]["args"]
    assert arguments[arguments.index("serve") + 1 :] == [
        *("--root", str(tmp_path)),
        *("--library", os.environ["MCP_VLSEARCH_LIBRARY"]),
        *("--model", "storybook", "--precision", "bf16", "--read-only"),
    ]
    assert SECRET not in result.out + result.err
    assert "MCP_VLSEARCH_TOKEN" in result.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["emacs"], 1, "give one of claude-desktop"),
        (["cursor", "--scope", "all"], 2, "give user or project"),
        (["cursor", "--name", " "], 2, "give what the client is to call the server"),
        (["claude-desktop", "--scope", "project"], 1, "leave --scope out"),
        (["cursor", "--root", "/nowhere"], 2, "give a folder that does"),
    ],
)
def test_what_can_not_be_is_told(arguments: list[str], code: int, said: str, run: Run) -> None:
    result = run("install", *arguments, "--yes")
    assert result.code == code
    assert said in result.err


def test_json_says_what_was_done(run: Run, home: Path) -> None:
    result = run("install", "cursor", "--yes", "--json", "--name", "photos")
    assert json.loads(result.out) == {
        "client": "cursor",
        "name": "photos",
        "file": str(home / ".cursor" / "mcp.json"),
        "written": True,
        "installed": True,
        "backup": None,
    }
