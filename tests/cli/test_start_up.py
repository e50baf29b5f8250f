"""The command line starts fast, and says everything that it can do."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from mcp_vlsearch.cli import app
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.errors import MEMORY_HAS_RUN_OUT
from mcp_vlsearch.version import VERSION

from .conftest import Run

COMMANDS = (
    *("serve", "index", "search", "status", "remove", "plugins", "demo", "storybook", "eval"),
    "duplicates",
    "install",
    "doctor",
    "webui",
    "encoder serve",
    "cache export",
    "cache import",
    "cache prune",
    "cache use",
)
HEAVY = {"torch", "transformers", "faiss", "numpy", "PIL", "mcp", "sqlite_utils", "gradio"}
SCRIPT = """
import sys, time
from mcp_vlsearch.cli import run
code = run(sys.argv[1:])
print(*sorted(name for name in sys.modules if "." not in name), file=sys.stderr)
print(time.process_time(), file=sys.stderr)
sys.exit(code)
"""


def modules_and_seconds(*arguments: str) -> tuple[set[str], float]:
    """Run a command; return the modules that it imported and the processor time it took."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, check=True
    )
    *_, modules, seconds = done.stderr.splitlines()
    return set(modules.split()), float(seconds)


def test_help_does_not_import_pydantic() -> None:
    """Below it typer may, to read a command's options."""
    assert "pydantic" not in modules_and_seconds("--help")[0]


def test_help_takes_less_than_half_a_second_of_processor_time() -> None:
    assert min(modules_and_seconds("--help")[1] for _ in range(3)) < 0.5


@pytest.mark.parametrize("command", [(), *(tuple(name.split()) for name in COMMANDS)], ids=" ".join)
def test_help_imports_nothing_heavy(command: tuple[str, ...]) -> None:
    modules, _ = modules_and_seconds(*command, "--help")
    assert "typer" in modules
    assert not modules & HEAVY


def test_listing_plugins_imports_none_of_them() -> None:
    modules, _ = modules_and_seconds("plugins")
    assert not modules & {"torch", "transformers", "faiss", "mcp", "mcp_vlsearch_colours"}


def test_every_command_of_the_contract_is_there_and_listed_in_help(run: Run) -> None:
    result = run("--help")
    assert result.code == 0
    first_words = {name.split()[0] for name in COMMANDS}
    assert set(get_command(app).commands) == first_words  # type: ignore[attr-defined]
    assert all(name in result.out for name in first_words)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help_and_takes_library_and_json(name: str) -> None:
    command: Any = get_command(app)
    for word in name.split():
        command = command.commands[word]
    assert command.help
    assert all(option.help for option in command.params)
    flags = {flag for option in command.params for flag in option.opts}
    assert {"--library", "--json"} <= flags


def test_version_is_that_of_the_package(run: Run) -> None:
    assert run("--version").out == f"mcp-vlsearch {VERSION}\n"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nonsense"], "nonsense"),
        (["status", "--nonsense"], "--nonsense"),
        (["remove"], "PATH"),
        (["search"], "--image"),
        (["search", "cat", "--image", "x.png", "--exclude", "dog"], "--exclude"),
        (["search", "cat", "-k", "0"], "-k"),
        (["search", "cat", "--near", "1,2"], "--near"),
        (["search", "cat", "--near", "1,200,3"], "--near"),
        (["search", "cat", "--orientation", "round"], "--orientation"),
        (["search", "cat", "--taken-after", "someday"], "--taken-after"),
        (["search", "cat", "--format", "jpgg"], "--format: no picture has this format"),
        (["search", "cat", "--rewrite", "nonsense"], "--rewrite"),
        (["search", "cat", "--sheet", "hits.png"], "--sheet"),
        (["status", "--precision", "fp7"], "--precision"),
        (["status", "--dim", "1"], "--dim"),
        (["status", "--batch-size", "many"], "--batch-size"),
        (["index", ".", "--encoder", "nonsense"], "--encoder"),
        (["index", ".", "--index", "nonsense"], "--index"),
        (["serve", "--transport", "pigeon"], "--transport"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_usage_is_one_line_that_names_it_and_exit_code_2(
    run: Run, arguments: list[str], named: str
) -> None:
    result = run(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("error: ")
    assert len(result.err.splitlines()) == 1
    assert named in result.err


def test_a_wrong_environment_is_named_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_VLSEARCH_DEVICE", "abacus")
    result = run("status")
    assert result.code == 2
    assert "MCP_VLSEARCH_DEVICE" in result.err


def test_a_surprise_is_one_line_with_a_hint_unless_debugging(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("by\nzero")

    monkeypatch.setattr("mcp_vlsearch.plugins.available", fail)
    result = run("plugins")
    assert result.code == 1
    assert result.err.startswith("error: ZeroDivisionError: by zero")
    assert "MCP_VLSEARCH_DEBUG=1" in result.err
    assert len(result.err.splitlines()) == 1

    monkeypatch.setenv("MCP_VLSEARCH_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        run("plugins")


def test_memory_that_runs_out_is_one_line_that_says_what_to_do(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("mcp_vlsearch.plugins.available", fail)
    result = run("plugins")
    assert result.code == 1
    assert result.err == f"error: {MEMORY_HAS_RUN_OUT}\n"


def test_a_terminal_that_lacks_a_character_gets_an_escape(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mcp_vlsearch", "status", "--library", str(tmp_path / "猫")]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    with Library.open(tmp_path / "猫") as library:
        library.allow([tmp_path])
    done = subprocess.run(command, capture_output=True, env=environment, check=True)
    assert rb"\u732b" in done.stdout
