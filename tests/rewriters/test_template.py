"""The template rewriter: only terse queries, only in their own language, no facts added."""

import re
from pathlib import Path

import pytest

from mcp_vlsearch.plugins import resolve
from mcp_vlsearch.rewriters.template import TemplateRewriter
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.testing import check_rewriter

HAN = re.compile("[\u4e00-\u9fff]")


@pytest.fixture
def rewriter() -> TemplateRewriter:
    return TemplateRewriter(Settings(library=Path("unused")))


def test_it_keeps_the_contract_and_is_found_by_name(rewriter: TemplateRewriter) -> None:
    check_rewriter(rewriter)
    assert resolve("rewriters", "template") is TemplateRewriter


@pytest.mark.parametrize("query", ["cat", "red bicycle", "two dogs in snow", "  red   car "])
def test_a_terse_english_query_becomes_english_descriptions(
    rewriter: TemplateRewriter, query: str
) -> None:
    phrasings = rewriter.rewrite(query)
    assert 1 <= len(phrasings) <= 2
    for phrasing in phrasings:
        assert " ".join(query.split()) in phrasing
        assert phrasing.endswith(".")
        assert not HAN.search(phrasing)


@pytest.mark.parametrize("query", ["猫", "红色的自行车", "夜晚的城市街道", "OPEN 牌子"])
def test_a_terse_chinese_query_becomes_chinese_descriptions(
    rewriter: TemplateRewriter, query: str
) -> None:
    phrasings = rewriter.rewrite(query)
    assert 1 <= len(phrasings) <= 2
    for phrasing in phrasings:
        assert query in phrasing
        assert phrasing.endswith("。")
        assert not re.search("[a-z]", phrasing)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "   ",
        "a red bicycle that leans on a wall",
        "Cats sleep.",
        "一只红色的猫在房间里的椅子上",
        "猫在睡觉。",
        "красный велосипед",
        "自転車に乗っている人々",
    ],
)
def test_any_other_query_is_left_alone(rewriter: TemplateRewriter, query: str) -> None:
    assert rewriter.rewrite(query) == []
