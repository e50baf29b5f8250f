"""Every client on one screen: where it keeps its MCP servers, and in what form."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from mcp_vlsearch.errors import ClientError

__all__ = ["CLIENTS", "Client", "Place", "Scope", "client_named"]

Scope = Literal["user", "project"]


@dataclass(frozen=True)
class Place:
    """A machine and a folder on it, as far as they decide where configurations are."""

    home: Path
    project: Path
    platform: str
    environment: Mapping[str, str]

    @classmethod
    def here(cls) -> "Place":
        """Return this machine, with the working directory as the project."""
        return cls(Path.home(), Path.cwd(), sys.platform, os.environ)

    def folders(self) -> dict[str, Path]:
        """Return what the words in braces of a client's paths stand for."""
        roaming = self._folder("APPDATA", self.home / "AppData" / "Roaming")
        config = {
            "darwin": self.home / "Library" / "Application Support",
            "win32": roaming,
        }.get(self.platform, self._folder("XDG_CONFIG_HOME", self.home / ".config"))
        return {
            "home": self.home,
            "config": config,
            "claude": self._folder("CLAUDE_CONFIG_DIR", self.home),
            "codex": self._folder("CODEX_HOME", self.home / ".codex"),
        }

    def packages(self) -> Path | None:
        """Return where Windows keeps what its store's packages write, elsewhere None."""
        if self.platform != "win32":
            return None
        return self._folder("LOCALAPPDATA", self.home / "AppData" / "Local") / "Packages"

    def _folder(self, variable: str, otherwise: Path) -> Path:
        return Path(self.environment.get(variable) or otherwise)


@dataclass(frozen=True)
class Client:
    """A program that starts MCP servers.

    ``key`` is the object that holds its servers. ``user`` and ``project`` are its files; where it
    has no file for a project, ``project`` is None. ``package`` is a pattern of the folder to which
    Windows redirects ``{config}`` if the client was installed as a package.
    """

    name: str
    title: str
    form: Literal["json", "toml"]
    key: str
    user: str
    project: str | None = None
    says_stdio: bool = False
    package: str | None = None
    after: str = "start a new session"

    def file(self, scope: Scope, place: Place) -> Path:
        """Return the configuration of a scope. Raises :class:`ClientError` if there is none."""
        if scope == "project":
            if self.project is None:
                raise ClientError(f"{self.title} has no file for a project: leave --scope out")
            return place.project / self.project
        folders = place.folders()
        packages = place.packages()
        if packages is not None and self.package is not None:
            found = sorted(packages.glob(self.package))
            folders |= {"config": found[0]} if found else {}
        return Path(self.user.format(**folders))

    def entry(self, command: str, arguments: list[str]) -> dict[str, Any]:
        """Return a server over stdio, as this client wants to be told of it."""
        kind = {"type": "stdio"} if self.says_stdio else {}
        return {**kind, "command": command, "args": arguments}


CLIENTS: Final = (
    Client(
        "claude-desktop",
        "Claude Desktop",
        "json",
        "mcpServers",
        "{config}/Claude/claude_desktop_config.json",
        package="Claude_*/LocalCache/Roaming",
        after="quit Claude Desktop and start it again",
    ),
    Client(
        "claude-code",
        "Claude Code",
        "json",
        "mcpServers",
        "{claude}/.claude.json",
        ".mcp.json",
        says_stdio=True,
    ),
    Client(
        "cursor",
        "Cursor",
        "json",
        "mcpServers",
        "{home}/.cursor/mcp.json",
        ".cursor/mcp.json",
        after="switch the server on in Cursor's MCP settings if it is off",
    ),
    Client(
        "vscode",
        "VS Code",
        "json",
        "servers",
        "{config}/Code/User/mcp.json",
        ".vscode/mcp.json",
        says_stdio=True,
        after="start the server by `MCP: List Servers` if VS Code does not offer to",
    ),
    Client("codex", "Codex", "toml", "mcp_servers", "{codex}/config.toml", ".codex/config.toml"),
    Client(
        "gemini-cli",
        "Gemini CLI",
        "json",
        "mcpServers",
        "{home}/.gemini/settings.json",
        ".gemini/settings.json",
    ),
)


def client_named(name: str) -> Client:
    """Return the client of a name. Raises :class:`ClientError` with all names."""
    for client in CLIENTS:
        if client.name == name:
            return client
    names = ", ".join(client.name for client in CLIENTS)
    raise ClientError(f"no client is called {name!r}: give one of {names}")
