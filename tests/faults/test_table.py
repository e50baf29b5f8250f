"""`docs/faults.md` names a test for every fault, and each of them exists."""

import re

import pytest

from tests.named import NAME, REPOSITORY, functions_in

TEXT = (REPOSITORY / "docs" / "faults.md").read_text("utf-8")
FAULTS = re.findall(r"^\| (?!Fault |---)(.*?) \| .* \| (.*) \|$", TEXT, re.MULTILINE)


def test_every_fault_names_a_test() -> None:
    assert len(FAULTS) >= 14
    assert not [fault for fault, tests in FAULTS if not NAME.search(tests)]


@pytest.mark.parametrize("name", sorted(set(NAME.findall(TEXT))), ids="::".join)
def test_every_test_that_is_named_exists(name: tuple[str, str]) -> None:
    file, test = name
    assert test in functions_in(file)


def test_every_test_of_a_fault_is_named() -> None:
    for file in ("test_faults.py", "test_corruption.py"):
        home = f"tests/faults/{file}"
        named = {test for place, test in NAME.findall(TEXT) if place == home}
        stopped = {"test_a_recovery_that_is_stopped_changes_nothing"}
        assert functions_in(home) - stopped == named


def test_the_page_is_linked() -> None:
    for page in ("SECURITY.md", "docs/architecture.md", "docs/troubleshooting.md"):
        assert "faults.md" in (REPOSITORY / page).read_text("utf-8"), page
