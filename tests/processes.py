"""Processes of their own that start quickly: forked from one that has imported everything."""

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Final

REPOSITORY: Final = Path(__file__).parents[1]

# The one that they are forked from finds its modules by this.
os.environ["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY)])
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["faiss", "tests.core.mosaic", "mcp_vlsearch.core.library"])

Target = Callable[..., None]


class Child:
    """A process that runs ``target(connection, *arguments)``, and our end of the connection."""

    def __init__(self, target: Target, *arguments: Any) -> None:
        self.connection, theirs = _context.Pipe()
        self._process: ForkServerProcess = _context.Process(
            target=_run, args=(target, theirs, sys.path, arguments)
        )
        self._process.start()
        theirs.close()

    def receive(self) -> Any:
        """Wait for what it sends next. Raises EOFError if it ends before."""
        return self.connection.recv()

    def send(self, message: Any) -> None:
        """Send it something."""
        self.connection.send(message)

    def kill(self) -> bool:
        """Kill it; say whether it was still at work, rather than done."""
        self._process.kill()
        return self.join() != 0

    def join(self) -> int:
        """Wait for its end and return its exit code, negative for a signal."""
        self._process.join()
        code = self._process.exitcode
        self._process.close()
        self.connection.close()
        assert code is not None
        return code


def _run(target: Target, connection: Connection, path: list[str], arguments: Iterable[Any]) -> None:
    sys.path[:] = path
    target(connection, *arguments)
