"""The installed version."""

from importlib.metadata import PackageNotFoundError, version
from typing import Final

__all__ = ["VERSION"]


def _installed() -> str:
    try:
        return version("mcp-vlsearch")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "0+unknown"


VERSION: Final = _installed()
