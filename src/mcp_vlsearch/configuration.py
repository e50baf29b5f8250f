"""The library's ``config.toml``, and what is wrong with a setting, in one line for its user."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from mcp_vlsearch.errors import SettingsError

__all__ = ["CONFIG_FILE", "ENVIRONMENT_PREFIX", "explain", "read_config"]

ENVIRONMENT_PREFIX: Final = "MCP_VLSEARCH_"
CONFIG_FILE: Final = "config.toml"


def read_config(path: Path) -> dict[str, Any]:
    """Return the settings of a ``config.toml``, none if there is none. Raises SettingsError."""
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


def explain(
    error: ValidationError,
    flags: Mapping[str, Any],
    environment: Mapping[str, Any],
    library: Path,
) -> str:
    """Return which setting is wrong, where it was set, and how."""
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else "?"
    if name in flags:
        where = f"--{name.replace('_', '-')}"
    elif name in environment:
        where = ENVIRONMENT_PREFIX + name.upper()
    else:
        where = f"{name!r} in {library / CONFIG_FILE}"
    return f"{where}: {first['msg']} (got {first['input']!r})"
