"""What the conformance suite found, held to the checks that are known to fail."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

KEPT: Final = Path(__file__).with_name("kept.yml")
_TIME: Final = re.compile(r"-\d{4}-\d\d-\d\dT[\d-]+Z$")
"""What ends the names of the suite's folders: when the scenario ran."""

Checks = Mapping[str, frozenset[str]]
"""Names of checks, by scenario."""

Found = Mapping[str, list[tuple[str, str]]]
"""Checks of each scenario: (id, status)."""


@dataclass(frozen=True)
class Verdict:
    """How many scenarios and checks passed, and what differs from what is known."""

    scenarios: int
    scenarios_passed: int
    checks_passed: int
    checks_kept: int
    unexpected: list[str]
    stale: list[str]


def kept_checks(path: Path = KEPT) -> Checks:
    """Return the checks that are known to fail."""
    groups = yaml.safe_load(path.read_text("utf-8"))
    return {name: frozenset(ids) for group in groups for name, ids in group["checks"].items()}


def results(folder: Path) -> Found:
    """Return what is in the suite's folder of results."""
    found = {}
    for file in sorted(folder.glob("server-*/checks.json")):
        scenario = _TIME.sub("", file.parent.name.removeprefix("server-"))
        checks = json.loads(file.read_text("utf-8"))
        found[scenario] = [(check["id"], check["status"]) for check in checks]
    return found


def judge(found: Found, kept: Checks) -> Verdict:
    """Hold what was found to what is known to fail; what did not run is not judged."""
    unexpected, stale = [], []
    passed = failed = clean = 0
    for scenario, checks in found.items():
        failing = {name for name, status in checks if status == "FAILURE"}
        known = kept.get(scenario, frozenset())
        unexpected += [f"{scenario}: {name}" for name in sorted(failing - known)]
        stale += [f"{scenario}: {name}" for name in sorted(known - failing)]
        passed += sum(status == "SUCCESS" for _, status in checks)
        failed += len(failing & known)
        clean += not failing
    return Verdict(len(found), clean, passed, failed, unexpected, stale)
