"""`docs/faults.md` names a test for every fault, and each of them exists."""

import ast
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
TEXT = (REPOSITORY / "docs" / "faults.md").read_text("utf-8")
FAULTS = re.findall(r"^\| (?!Fault |---)(.*?) \| .* \| (.*) \|$", TEXT, re.MULTILINE)
_NAME = re.compile(r"`(tests/\S+?\.py)::(test_\w+)`")


def test_every_fault_names_a_test() -> None:
    assert len(FAULTS) >= 14
    assert not [fault for fault, tests in FAULTS if not _NAME.search(tests)]


@pytest.mark.parametrize("name", sorted(set(_NAME.findall(TEXT))), ids="::".join)
def test_every_test_that_is_named_exists(name: tuple[str, str]) -> None:
    file, test = name
    tree = ast.parse((REPOSITORY / file).read_text("utf-8"))
    found = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert test in found


def test_every_test_of_a_fault_is_named() -> None:
    for file in ("test_faults.py", "test_corruption.py"):
        tree = ast.parse((REPOSITORY / "tests" / "faults" / file).read_text("utf-8"))
        tests = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
        named = {test for home, test in _NAME.findall(TEXT) if home == f"tests/faults/{file}"}
        stopped = {"test_a_recovery_that_is_stopped_changes_nothing"}
        assert {test for test in tests if test.startswith("test_")} - stopped == named


def test_the_page_is_linked() -> None:
    for page in ("SECURITY.md", "docs/architecture.md", "docs/troubleshooting.md"):
        assert "faults.md" in (REPOSITORY / page).read_text("utf-8"), page
