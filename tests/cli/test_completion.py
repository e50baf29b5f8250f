"""Shells complete our commands, and the help of each shows how it is used."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from mcp_vlsearch.cli import app
from mcp_vlsearch.cli.examples import EXAMPLES, EXIT_CODES

from .conftest import Run
from .test_start_up import COMMANDS

SCRIPT = "import sys; sys.argv[0] = 'mcp-vlsearch'; from mcp_vlsearch.cli import main; main()"


def completed(shell: str, line: str) -> str:
    """Ask as the shell does, when Tab is pressed at the end of a line."""
    words = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    environment = {**os.environ, **words, "_MCP_VLSEARCH_COMPLETE": f"complete_{shell}"}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_tab_completes_commands_options_and_choices(shell: str) -> None:
    assert {"index", "install"} <= set(
        completed(shell, "mcp-vlsearch in").replace('"', " ").replace(":", " ").split()
    )
    assert "--transport" in completed(shell, "mcp-vlsearch serve --tr")
    choices = completed(shell, "mcp-vlsearch serve --transport ")
    assert "stdio" in choices
    assert "http" in choices


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_ask(shell: str) -> None:
    environment = {**os.environ, "_MCP_VLSEARCH_COMPLETE": f"source_{shell}"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
    )
    assert f"_MCP_VLSEARCH_COMPLETE=complete_{shell}" in done.stdout


def test_every_command_has_an_example_and_each_example_is_of_its_command() -> None:
    assert set(EXAMPLES) == set(COMMANDS)
    assert all(
        line.startswith(f"mcp-vlsearch {words}")
        for words, lines in EXAMPLES.items()
        for line in lines
    )


@pytest.mark.parametrize("line", [line for lines in EXAMPLES.values() for line in lines])
def test_an_example_is_a_command_line_that_is_understood(line: str) -> None:
    command: Any = get_command(app)
    _, *words = shlex.split(line)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context(command.name, [word.replace("~", str(Path.home())) for word in words])


@pytest.mark.parametrize("words", COMMANDS)
def test_the_help_of_a_command_shows_its_examples(
    run: Run, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    shown = run(*words.split(), "--help").out
    assert all(line in shown for line in EXAMPLES[words])


def test_the_help_says_what_exit_codes_mean(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert EXIT_CODES in run("--help").out
