"""From nothing to the first hit, step by step, as docs/quick-start.md has it.

    python -m benchmarks.first_hit

It makes a fresh virtual environment, installs this tree into it with what pip fetches, and goes two
ways: to the first hit in the web page, seen by headless Chromium, and to the first hit in an MCP
client, by the configuration that ``install`` wrote. The built-in model and drawn pictures stand in
for a model that is downloaded and pictures of one's own. Needs Linux, chromium and chromedriver.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mcp import Client, StdioServerParameters

from benchmarks._machine import describe
from benchmarks._processes import with_argument
from benchmarks._tables import RESULTS, Cell, Table, progress, save
from benchmarks.startup import end
from tests.browser import KEYS, MISSING, browser

REPOSITORY: Final = Path(__file__).parents[1]
INSTALL: Final = (
    "python3 -m venv .venv",
    "pip install -c constraints.txt '.[cpu,webui]'",
)
DRAW: Final = "mcp-vlsearch storybook gallery --count 48"
INDEX: Final = "mcp-vlsearch index gallery --model storybook --library try"
WEBUI: Final = "mcp-vlsearch webui --library try"
CLIENT: Final = "mcp-vlsearch install claude-desktop --root gallery --model storybook --library try"
STEPS: Final = (*INSTALL, DRAW, INDEX, WEBUI, CLIENT)
"""The lines of the quick start that are run."""
CONFIGURATION: Final = ".config/Claude/claude_desktop_config.json"
READY: Final = "document.querySelector('#search') && document.querySelector('#headline h1')"
TEXT: Final = "#text input, #text textarea"
HIT: Final = "document.querySelector('.card img')?.naturalWidth && document.querySelector('.name')"


@dataclass
class Watch:
    """The steps of a way and the seconds that each took; ``before`` are those until it began."""

    before: float = 0
    steps: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        """Time what happens inside as a step."""
        progress(step)
        started = time.perf_counter()
        yield
        self.steps.append((step, time.perf_counter() - started))

    @property
    def until_now(self) -> float:
        """Seconds of all steps up to now."""
        return self.before + sum(seconds for _, seconds in self.steps)

    def table(self, title: str, notes: Sequence[str] = ()) -> Table:
        """Return the steps with the seconds of each, and those since the very beginning."""
        rows: list[list[Cell]] = []
        total = self.before
        for step, seconds in self.steps:
            total += seconds
            rows.append([step, seconds, total])
        return Table(title, {"step": "", "seconds": ".2f", "since the start": ".1f"}, rows, notes)


@dataclass(frozen=True)
class Place:
    """A folder of its own with an environment's programs, as a new user has them."""

    folder: Path
    programs: Path

    @property
    def environment(self) -> dict[str, str]:
        """What programs are told: a home of their own, and nothing of ours."""
        ours = ("MCP_VLSEARCH_", "XDG_", "PYTHON")
        kept = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
        path = os.pathsep.join((str(self.programs), os.environ["PATH"]))
        return {**kept, "PATH": path, "HOME": str(self.folder / "home")}

    def run(self, line: str, *more: str) -> None:
        """Run a line of the quick start in this folder. Exits with what it says if it fails."""
        done = subprocess.run(
            [*shlex.split(line), *more],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            sys.exit(f"{line}: {done.stderr or done.stdout}")

    def wanted(self) -> tuple[str, str]:
        """Return the caption of a drawn picture, and its file's name."""
        captions = (self.folder / "gallery" / "captions.jsonl").read_text("utf-8")
        line = json.loads(captions.splitlines()[0])
        return line["caption"], line["image"]


def install(folder: Path) -> tuple[Watch, Path, str]:
    """Make the environment; return the time, its programs, and what it weighs."""
    watch = Watch()
    with watch(INSTALL[0]):
        subprocess.run([sys.executable, "-m", "venv", str(folder / ".venv")], check=True)
    programs = folder / ".venv" / "bin"
    with watch(INSTALL[1]):
        _, *arguments = shlex.split(INSTALL[1])
        subprocess.run(
            [programs / "python", "-m", "pip", *arguments, "--no-cache-dir", "--quiet"],
            cwd=REPOSITORY, stdout=sys.stderr, check=True,
        )  # fmt: skip
    return watch, programs, weight(folder / ".venv")


def weight(environment: Path) -> str:
    """Say what an environment holds."""
    files = [file for file in environment.rglob("*") if file.is_file()]
    size = sum(file.stat(follow_symlinks=False).st_size for file in files) / 2**20
    packages = {file.name for file in environment.glob("lib/*/site-packages/*.dist-info")}
    (torch,) = (name.split("-")[1] for name in packages if name.startswith("torch-"))
    return (
        f"The environment has {len(packages)} packages and {size:,.0f} MiB then; torch is "
        f"{torch.removesuffix('.dist')}."
    )


def in_page(place: Place, watch: Watch) -> None:
    """Go to the first hit in the web page."""
    with watch(DRAW):
        place.run(DRAW)
    with watch(INDEX):
        place.run(INDEX)
    caption, name = place.wanted()
    with browser() as window, subprocess.Popen(
        [*shlex.split(WEBUI), "--port=0", "--no-open"],
        cwd=place.folder, env=place.environment, stderr=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        try:
            with watch(WEBUI):
                assert server.stderr
                lines = (re.search(r"page is at (\S+/);", line) for line in server.stderr)
                address = next(found[1] for found in lines if found)
            with watch("the page is opened"):
                window.open(address)
                window.until(READY)
            with watch("a caption is searched: the first hit is seen"):
                window.type(caption + KEYS["Enter"], TEXT)
                window.until(HIT)
            first = window.get("document.querySelector('.name').textContent")
            window.open("about:blank")  # the server waits for its pages to be left
        finally:
            server.terminate()
    check(first, name)


async def in_client(place: Place, watch: Watch) -> None:
    """Go to the first hit in a client that starts the server as its configuration says."""
    with watch(DRAW):
        place.run(DRAW)
    with watch(CLIENT):
        place.run(CLIENT, "--yes")
    caption, name = place.wanted()
    written = json.loads((place.folder / "home" / CONFIGURATION).read_text("utf-8"))
    (entry,) = written["mcpServers"].values()
    server = StdioServerParameters(
        command=entry["command"], args=entry["args"], env=place.environment, cwd=place.folder
    )
    async with AsyncExitStack() as stack:
        with watch("the client starts the server and lists its tools"):
            client = await stack.enter_async_context(Client(server))
            await client.list_tools()
        with watch("index_images"):
            await called(client, "index_images")
        with watch("search_by_text: the first hit is there"):
            found = await called(client, "search_by_text", query=caption)
    check(Path(found["hits"][0]["path"]).name, name)


async def called(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool and return its result. Exits with what it says if it fails."""
    result = await client.call_tool(tool, arguments)
    if result.is_error or result.structured_content is None:
        sys.exit(f"{tool}: {result.content}")
    content: dict[str, Any] = result.structured_content
    return content


def check(first: str, wanted: str) -> None:
    """Exit unless the first hit is the picture whose caption was searched."""
    if first.strip() != wanted:
        sys.exit(f"the first hit is {first}, not {wanted}")


def measured(
    folder: Path, installed: Watch, programs: Path, way: Callable[[Place, Watch], None]
) -> Watch:
    """Go one way in a new folder, and leave no process behind."""
    (folder / "home").mkdir(parents=True)
    watch = Watch(installed.until_now)
    try:
        way(Place(folder, programs), watch)
    finally:
        end(with_argument(str(folder)))
    return watch


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print the tables and write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=RESULTS / "first_hit.json")
    options = parser.parse_args(given)
    if sys.platform != "linux" or MISSING:
        sys.exit(MISSING or "this benchmark ends processes that it finds in /proc: run it on Linux")
    machine = describe()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        installed, programs, weight = install(folder)
        tables = [installed.table("Installed", [weight])]
        page = measured(folder / "page", installed, programs, in_page)
        tables.append(page.table("In the web page"))
        client = measured(
            folder / "client", installed, programs, lambda *given: asyncio.run(in_client(*given))
        )
        tables.append(client.table("In a client"))
    save(options.out, tables, machine, vars(options))


if __name__ == "__main__":
    main()
