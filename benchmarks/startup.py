"""How soon a server over stdio answers, and the memory of one and of eight.

    python -m benchmarks.startup

A bare server of the MCP SDK is the measure for the first; servers that each hold the model are that
for the second. Needs Linux, whose /proc tells memory.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import reduce
from operator import add
from pathlib import Path
from statistics import median
from typing import Any, Final

from mcp import Client, StdioServerParameters

from benchmarks._machine import describe
from benchmarks._pictures import gallery
from benchmarks._processes import Memory, children, memory, with_argument
from benchmarks._tables import RESULTS, Cell, Table, progress, save

OURS: Final = ["-m", "mcp_vlsearch", "serve"]
BARE: Final = ["-c", "from mcp.server import MCPServer; MCPServer('bare').run()"]
NOTHING: Final = ["-c", "pass"]
HELP: Final = ["-m", "mcp_vlsearch", "--help"]
GRACE: Final = 10.0
"""Seconds that a process gets to end."""


@asynccontextmanager
async def connected(
    command: Sequence[str], environment: dict[str, str]
) -> AsyncIterator[tuple[Client, int]]:
    """Yield a client of a server of its own, and the server's process."""
    before = children()
    server = StdioServerParameters(command=sys.executable, args=list(command), env=environment)
    async with Client(server) as client:
        (process,) = children() - before
        yield client, process


async def handshake(command: Sequence[str], environment: dict[str, str]) -> tuple[float, ...]:
    """Return seconds until the server is initialised and until tools are listed, and its RSS."""
    started = time.perf_counter()
    async with connected(command, environment) as (client, process):
        initialised = time.perf_counter() - started
        await client.list_tools()
        listed = time.perf_counter() - started
        return initialised, listed, memory(process).rss


def handshakes(runs: int, environment: dict[str, str]) -> Table:
    """Compare the start of our server with a bare one's, in turn."""
    ways = {"bare MCPServer": BARE, "mcp-vlsearch serve": OURS}
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in ways}
    for run in range(runs + 1):
        progress(f"handshakes: {run} of {runs}")
        for name, command in ways.items():
            measured = asyncio.run(handshake(command, environment))
            if run:  # the first reads files that are not in memory yet
                found[name].append(measured)
    columns = {"server": "", "initialised, s": ".2f", "tools listed, s": ".2f", "RSS, MiB": ".0f"}
    rows: list[list[Any]] = [
        [name, *(median(each) for each in zip(*values, strict=True))]
        for name, values in found.items()
    ]
    more = [ours - bare for bare, ours in zip(rows[0][1:], rows[1][1:], strict=True)]
    return Table("Start of a server over stdio", columns, [*rows, ["more than bare", *more]])


def help_seconds(runs: int, environment: dict[str, str]) -> Table:
    """Compare ``--help`` with a Python that does nothing, in turn."""
    ways = {"python -c pass": NOTHING, "mcp-vlsearch --help": HELP}
    found: dict[str, list[float]] = {name: [] for name in ways}
    for run in range(runs + 1):
        progress(f"--help: {run} of {runs}")
        for name, command in ways.items():
            started = time.perf_counter()
            subprocess.run(
                [sys.executable, *command], env=environment, stdout=subprocess.DEVNULL, check=True
            )
            if run:
                found[name].append(time.perf_counter() - started)
    rows: list[list[Cell]] = [[name, median(values)] for name, values in found.items()]
    return Table("Help on the command line", {"command": "", "seconds": ".2f"}, rows)


async def serving(
    count: int, environment: dict[str, str], cache: str
) -> tuple[Memory, Memory, int]:
    """Return the memory of so many servers after a search each, and of shared encoders.

    The last figure is how many encoders that are.
    """
    async with AsyncExitStack() as stack:
        clients, servers = [], []
        for number in range(count):
            client, process = await stack.enter_async_context(connected(OURS, environment))
            progress(f"server {number + 1} of {count} started")
            clients.append(client)
            servers.append(process)
        searches = (c.call_tool("search_by_text", {"query": "a red apple"}) for c in clients)
        for found in await asyncio.gather(*searches):
            if found.is_error:
                raise RuntimeError(f"a search failed: {found.content}")
        encoders = with_argument(cache)
        nothing = Memory(0, 0, 0)
        held = [reduce(add, map(memory, some), nothing) for some in (servers, encoders)]
        return held[0], held[1], len(encoders)


def sharing(count: int, environment: dict[str, str], cache: str) -> Table:
    """Compare servers that share a model with servers that each hold one."""
    columns = {"share": "", "encoder processes": "", "servers RSS, MiB": ".0f"}
    columns |= {"all RSS, MiB": ".0f", "all PSS, MiB": ".0f"}
    rows: list[list[Cell]] = []
    totals: list[Memory] = []
    for share in ("auto", "off"):
        progress(f"{count} servers with --share {share}")
        given = {**environment, "MCP_VLSEARCH_SHARE": share}
        try:
            servers, encoders, number = asyncio.run(serving(count, given, cache))
        finally:
            end(with_argument(cache))
        together = servers + encoders
        rows.append([share, str(number), servers.rss, together.rss, together.pss])
        totals.append(together)
    one, many = totals
    note = (
        f"Without sharing it is {many.rss / one.rss:.1f} times the RSS "
        f"and {many.pss / one.pss:.1f} times the PSS."
    )
    return Table(f"{count} servers after a search each", columns, rows, [note])


def end(processes: set[int]) -> None:
    """End encoder processes that servers of ours have started, and wait until they are gone."""
    for process in processes:
        with suppress(ProcessLookupError):
            watched = os.pidfd_open(process)
            os.kill(process, signal.SIGTERM)
            select.select([watched], [], [], GRACE)
            os.close(watched)


def prepare(folder: Path, model: str, pictures: int) -> tuple[dict[str, str], str]:
    """Index a few pictures; return the servers' environment, and their own folder for caches."""
    cache = str(folder / "cache")
    environment = {
        **os.environ,
        "MCP_VLSEARCH_LIBRARY": str(folder / "library"),
        "MCP_VLSEARCH_MODEL": model,
        "MCP_VLSEARCH_SHARE": "off",
        "XDG_CACHE_HOME": cache,
    }
    gallery(folder / "pictures", pictures)
    progress("indexing")
    command = [sys.executable, "-m", "mcp_vlsearch", "index", str(folder / "pictures")]
    subprocess.run(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True
    )
    return environment, cache


def positive(text: str) -> int:
    """Read a number of things of which at least one is needed."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"give 1 or more (got {text})")
    return number


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default="storybook", help="what the servers hold")
    parser.add_argument("--runs", type=positive, default=7)
    parser.add_argument("--servers", type=positive, default=8)
    parser.add_argument("--pictures", type=positive, default=24, help="in the servers' library")
    parser.add_argument("--out", type=Path, default=RESULTS / "startup.json")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print the tables and write them."""
    options = arguments(given)
    if sys.platform != "linux":
        sys.exit("this benchmark reads memory from /proc, which only Linux has")
    machine = describe()
    with tempfile.TemporaryDirectory() as name:
        environment, cache = prepare(Path(name), options.model, options.pictures)
        tables = [
            help_seconds(options.runs, environment),
            handshakes(options.runs, environment),
            sharing(options.servers, environment, cache),
        ]
    save(options.out, tables, machine, vars(options))


if __name__ == "__main__":
    main()
