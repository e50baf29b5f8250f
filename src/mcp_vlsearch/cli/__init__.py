"""The command line. Heavy imports wait inside the commands, so that ``--help`` is quick."""

from mcp_vlsearch.cli.app import app, main, run

__all__ = ["app", "main", "run"]
