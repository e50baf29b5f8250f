"""Each client's files are where it looks for them, on each system."""

from pathlib import Path

import pytest

from mcp_vlsearch.clients.launching import PUBLISHED, is_ours, launched, library_of
from mcp_vlsearch.clients.table import CLIENTS, Place, client_named
from mcp_vlsearch.errors import ClientError

HOME, PROJECT = Path("/home/me"), Path("/home/me/code")

FILES = {
    # name: Linux, macOS, Windows below the home folder; in a project
    "claude-desktop": (
        ".config/Claude/claude_desktop_config.json",
        "Library/Application Support/Claude/claude_desktop_config.json",
        "AppData/Roaming/Claude/claude_desktop_config.json",
        None,
    ),
    "claude-code": (".claude.json", ".claude.json", ".claude.json", ".mcp.json"),
    "cursor": (".cursor/mcp.json", ".cursor/mcp.json", ".cursor/mcp.json", ".cursor/mcp.json"),
    "vscode": (
        ".config/Code/User/mcp.json",
        "Library/Application Support/Code/User/mcp.json",
        "AppData/Roaming/Code/User/mcp.json",
        ".vscode/mcp.json",
    ),
    "codex": (
        ".codex/config.toml",
        ".codex/config.toml",
        ".codex/config.toml",
        ".codex/config.toml",
    ),
    "gemini-cli": (
        ".gemini/settings.json",
        ".gemini/settings.json",
        ".gemini/settings.json",
        ".gemini/settings.json",
    ),
}


@pytest.mark.parametrize("name", [client.name for client in CLIENTS])
def test_the_files_of_a_client_are_where_it_looks(name: str) -> None:
    client, (*user, project) = client_named(name), FILES[name]
    for platform, file in zip(("linux", "darwin", "win32"), user, strict=True):
        assert client.file("user", Place(HOME, PROJECT, platform, {})) == HOME / str(file)
    if project is not None:
        assert client.file("project", Place(HOME, PROJECT, "linux", {})) == PROJECT / project


def test_a_client_without_files_in_projects_says_so() -> None:
    with pytest.raises(ClientError, match="leave --scope out"):
        client_named("claude-desktop").file("project", Place(HOME, PROJECT, "linux", {}))


def test_an_unknown_client_is_told_all_names() -> None:
    with pytest.raises(ClientError, match="claude-desktop, claude-code, cursor, vscode, codex"):
        client_named("emacs")


@pytest.mark.parametrize(
    ("name", "variable", "file"),
    [
        ("claude-code", "CLAUDE_CONFIG_DIR", "/there/.claude.json"),
        ("codex", "CODEX_HOME", "/there/config.toml"),
        ("vscode", "XDG_CONFIG_HOME", "/there/Code/User/mcp.json"),
    ],
)
def test_variables_that_clients_follow_are_followed(name: str, variable: str, file: str) -> None:
    place = Place(HOME, PROJECT, "linux", {variable: "/there"})
    assert client_named(name).file("user", place) == Path(file)


def test_on_windows_a_packaged_claude_desktop_reads_what_its_package_writes(tmp_path: Path) -> None:
    folder = tmp_path / "Packages" / "Claude_abc" / "LocalCache" / "Roaming"
    folder.mkdir(parents=True)
    place = Place(HOME, PROJECT, "win32", {"LOCALAPPDATA": str(tmp_path)})
    file = client_named("claude-desktop").file("user", place)
    assert file == folder / "Claude" / "claude_desktop_config.json"


def test_the_program_that_runs_is_started_by_its_full_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "mcp-vlsearch"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert launched(str(program), {}) == (str(program),)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert launched("mcp-vlsearch", {}) == (str(program),)
    monkeypatch.chdir(tmp_path)
    assert launched("./mcp-vlsearch", {}) == (str(program),)


def test_a_module_is_started_by_its_python() -> None:
    command = launched("/site/mcp_vlsearch/__main__.py", {})
    assert command[1:] == ("-m", "mcp_vlsearch")
    assert Path(command[0]).is_absolute()


def test_what_uvx_has_made_for_one_run_is_started_by_uvx() -> None:
    prefix = "/home/me/.cache/uv/archive-v0/Xy"
    command = launched(f"{prefix}/bin/mcp-vlsearch", {"UV": "/usr/bin/uv"}, prefix)
    assert command == ("/usr/bin/uvx", *PUBLISHED[1:])


@pytest.mark.parametrize(
    ("command", "arguments", "expected"),
    [
        ("mcp-vlsearch", ["serve"], True),
        (r"C:\venv\Scripts\mcp-vlsearch.exe", ["serve"], True),
        ("/usr/bin/python", ["-m", "mcp_vlsearch", "serve"], True),
        ("uvx", [*PUBLISHED[1:], "serve"], True),
        ("npx", ["-y", "server"], False),
        ("mcp-vlsearch", ["encoder"], False),
    ],
)
def test_our_servers_are_told_from_others(
    command: str, arguments: list[str], expected: bool
) -> None:
    assert is_ours({"command": command, "args": arguments}) is expected


def test_the_library_of_a_server_is_read_from_its_arguments_or_variables() -> None:
    assert library_of({"args": ["serve", "--library", "/a"]}) == "/a"
    assert library_of({"args": ["serve", "--library=/b"]}) == "/b"
    assert library_of({"env": {"MCP_VLSEARCH_LIBRARY": "/c"}}) == "/c"
    assert library_of({"args": ["serve"]}) is None
