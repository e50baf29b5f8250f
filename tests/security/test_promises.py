"""`SECURITY.md` promises nothing that no test attacks."""

import re

import pytest

from tests.named import NAME, REPOSITORY, functions_in

TEXT = (REPOSITORY / "SECURITY.md").read_text("utf-8")
PROMISES = re.findall(r"^\| (?!Promise |---)(.*) \| (.*) \|$", TEXT, re.MULTILINE)


@pytest.mark.parametrize(("promise", "tests"), PROMISES, ids=[p[:40] for p, _ in PROMISES])
def test_every_promise_names_its_tests(promise: str, tests: str) -> None:
    assert NAME.search(tests), promise
    assert not NAME.sub("", tests).strip(), f"{promise}: only names of tests"


@pytest.mark.parametrize("name", sorted(set(NAME.findall(TEXT))), ids="::".join)
def test_every_test_that_is_named_exists(name: tuple[str, str]) -> None:
    file, test = name
    assert test in functions_in(file)


def test_the_promises_are_found() -> None:
    assert len(PROMISES) >= 18


def test_the_page_is_linked_and_shipped() -> None:
    for page in ("README.md", "docs/architecture.md", "docs/usage.md"):
        assert "SECURITY.md" in (REPOSITORY / page).read_text("utf-8"), page
    assert '"/SECURITY.md"' in (REPOSITORY / "pyproject.toml").read_text("utf-8")
