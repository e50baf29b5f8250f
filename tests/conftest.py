"""The index that the end-to-end tests run over, and logging as it was before each test."""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

CHOSEN_INDEX: dict[str, str] = {}
"""What the environment says of the index, in this process and in those that it starts."""

_running = ExitStack()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--index",
        default="faiss",
        choices=["faiss", "milvus"],
        help="index plugin of the end-to-end tests; for milvus, a server is started",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--index") == "milvus":
        from tests.milvus_server import milvus_server  # the packages of an extra

        folder = _running.enter_context(tempfile.TemporaryDirectory())
        uri = _running.enter_context(milvus_server(Path(folder) / "data"))
        CHOSEN_INDEX.update(MCP_VLSEARCH_INDEX="milvus", MCP_VLSEARCH_MILVUS_URI=uri)
        os.environ |= CHOSEN_INDEX


def pytest_unconfigure() -> None:
    _running.close()


@pytest.fixture(autouse=True)
def _logging_put_back() -> Iterator[None]:
    """Undo what a command has set for the whole process, such as a level."""
    root, ours = logging.getLogger(), logging.getLogger("mcp_vlsearch")
    handlers, levels = list(root.handlers), (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
