"""Benchmarks of tiny sizes, in this process."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers.utils import logging

README = (Path(__file__).parents[2] / "benchmarks" / "README.md").read_text("utf-8")


@pytest.fixture
def here() -> Iterator[Callable[[], Executor]]:
    """What gives one thread in the place of processes; what benchmarks set is set back.

    One, as transformers does not load models in several threads at once.
    """
    verbosity, threads = logging.get_verbosity(), torch.get_num_threads()
    thread = ThreadPoolExecutor(1)
    yield lambda: thread
    logging.set_verbosity(verbosity)
    logging.enable_progress_bar()
    torch.set_num_threads(threads)


Rows = dict[str, dict[str, Any]]


def tables(out: Path) -> dict[str, Rows]:
    """Return the rows of each table by the table's title and their first cell.

    Every heading must be explained in benchmarks/README.md, and the Markdown file have every cell.
    """
    markdown = out.with_suffix(".md").read_text("utf-8")
    found = {}
    for table in json.loads(out.read_text("utf-8"))["tables"]:
        assert f"### {table['title']}" in markdown
        rows = {}
        for row in table["rows"]:
            assert all(f"`{heading}`" in README for heading in row), row.keys()
            first, *_ = row.values()
            assert f"| {first} " in markdown
            rows[first] = row
        found[table["title"]] = rows
    return found
