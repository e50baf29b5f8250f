"""The command by which a client starts our server: the program that runs now, by its full path."""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

__all__ = ["PUBLISHED", "is_ours", "launched", "library_of"]

PUBLISHED: Final = ("uvx", "--from", "mcp-vlsearch[cpu]", "mcp-vlsearch")
"""A command for any machine that has uv: it fetches the package, and runs it."""

_NAME: Final = "mcp-vlsearch"
_MODULE: Final = "mcp_vlsearch"
_UVX_CACHE: Final = "archive-v0"
"""The folder of uv's cache in which the environments of `uvx` are: it may be emptied any time."""


def launched(
    program: str, environment: Mapping[str, str] = os.environ, prefix: str = sys.prefix
) -> tuple[str, ...]:
    """Return how to start what was started as ``program``, the first word of its command line.

    That is its own full path; uvx, if that made an environment for it that won't last; else the
    Python that runs it, with ``-m``.
    """
    uv = environment.get("UV")
    if uv and _UVX_CACHE in Path(prefix).parts:
        uvx = Path(uv).with_name("uvx" + Path(uv).suffix)
        return (str(uvx), *PUBLISHED[1:])
    if Path(program).stem == _NAME and (found := shutil.which(program)):
        return (str(Path(found).absolute()),)
    return (sys.executable, "-m", _MODULE)


def is_ours(server: Mapping[str, Any]) -> bool:
    """Say whether a client's entry starts our server."""
    words = [str(word) for word in (server.get("command"), *_arguments(server)) if word]
    names = {word.replace("\\", "/").rpartition("/")[2].removesuffix(".exe") for word in words}
    return "serve" in words and not names.isdisjoint((_NAME, _MODULE))


def library_of(server: Mapping[str, Any]) -> str | None:
    """Return the library that an entry names, if it names one."""
    arguments = _arguments(server)
    for position, word in enumerate(arguments):
        if word == "--library" and position + 1 < len(arguments):
            return arguments[position + 1]
        if word.startswith("--library="):
            return word.partition("=")[2]
    variables = server.get("env")
    named = variables.get("MCP_VLSEARCH_LIBRARY") if isinstance(variables, dict) else None
    return str(named) if named else None


def _arguments(server: Mapping[str, Any]) -> Sequence[str]:
    given = server.get("args")
    return [str(word) for word in given] if isinstance(given, list) else []
