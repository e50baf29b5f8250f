"""Results as tables: on the screen, and in a JSON and a Markdown file that are kept."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

__all__ = ["RESULTS", "Cell", "Table", "progress", "save"]

RESULTS: Final = Path(__file__).parent / "results"

Cell = str | float | None


@dataclass(frozen=True)
class Table:
    """Rows under headings; ``columns`` gives each heading the format of its numbers."""

    title: str
    columns: Mapping[str, str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        """Return the table for people, a dash where there is nothing to say."""
        table = RichTable(box=box.MARKDOWN)
        for number, heading in enumerate(self.columns):
            table.add_column(heading, justify="right" if number else "left", no_wrap=True)
        for row in self.rows:
            formats = zip(row, self.columns.values(), strict=True)
            table.add_row(*(Text(_shown(cell, form)) for cell, form in formats))
        file = io.StringIO()
        Console(file=file, width=200).print(table)
        lines = [line.rstrip() for line in file.getvalue().strip().splitlines()]
        return "\n".join([f"### {self.title}", "", *lines, "", *self.notes]).rstrip() + "\n"

    def data(self) -> dict[str, Any]:
        """Return the table for programs."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {"title": self.title, "rows": rows, "notes": list(self.notes)}


def save(
    out: Path,
    tables: Sequence[Table],
    machine: Mapping[str, Any],
    options: Mapping[str, Any],
    **more: Any,
) -> None:
    """Print tables and write them with machine and options as ``out``, and as Markdown beside."""
    options = {name: value for name, value in options.items() if not isinstance(value, Path)}
    text = "\n".join(table.markdown() for table in tables)
    print(text)
    out.parent.mkdir(parents=True, exist_ok=True)
    data = {
        "machine": dict(machine),
        "options": options,
        "tables": [table.data() for table in tables],
        **more,
    }
    out.write_text(json.dumps(data, indent=1, default=str) + "\n", "utf-8")
    facts = [", ".join(f"{k} {v}" for k, v in part.items()) for part in (machine, options)]
    head = f"# {out.stem}\n\nMachine: {facts[0]}.\n\nOptions: {facts[1]}.\n\n"
    out.with_suffix(".md").write_text(head + text, "utf-8")
    progress(f"written: {out} and {out.with_suffix('.md').name}")


def progress(line: str) -> None:
    """Say what goes on, on stderr: stdout has results."""
    print(line, file=sys.stderr, flush=True)


def _shown(cell: Cell, form: str) -> str:
    if cell is None:
        return "-"
    return cell if isinstance(cell, str) else format(cell, form)
