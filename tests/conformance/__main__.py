"""Runs the MCP conformance suite and the Inspector's command line against our server.

    python -m tests.conformance

Both are npm's, need Node 22, and are fetched by npm. Where that can't be, one line says so and the
exit code is 0, or 1 with ``--required``. ``--tools DIR`` keeps them for the next time. What came of
it is printed, and kept in ``results.json`` and ``results.md`` beside this file.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.conformance.judging import Found, judge, kept_checks, results
from tests.conformance.report import RESULTS, write
from tests.conformance.tools import MissingError, installed

VERSIONS: Final = ("2025-11-25", "2026-07-28")
PROGRAM: Final = (sys.executable, "-m", "mcp_vlsearch")
TOOLS: Final = {"index_images", "search_by_text", "search_by_image", "library_status"}
PICTURES: Final = 8
_SERVES: Final = "serving MCP at "
_PATIENCE: Final = 300

Environment = dict[str, str]


def _run(command: list[str], environment: Environment) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@contextmanager
def serving(environment: Environment) -> Iterator[str]:
    """Serve MCP over HTTP on a free port; give the address."""
    command = [*PROGRAM, "serve", "--transport", "http", "--port", "0"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        said: list[str] = []
        for line in server.stderr:
            said.append(line)
            if _SERVES in line:
                break
        else:
            sys.exit(f"the server did not start:\n{''.join(said)}")
        # A pipe that nobody reads would fill, and stop the server.
        reader = threading.Thread(target=server.stderr.read)
        reader.start()
        try:
            yield line.split(_SERVES, 1)[1].split(";")[0]
        finally:
            server.terminate()
            reader.join()


def suite(url: str, version: str, out: Path, environment: Environment) -> Found:
    """Run every scenario of a version of the protocol; return the checks of each."""
    words = ["--url", url, "--suite", "all", "--spec-version", version, "-o", str(out)]
    done = _run(["conformance", "server", *words], environment)
    found = results(out)
    if not found:
        sys.exit(f"the suite ran nothing:\n{done.stdout}{done.stderr}")
    return found


def inspect(target: list[str], words: list[str], environment: Environment) -> dict[str, Any]:
    """Return what the Inspector got from a server."""
    done = _run(["mcp-inspector", "--cli", *target, *words], environment)
    if done.returncode:
        sys.exit(f"the Inspector failed: {' '.join(words)}\n{done.stdout}{done.stderr}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def inspected(target: list[str], environment: Environment) -> str:
    """List tools, index and search by the Inspector; return what came of it."""
    listed = inspect(target, ["--method", "tools/list", "--strict"], environment)
    names = {tool["name"] for tool in listed["tools"]}
    assert names >= TOOLS, names
    call = ["--method", "tools/call", "--tool-name"]
    report = inspect(target, [*call, "index_images"], environment)["structuredContent"]
    assert report["total_images"] == PICTURES, report
    words = [*call, "search_by_text", "--tool-arg", "query=a red bicycle", "top_k=3"]
    hits = inspect(target, words, environment)["structuredContent"]["hits"]
    assert [hit["rank"] for hit in hits] == [1, 2, 3], hits
    return f"{len(names)} tools, {report['total_images']} images, {len(hits)} hits"


def run(work: Path, tools: Environment, out: Path) -> int:
    """Run everything below a folder; print and write what came of it; return the exit code."""
    pictures = work / "pictures"
    ours = {
        "MCP_VLSEARCH_LIBRARY": str(work / "library"),
        "MCP_VLSEARCH_MODEL": "storybook",
        "MCP_VLSEARCH_ROOTS": str(pictures),
        "MCP_VLSEARCH_SHARE": "off",
    }
    environment = {**tools, **ours}
    drawn = _run([*PROGRAM, "storybook", str(pictures), "--count", str(PICTURES)], dict(os.environ))
    if drawn.returncode:
        sys.exit(drawn.stderr)
    with serving(environment) as url:
        found = {version: suite(url, version, work / version, environment) for version in VERSIONS}
        over_http = inspected([url, "--transport", "http"], environment)
    # The Inspector hands its own environment on only where it is told to.
    pairs = [f"{name}={value}" for name, value in ours.items()]
    over_stdio = [*PROGRAM, "serve", *(word for pair in pairs for word in ("-e", pair))]
    said = [
        f"Inspector over HTTP: {over_http}.",
        f"Inspector over stdio: {inspected(over_stdio, environment)}.",
    ]
    kept, wrong = kept_checks(), list[str]()
    for version, scenarios in found.items():
        verdict = judge(scenarios, kept)
        wrong += [f"{version}: {check} fails" for check in verdict.unexpected]
        wrong += [f"{version}: {check} passes; take it off kept.yml" for check in verdict.stale]
    write(out, found, kept, said)
    print("\n".join(wrong) or "as expected")
    return bool(wrong)


def main() -> int:
    """Run it all, or say why not."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--tools", type=Path, help="folder in which npm's packages are kept")
    parser.add_argument("--required", action="store_true", help="fail where they can't be had")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where results are kept")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        try:
            tools = installed(arguments.tools or Path(work) / "tools")
        except MissingError as missing:
            print(f"skipped, nothing was run: {missing}")
            return int(arguments.required)
        return run(Path(work), tools, arguments.out)


if __name__ == "__main__":
    sys.exit(main())
