"""What commands share: opening the library by flags, and showing results."""

import json as jsonlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from shlex import quote
from typing import TYPE_CHECKING, Any

import typer
from typer.exceptions import TyperException

from mcp_vlsearch.errors import LibraryError, SettingsError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from mcp_vlsearch.core.library import Library
    from mcp_vlsearch.plugins import Group
    from mcp_vlsearch.settings import Settings

__all__ = [
    "UsageError",
    "counted",
    "note",
    "opened",
    "print_json",
    "print_table",
    "settings_from",
]

_PLUGIN_FLAGS: "Mapping[str, Group]" = {
    "encoder": "encoders",
    "index": "indexes",
    "rewrite": "rewriters",
}


class UsageError(TyperException):
    """Options that don't fit together or can't be understood."""

    exit_code = 2


def settings_from(
    flags: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> "Settings":
    """Combine flags with the other sources, by default with this process's environment.

    Raises :class:`SettingsError`, :class:`PluginError`.
    """
    from mcp_vlsearch.plugins import available
    from mcp_vlsearch.settings import load_settings

    for flag, group in _PLUGIN_FLAGS.items():
        name = flags.get(flag)
        names = {*available(group), *(("off",) if flag == "rewrite" else ())} if name else set()
        if name and name not in names:
            raise SettingsError(f"--{flag}: there is no {name!r}; give {', '.join(sorted(names))}")
    return load_settings(flags, environment)


@contextmanager
def opened(flags: Mapping[str, Any], *, may_make: bool = False) -> "Iterator[Library]":
    """Open the library that the flags and the other settings say.

    Raises :class:`LibraryError` if there is none, unless the command ``may_make`` one.
    """
    settings = settings_from(flags)
    from mcp_vlsearch.core.library import Library

    if not may_make and not Library.is_at(settings.library):
        where = f" --library {quote(str(settings.library))}" if flags.get("library") else ""
        raise LibraryError(
            f"no library at {settings.library}: index pictures into it first with "
            f"`mcp-vlsearch index FOLDER{where}`"
        )
    with Library(settings) as library:
        yield library


def counted(count: int, thing: str) -> str:
    """Return a number with what is counted, such as "1 file" and "2 files"."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def note(text: str) -> None:
    """Write a message for the user to stderr."""
    typer.echo(text, err=True)


def print_json(
    result: "BaseModel | Mapping[str, Any] | Sequence[Any]", *, on_a_line: bool = False
) -> None:
    """Write a result to stdout as JSON, and nothing else."""
    from pydantic import TypeAdapter
    from pydantic_core import PydanticSerializationError

    indent, adapter = None if on_a_line else 2, TypeAdapter(Any)
    try:
        text = adapter.dump_json(result, indent=indent, by_alias=True).decode()
    except PydanticSerializationError:  # a path whose bytes are no UTF-8; JSON has escapes for them
        text = jsonlib.dumps(adapter.dump_python(result, mode="json", by_alias=True), indent=indent)
    typer.echo(text)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write rows to stdout in columns: numbers to the right, the last column in full.

    Fractions have two digits.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, name in enumerate(columns):
        number = bool(rows) and isinstance(rows[0][position], int | float)
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(
            *(Text(f"{cell:.2f}" if isinstance(cell, float) else str(cell)) for cell in row)
        )
    console = Console()
    if not console.is_terminal:  # a pipe has no width to fit into
        console.width = 10_000
    console.print(table)
