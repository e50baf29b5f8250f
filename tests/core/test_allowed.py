"""What a filter allows is remembered until something is written, and not without end."""

from typing import Any

import numpy as np
import pytest

from mcp_vlsearch.cache.conditions import Condition
from mcp_vlsearch.core import allowed
from mcp_vlsearch.core.allowed import Allowed

ONE, TWO, THREE = (Condition(name, ()) for name in ("one", "two", "three"))


class Catalog:
    """Allows 100 seqs by whatever condition, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.number = 1

    def version(self) -> int:
        return self.number

    def allowed(self, condition: Condition, _fingerprint: str) -> Any:
        self.asked.append(condition.sql)
        return np.arange(100) + self.number


def test_a_condition_is_asked_for_once_until_something_is_written() -> None:
    catalog: Any = Catalog()
    filtered = Allowed(catalog, "fingerprint")
    for condition in (ONE, TWO, ONE, TWO):
        assert filtered.seqs(condition)[0] == 1
    assert catalog.asked == ["one", "two"]
    catalog.number = 2
    assert filtered.seqs(ONE)[0] == 2
    assert catalog.asked == ["one", "two", "one"]


def test_what_was_longest_not_asked_for_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowed, "_MOST", 250)
    catalog: Any = Catalog()
    filtered = Allowed(catalog, "fingerprint")
    for condition in (ONE, TWO, ONE, THREE, ONE, TWO):
        filtered.seqs(condition)
    assert catalog.asked == ["one", "two", "three", "two"]


def test_what_is_written_meanwhile_makes_the_answer_one_to_forget() -> None:
    catalog: Any = Catalog()
    filtered = Allowed(catalog, "fingerprint")

    def overtaken(*_: object) -> Any:
        catalog.number = 2
        del catalog.allowed
        assert filtered.seqs(TWO)[0] == 2
        return np.arange(5)

    catalog.allowed = overtaken
    assert len(filtered.seqs(ONE)) == 5
    assert len(filtered.seqs(ONE)) == 100
