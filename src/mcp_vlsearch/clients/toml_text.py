"""Servers in a TOML file, whose comments and order stay."""

from typing import Any

import tomlkit
from tomlkit.items import InlineTable, Table

__all__ = ["find", "put", "shown", "take_out"]


def find(text: str, key: str) -> dict[str, Any]:
    """Return the servers in a file, by name.

    Raises :class:`ValueError` if it is no TOML, or what ``key`` names is no table.
    """
    servers = tomlkit.parse(text).unwrap().get(key, {})
    if not isinstance(servers, dict):
        raise ValueError(f"{key} is no table")
    return servers


def put(text: str, key: str, name: str, entry: dict[str, Any]) -> str:
    """Return the text with a server in it, in place of one of the same name."""
    document = tomlkit.parse(text)
    if key not in document:
        document.add(key, tomlkit.table(is_super_table=True))
    servers: Any = document[key]
    if name in servers:
        _change(servers[name], entry)
    else:
        servers[name] = _filled(_table_for(servers), entry)
    return tomlkit.dumps(document)


def take_out(text: str, key: str, name: str) -> str:
    """Return the text without a server that is in it."""
    document = tomlkit.parse(text)
    servers: Any = document[key]
    del servers[name]
    return tomlkit.dumps(document)


def shown(key: str, name: str, entry: dict[str, Any]) -> str:
    """Return a file that holds this server only."""
    return put("", key, name, entry)


def _change(table: Any, entry: dict[str, Any]) -> None:
    for field in set(table) - set(entry):
        del table[field]
    for field, value in entry.items():
        if table.get(field) != value:
            table[field] = value


def _table_for(servers: Any) -> Table | InlineTable:
    return tomlkit.inline_table() if isinstance(servers, InlineTable) else tomlkit.table()


def _filled(table: Table | InlineTable, entry: dict[str, Any]) -> Table | InlineTable:
    for field, value in entry.items():
        table.add(field, value)
    return table
