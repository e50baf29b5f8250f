"""The file of a library's settings, and the names that settings have where they come from."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from mcp_vlsearch.errors import SettingsError
from mcp_vlsearch.wording import in_words

__all__ = ["CONFIG_FILE", "ENVIRONMENT_PREFIX", "explained", "read_config"]

CONFIG_FILE: Final = "config.toml"
ENVIRONMENT_PREFIX: Final = "MCP_VLSEARCH_"


def read_config(path: Path) -> dict[str, Any]:
    """Return what a library's ``config.toml`` says, nothing where it is not there.

    Raises :class:`SettingsError`.
    """
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except NotADirectoryError as error:
        raise SettingsError(f"{path.parent} is not a directory: give another --library") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} can't be read ({error}): mend or delete it") from error
    values.pop("library", None)
    return values


def explained(
    error: ValidationError,
    flags: Mapping[str, Any],
    environment: Mapping[str, Any],
    library: Path,
) -> str:
    """Return on one line what is wrong with a setting, and where it was set."""
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else "?"
    if name in flags:
        where = f"--{name.replace('_', '-')}"
    elif name in environment:
        where = ENVIRONMENT_PREFIX + name.upper()
    else:
        where = f"{name!r} in {library / CONFIG_FILE}"
    return f"{where}: {in_words(first)} (got {first['input']!r})"
