"""Watching in a terminal: a line for each change, until Ctrl-C."""

from typing import TYPE_CHECKING

import typer

from mcp_vlsearch.cli.frame import counted, note
from mcp_vlsearch.cli.progress import interruptible, lasting, lines
from mcp_vlsearch.wording import on_a_line

if TYPE_CHECKING:
    from mcp_vlsearch.core.changes import Change
    from mcp_vlsearch.core.library import Library

__all__ = ["watch"]


def watch(library: "Library", json: bool) -> int:
    """Keep a library up with its roots until Ctrl-C; changes go to stdout, all else to stderr."""
    from mcp_vlsearch.core.changes import told
    from mcp_vlsearch.core.watching import Watcher

    def tell(change: "Change") -> None:
        if json:
            typer.echo(change.report.model_dump_json())
            return
        for failure in change.report.failures:
            note(on_a_line(f"failed: {failure.path}: {failure.error}"))
        typer.echo(told(change))

    with interruptible() as stop:
        note(f"watching {counted(len(library.roots()), 'root')}; Ctrl-C stops it")
        Watcher(library, tell, note, stop=stop, report=lasting(lines())).run()
    note("stopped watching")
    return 0
