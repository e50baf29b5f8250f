"""The verdict on a run of the conformance suite."""

import json
from pathlib import Path

from tests.conformance.judging import judge, kept_checks, results

KEPT = {"tools": frozenset({"image"}), "never ran": frozenset({"any"})}


def test_a_check_that_fails_and_is_not_kept_is_unexpected() -> None:
    said = judge({"tools": [("image", "FAILURE"), ("wire", "FAILURE")]}, KEPT)
    assert (said.unexpected, said.stale) == (["tools: wire"], [])
    assert (said.checks_passed, said.checks_kept) == (0, 1)


def test_a_kept_check_that_passes_is_stale_where_its_scenario_ran() -> None:
    said = judge({"tools": [("image", "SUCCESS")], "ping": [("ping", "SUCCESS")]}, KEPT)
    assert (said.unexpected, said.stale) == ([], ["tools: image"])
    assert (said.scenarios, said.scenarios_passed, said.checks_passed) == (2, 2, 2)


def test_results_are_read_by_scenario_from_the_suites_folder(tmp_path: Path) -> None:
    folder = tmp_path / "server-tools-list-2026-07-28T10-00-00-000Z"
    folder.mkdir()
    checks = [{"id": "tools-list", "status": "SUCCESS"}]
    (folder / "checks.json").write_text(json.dumps(checks))
    assert results(tmp_path) == {"tools-list": [("tools-list", "SUCCESS")]}


def test_every_kept_check_belongs_to_a_scenario_and_is_there_once() -> None:
    kept = kept_checks()
    assert all(kept.values())
    names = [name for ids in kept.values() for name in ids]
    assert len(names) == len(set(names))
