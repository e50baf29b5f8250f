"""What came of a run, as tables that are kept: of each version, and of each scenario."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks._machine import describe
from benchmarks._tables import Cell, Table, save
from tests.conformance.judging import Checks, Found, judge
from tests.conformance.tools import INSPECTOR, NODE, SUITE

RESULTS: Final = Path(__file__).with_name("results.json")
_FACTS: Final = ("date", "system", "python", "mcp-vlsearch", "mcp")
_COLUMNS: Final = ("passed", "scenarios", "checks passed", "checks kept", "unexpected", "stale")


def write(out: Path, found: Mapping[str, Found], kept: Checks, notes: Sequence[str]) -> None:
    """Print and write what each version's scenarios found, and what of it is known to fail."""
    versions: list[list[Cell]] = []
    tables = []
    for version, scenarios in found.items():
        said = judge(scenarios, kept)
        passed: list[Cell] = [said.scenarios_passed, said.scenarios, said.checks_passed]
        wrong = [len(said.unexpected), len(said.stale)]
        versions.append([version, *passed, said.checks_kept, *wrong])
        rows, failing = list[list[Cell]](), list[str]()
        for name, checks in sorted(scenarios.items()):
            failed = {check for check, status in checks if status == "FAILURE"}
            known = sorted(failed & kept.get(name, frozenset()))
            failing += [f"Kept of {name}: {', '.join(known)}."] * bool(known)
            rows.append([name, sum(status == "SUCCESS" for _, status in checks), len(failed)])
        columns = {"scenario": "", "checks passed": "d", "checks failed": "d"}
        tables.append(Table(f"Scenarios of {version}", columns, rows, failing))
    counts = {"protocol": "", **dict.fromkeys(_COLUMNS, "d")}
    machine = {name: fact for name, fact in describe().items() if name in _FACTS}
    packages = {"node": NODE, "suite": SUITE, "inspector": INSPECTOR}
    save(out, [Table("Suite", counts, versions, notes), *tables], machine, packages)
