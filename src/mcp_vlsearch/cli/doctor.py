"""``doctor``: looks at everything that a library stands on, and says what to do."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mcp_vlsearch.cli.frame import note, print_json, settings_from
from mcp_vlsearch.cli.options import ENCODING, WithJson, only, takes
from mcp_vlsearch.cli.progress import working
from mcp_vlsearch.errors import SettingsError

if TYPE_CHECKING:
    from mcp_vlsearch.core.health.check import Check, DoctorReport

__all__ = ["doctor"]

_COLOURS: Final = {"ok": "green", "warning": "yellow", "error": "red"}


@takes(flags=only(*ENCODING))
def doctor(
    *,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Leave out what takes longer: files, a large database, the encoder."
        ),
    ] = False,
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend what can be mended without losing anything.")
    ] = False,
    json: WithJson = False,
    flags: dict[str, Any],
) -> int:
    """Check environment, model, library and clients; each line says what to do."""
    from mcp_vlsearch.core.health.check import DoctorReport
    from mcp_vlsearch.core.health.doctor import examine, examine_without_settings, fixed

    try:
        settings = settings_from(flags)
    except SettingsError as problem:
        checks = list(_shown(examine_without_settings(problem), json))
        return _result(DoctorReport(checks=checks, fixed=[]), json)
    checks = list(_shown(examine(settings, quick=quick), json or fix))
    done: list[str] = []
    if fix:
        with working() as report:
            done = fixed(settings, checks, report)
        for line in done:
            note(line)
        checks = list(_shown(examine(settings, quick=quick), json))
    return _result(DoctorReport(checks=checks, fixed=done), json)


def _result(report: "DoctorReport", json: bool) -> int:
    if json:
        print_json(report)
    return 1 if report.is_ill else 0


def _shown(checks: "Iterable[Check]", silent: bool) -> "Iterator[Check]":
    """Pass checks on, and print each as soon as it is made."""
    if silent:
        yield from checks
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True)
    for check in checks:
        state = (f"{check.state:<8}", _COLOURS[check.state])
        console.print(Text.assemble(state, (f"{check.name:<15} ", "bold"), check.message))
        if check.mend:
            console.print(Text.assemble(" " * 24, "→ ", check.mend))
        yield check
