"""`SECURITY.md` promises nothing that no test attacks."""

import ast
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
TEXT = (REPOSITORY / "SECURITY.md").read_text("utf-8")
PROMISES = re.findall(r"^\| (?!Promise |---)(.*) \| (.*) \|$", TEXT, re.MULTILINE)
_NAME = re.compile(r"`(tests/\S+?\.py)::(test_\w+)`")


@pytest.mark.parametrize(("promise", "tests"), PROMISES, ids=[p[:40] for p, _ in PROMISES])
def test_every_promise_names_its_tests(promise: str, tests: str) -> None:
    assert _NAME.search(tests), promise
    assert not _NAME.sub("", tests).strip(), f"{promise}: only names of tests"


@pytest.mark.parametrize("name", sorted(set(_NAME.findall(TEXT))), ids="::".join)
def test_every_test_that_is_named_exists(name: tuple[str, str]) -> None:
    file, test = name
    tree = ast.parse((REPOSITORY / file).read_text("utf-8"))
    found = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert test in found


def test_the_promises_are_found() -> None:
    assert len(PROMISES) >= 18


def test_the_page_is_linked_and_shipped() -> None:
    for page in ("README.md", "docs/architecture.md", "docs/usage.md"):
        assert "SECURITY.md" in (REPOSITORY / page).read_text("utf-8"), page
    assert '"/SECURITY.md"' in (REPOSITORY / "pyproject.toml").read_text("utf-8")
