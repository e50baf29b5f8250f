"""``install``: tells a client of the server, in the client's own configuration."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mcp_vlsearch.cli.frame import UsageError, note, print_json, settings_from
from mcp_vlsearch.cli.options import SETTINGS, WithJson, given_path, only, takes
from mcp_vlsearch.errors import SettingsError

if TYPE_CHECKING:
    from mcp_vlsearch.clients.changing import Change
    from mcp_vlsearch.clients.table import Scope
    from mcp_vlsearch.settings import Settings

__all__ = ["install", "server_arguments"]

_SECRET: Final = ("encoder_token", "milvus_token", "rewrite_token", "token")
"""Settings that are never written into a file that other programs read and share."""
_TOLD: Final = tuple(name for name in SETTINGS if name not in _SECRET)
_PREFIX: Final = "MCP_VLSEARCH_"


@takes(flags=only(*_TOLD))
def install(
    client: Annotated[
        str,
        typer.Argument(
            help="claude-desktop, claude-code, cursor, vscode, codex or gemini-cli.",
            metavar="CLIENT",
        ),
    ],
    *,
    root: Annotated[
        list[Path] | None,
        typer.Option(
            help="Allow the server a folder, besides the library's own; once per folder.",
            metavar="DIR",
            parser=given_path,
        ),
    ] = None,
    scope: Annotated[
        str, typer.Option(help="Whose configuration: user, or project for this folder's.")
    ] = "user",
    name: Annotated[str, typer.Option(help="What the client calls the server.")] = "pictures",
    uvx: Annotated[
        bool, typer.Option("--uvx", help="Let uvx fetch and run it, not what is installed here.")
    ] = False,
    uninstall: Annotated[
        bool, typer.Option("--uninstall", help="Take the server out again.")
    ] = False,
    only_print: Annotated[
        bool, typer.Option("--print", help="Only print what would be added.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    json: WithJson = False,
    flags: dict[str, Any],
) -> int:
    """Tell a client of this server, in its configuration; shows the change and asks first."""
    from mcp_vlsearch.clients.changing import installed, removed, snippet
    from mcp_vlsearch.clients.launching import PUBLISHED, launched
    from mcp_vlsearch.clients.table import Place, client_named

    if not name.strip():
        raise UsageError("--name is empty: give what the client is to call the server")
    chosen = client_named(client)
    command, *words = PUBLISHED if uvx else launched(sys.argv[0])
    arguments = server_arguments(flags, root or (), is_new=not uninstall)
    entry = chosen.entry(command, [*words, *arguments])
    if only_print:
        typer.echo(snippet(chosen, name, entry), nl=False)
        return 0
    file = chosen.file(_scope(scope), Place.here())
    change = removed(chosen, file, name) if uninstall else installed(chosen, file, name, entry)
    return _carry_out(change, yes=yes, json=json)


def server_arguments(
    flags: Mapping[str, Any],
    roots: Sequence[Path],
    environment: Mapping[str, str] = os.environ,
    *,
    is_new: bool = True,
) -> list[str]:
    """Return the arguments that give a server the settings of this command and its environment.

    Of a new one is told what it lacks. Paths are absolute: a client may start the server anywhere.
    Raises :class:`SettingsError`.
    """
    from mcp_vlsearch.settings import absolute

    settings = settings_from(flags, environment)
    every = [*roots, *(settings.roots if environment.get(f"{_PREFIX}ROOTS") else ())]
    arguments = ["serve"]
    for root in every:
        folder = absolute(root)
        if not folder.exists():
            raise SettingsError(f"the root {folder} does not exist: give a folder that does")
        arguments += ["--root", str(folder)]
    for setting in _TOLD:
        if flags.get(setting) is not None or environment.get(_PREFIX + setting.upper()):
            arguments += _as_flag(setting, getattr(settings, setting))
    if is_new:
        _tell_what_is_missing(settings, every, environment)
    return arguments


def _as_flag(setting: str, value: object) -> list[str]:
    flag = setting.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    return [f"--{flag}", str(value)]


def _tell_what_is_missing(
    settings: "Settings", roots: Sequence[Path], environment: Mapping[str, str]
) -> None:
    for setting in _SECRET:
        if environment.get(variable := _PREFIX + setting.upper()):
            note(f"{variable} is secret and not written: set it where the client is started")
    if not roots and not (settings.library / "library.db").exists():
        note("the server may read no folder yet: give --root, or run `mcp-vlsearch index FOLDER`")


def _scope(name: str) -> "Scope":
    if name == "user":
        return "user"
    if name == "project":
        return "project"
    raise UsageError(f"--scope: there is no {name!r}; give user or project")


def _carry_out(change: "Change", *, yes: bool, json: bool) -> int:
    """Ask, write, and say what was done."""
    if change.is_none:
        state = "is there already" if change.entry_after else "is not there"
        note(f"{change.name} {state}: {change.file}")
        return _told(change, json, is_written=False)
    note(change.diff())
    if not (yes or _is_wanted(change)):
        note("nothing was written")
        return 1
    backup = change.write()
    note(f"written: {change.file}" + (f" (before: {backup})" if backup else ""))
    if change.entry_after:
        note(f"now {change.client.after}")
    return _told(change, json, is_written=True, backup=backup)


def _is_wanted(change: "Change") -> bool:
    if not sys.stdin.isatty():
        raise UsageError("give --yes to write without being asked, or --print")
    if not change.file.parent.exists():
        note(f"{change.client.title} was not used here yet: {change.file.parent} is not there")
    return typer.confirm("Write that?", err=True)


def _told(change: "Change", json: bool, *, is_written: bool, backup: Path | None = None) -> int:
    if json:
        print_json(
            {
                "client": change.client.name,
                "name": change.name,
                "file": str(change.file),
                "written": is_written,
                "installed": change.entry_after is not None,
                "backup": None if backup is None else str(backup),
            }
        )
    return 0
