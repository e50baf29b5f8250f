"""All commands on one screen, and how a command's errors become one line and an exit code."""

import errno
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Final, TextIO

import typer
from typer.exceptions import TyperException

from mcp_vlsearch.cli import (
    cache,
    demo,
    doctor,
    duplicates,
    encoder,
    evaluate,
    index,
    install,
    plugins,
    remove,
    search,
    serve,
    status,
    storybook,
    webui,
)
from mcp_vlsearch.cli.defaults import CommandWithDefaults, GroupWithNames
from mcp_vlsearch.cli.examples import EXIT_CODES, epilog
from mcp_vlsearch.errors import (
    MEMORY_HAS_RUN_OUT,
    CancelledError,
    SettingsError,
    VLSearchError,
)
from mcp_vlsearch.leaving import leave
from mcp_vlsearch.logs import set_up_logs
from mcp_vlsearch.memory import keep_pools_few
from mcp_vlsearch.private import keep_private
from mcp_vlsearch.wording import in_words

__all__ = ["app", "main", "run"]

DONE: Final = 0
FAILED: Final = 1
WRONG_USAGE: Final = 2
INTERRUPTED: Final = 130

DEBUG: Final = "MCP_VLSEARCH_DEBUG"

app = typer.Typer(
    name="mcp-vlsearch",
    cls=GroupWithNames,
    help="Eyes for an assistant over your own pictures.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.serve)
app.command("webui")(webui.webui)
app.command("index")(index.index)
app.command("search")(search.search)
app.command("status")(status.status)
app.command("remove")(remove.remove)
app.command("duplicates")(duplicates.duplicates)
app.command("plugins")(plugins.plugins)
app.command("doctor")(doctor.doctor)
app.command("install")(install.install)
app.command("demo")(demo.demo)
app.command("storybook")(storybook.storybook)
app.command("eval")(evaluate.evaluate)
app.add_typer(cache.commands, name="cache")
app.add_typer(encoder.commands, name="encoder")

for _words, _group in (("", app), ("cache ", cache.commands), ("encoder ", encoder.commands)):
    for _command in _group.registered_commands:
        _command.epilog = epilog(f"{_words}{_command.name}")
        _command.cls = CommandWithDefaults


def _print_version(wanted: bool) -> None:
    if wanted:
        from mcp_vlsearch.version import VERSION

        typer.echo(f"mcp-vlsearch {VERSION}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", is_eager=True, callback=_print_version),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log all that is done, to stderr.")
    ] = False,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Log as JSON, a line for each event.")
    ] = False,
) -> None:
    del version
    set_up_logs(verbose=verbose, as_json=log_json)


def main() -> int:
    """Run the command of this process and return its exit code, or end with it at once.

    Threads that are still at work, such as those of a download, are not waited for.
    """
    keep_private()
    keep_pools_few()
    code = run(sys.argv[1:])
    leave(code)
    return code


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 wrong usage, 130 Ctrl-C."""
    _write_what_a_terminal_lacks(sys.stdout, sys.stderr)
    try:
        code = app(args=list(arguments), prog_name="mcp-vlsearch", standalone_mode=False)
    except TyperException as error:
        return _fail(_what_to_give(error), error.exit_code)
    except SettingsError as error:
        return _fail(str(error), WRONG_USAGE)
    except CancelledError as error:
        typer.echo(error, err=True)
        return INTERRUPTED
    except VLSearchError as error:
        return _fail(str(error), FAILED)
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        if isinstance(error, MemoryError):
            return _fail(MEMORY_HAS_RUN_OUT, FAILED)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return _fail("the disk is full: free some space, then run it again", FAILED)
        return _fail(
            f"{type(error).__name__}: {error} (set {DEBUG}=1 to see where it comes from)", FAILED
        )
    if code == INTERRUPTED:
        typer.echo("stopped", err=True)
    return int(code or DONE)


def _what_to_give(error: TyperException) -> str:
    """Return a message of Typer, in our own words where pydantic wrote it for programmers."""
    cause, option = error.__cause__, getattr(error, "param", None)
    if not isinstance(cause, ValueError) or not hasattr(cause, "errors") or option is None:
        return error.format_message()
    problem = cause.errors()[0]
    words = in_words(problem).removeprefix("Value error, ").rstrip(".")
    got = "" if repr(problem["input"]) in words else f" (got {problem['input']!r})"
    return f"{option.opts[-1]}: {words}{got}"


def _fail(message: str, code: int) -> int:
    typer.echo("error: " + " ".join(message.split()), err=True)
    return code


def _write_what_a_terminal_lacks(*streams: TextIO) -> None:
    """Show a character that a stream can't encode as an escape, rather than fail."""
    for stream in streams:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
