"""The verdict on a run of the conformance suite."""

import json
from pathlib import Path

from tests.conformance.judging import judge, kept_checks, results
from tests.conformance.report import RESULTS, write
from tests.conformance.tools import INSPECTOR, NODE, SUITE

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
    checks = [{"id": "any", "status": "SUCCESS"}]
    for name in ("tools-list", "json-schema-2020-12"):
        # What follows the seconds looks like a year now and then.
        folder = tmp_path / f"server-{name}-2026-07-28T10-00-00-204Z"
        folder.mkdir()
        (folder / "checks.json").write_text(json.dumps(checks))
    assert results(tmp_path) == {
        "tools-list": [("any", "SUCCESS")],
        "json-schema-2020-12": [("any", "SUCCESS")],
    }


def test_every_kept_check_belongs_to_a_scenario_and_is_there_once() -> None:
    kept = kept_checks()
    assert all(kept.values())
    names = [name for ids in kept.values() for name in ids]
    assert len(names) == len(set(names))


def test_what_came_of_a_run_is_written_by_version_and_by_scenario(tmp_path: Path) -> None:
    found = {"tools": [("image", "FAILURE"), ("wire", "SUCCESS")], "ping": [("ping", "SUCCESS")]}
    write(tmp_path / "results.json", {"2026-07-28": found}, KEPT, ["Inspector: 8 tools."])
    versions, scenarios = json.loads((tmp_path / "results.json").read_text("utf-8"))["tables"]
    assert versions["rows"] == [
        {
            "protocol": "2026-07-28",
            "passed": 1,
            "scenarios": 2,
            "checks passed": 2,
            "checks kept": 1,
            "unexpected": 0,
            "stale": 0,
        }
    ]
    assert versions["notes"] == ["Inspector: 8 tools."]
    assert [list(row.values()) for row in scenarios["rows"]] == [["ping", 1, 0], ["tools", 1, 1]]
    assert scenarios["notes"] == ["Kept of tools: image."]


def test_the_results_that_are_kept_are_of_the_packages_and_the_checks_of_now() -> None:
    kept = json.loads(RESULTS.read_text("utf-8"))
    assert kept["options"] == {"node": NODE, "suite": SUITE, "inspector": INSPECTOR}
    versions, *scenarios = kept["tables"]
    assert not any(row["unexpected"] or row["stale"] for row in versions["rows"])
    failing = {note for table in scenarios for note in table["notes"]}
    named = {f"Kept of {name}: {', '.join(sorted(ids))}." for name, ids in kept_checks().items()}
    assert failing == named, "run make conformance"


def test_the_page_names_the_packages_that_were_run() -> None:
    page = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text("utf-8")
    for package in (SUITE, INSPECTOR):
        name, _, version = package.rpartition("@")
        assert f"`{name}` {version}" in page
