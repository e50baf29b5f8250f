"""The clients of this machine that start our server: whether what they start is there."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import Any, Final

from mcp_vlsearch.clients.changing import servers_in
from mcp_vlsearch.clients.launching import is_ours, library_of
from mcp_vlsearch.clients.table import CLIENTS, Client, Place, Scope
from mcp_vlsearch.core.health.check import Check, error, ok, warning
from mcp_vlsearch.errors import ClientError
from mcp_vlsearch.settings import Settings

__all__ = ["clients"]

_SCOPES: Final[tuple[Scope, ...]] = ("user", "project")


def clients(settings: Settings, default: Path, place: Place | None = None) -> Iterator[Check]:
    """Yield a check for each client that was told of our server.

    ``default`` is the library that a server takes which is told of none.
    """
    found = False
    for client, file in _files(place or Place.here()):
        for check in _checks(client, file, settings, default):
            found = True
            yield check
    if not found:
        yield ok("clients", "none starts this server yet: mcp-vlsearch install CLIENT tells one")


def _files(place: Place) -> Iterator[tuple[Client, Path]]:
    for client in CLIENTS:
        for scope in _SCOPES:
            if scope == "user" or client.project is not None:
                file = client.file(scope, place)
                if file.is_file():
                    yield client, file


def _checks(client: Client, file: Path, settings: Settings, default: Path) -> Iterator[Check]:
    try:
        servers = servers_in(client, file)
    except ClientError as problem:
        yield warning(client.name, str(problem), f"look whether {file} starts mcp-vlsearch")
        return
    for name, server in servers.items():
        if isinstance(server, dict) and is_ours(server):
            yield _check(client, file, name, server, settings, default)


def _check(
    client: Client, file: Path, name: str, server: dict[str, Any], settings: Settings, default: Path
) -> Check:
    own = quote(str(settings.library))
    again = f"mcp-vlsearch install {client.name} --name {name} --library {own}"
    command = str(server.get("command"))
    if shutil.which(command) is None:
        said = f"{name!r} in {file} starts {command}, which is not there"
        return error(client.name, said, again)
    library = Path(library_of(server) or default).expanduser().absolute()
    if not library.is_dir():
        said = f"{name!r} in {file} searches {library}, where there is no library yet"
        return warning(
            client.name, said, f"mcp-vlsearch index FOLDER --library {quote(str(library))}"
        )
    if library != settings.library:
        return warning(client.name, f"{name!r} in {file} searches the library {library}", again)
    return ok(client.name, f"{name!r} in {file}")
