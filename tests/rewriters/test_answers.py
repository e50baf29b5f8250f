"""What models answer, and the phrasings in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_vlsearch.rewriters.answers import keeps_language, phrasings_in, without_thoughts

WANTED = ["A red bicycle in the rain.", "A bicycle that is red."]


@pytest.mark.parametrize(
    "answer",
    [
        "A red bicycle in the rain.\nA bicycle that is red.",
        "\n\n  A red bicycle in the rain.  \n\nA bicycle that is red.\n",
        "1. A red bicycle in the rain.\n2. A bicycle that is red.",
        "1) A red bicycle in the rain.\n2) A bicycle that is red.",
        "（1）A red bicycle in the rain.\n（2）A bicycle that is red.",
        "- A red bicycle in the rain.\n* A bicycle that is red.",
        "• **A red bicycle in the rain.**\n• **A bicycle that is red.**",
        '"A red bicycle in the rain."\n“A bicycle that is red.”',
        "Here are two captions:\nA red bicycle in the rain.\nA bicycle that is red.",
        "Caption 1: A red bicycle in the rain.\nCaption 2: A bicycle that is red.",
        "```\nA red bicycle in the rain.\nA bicycle that is red.\n```",
        "Sure!:\n```text\nA red bicycle in the rain.\nA bicycle that is red.\n```\nThere!",
        '["A red bicycle in the rain.", "A bicycle that is red."]',
        '```json\n["A red bicycle in the rain.", "A bicycle that is red."]\n```',
        '{"captions": ["A red bicycle in the rain.", "A bicycle that is red."]}',
        '"A red bicycle in the rain.",\n"A bicycle that is red.",',
        "<think>\nThe user wants 3.\nA bike?\n</think>\n\nA red bicycle in the rain.\n"
        "A bicycle that is red.",
        "The user wants a bike.\n</think>\nA red bicycle in the rain.\nA bicycle that is red.",
        "A red bicycle in the rain.\nA bicycle that is red.\n<think>Is that all",
        "A red bicycle in the rain.\nRed bicycle, rain!\nA bicycle that is red.",
        "A red bicycle in the rain.\nA RED BICYCLE IN THE RAIN\nA bicycle that is red.",
        "A red bicycle in the rain.\n雨中的红色自行车。\nA bicycle that is red.",
        "A red bicycle in the rain.\n---\n?!\nA bicycle that is red.",
        f"A red bicycle in the rain.\n{'and on ' * 100}\nA bicycle that is red.",
        "A red bicycle in the rain.\nA bicycle that is red.\nA third.\nA fourth.",
    ],
)
def test_the_phrasings_are_found_in_whatever_is_around_them(answer: str) -> None:
    most = 2 if "third" in answer else 3
    assert phrasings_in(answer, "red bicycle rain", most) == WANTED


def test_a_number_that_is_said_is_no_number_of_a_list() -> None:
    answer = "1. 2 cats on a sofa\n2. 1.5 litre bottle"
    assert phrasings_in(answer, "cats", 3) == ["2 cats on a sofa", "1.5 litre bottle"]


@pytest.mark.parametrize(
    "answer", ["", "  \n ", "<think>still", "a</think>", "```\n```", "[]", "{}", "[1, 2]", "?!"]
)
def test_an_answer_without_any_gives_none(answer: str) -> None:
    assert phrasings_in(answer, "cat", 3) == []


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("<think>a</think>b", "b"),
        ("a</think>b", "b"),
        ("a<think>b", "a"),
        ("<think>a</think>b<think>c</think>d", "bd"),
        ("a</think>b<think>c", "b"),
        ("no thought", "no thought"),
    ],
)
def test_thoughts_go_whichever_mark_is_missing(text: str, left: str) -> None:
    assert without_thoughts(text) == left


@pytest.mark.parametrize(
    ("query", "phrasing", "keeps"),
    [
        ("red cat", "A red cat.", True),
        ("red cat", "红色的猫", False),
        ("红色的猫", "A red cat.", False),
        ("OPEN 牌子", "写着OPEN的牌子", True),
        ("OPEN 牌子", "A sign that says OPEN.", False),
        ("кот", "A cat.", False),
        ("кот", "Рыжий кот на диване.", True),
        ("고양이", "고양이 사진", True),
        ("cat", "A cat (猫)", True),
        ("42", "A number", True),
        ("cat", "42", False),
    ],
)
def test_the_language_is_told_by_its_script(query: str, phrasing: str, keeps: bool) -> None:
    assert keeps_language(query, phrasing) is keeps


@given(st.text(), st.text(min_size=1))
def test_any_answer_gives_a_bounded_number_of_lines(answer: str, query: str) -> None:
    found = phrasings_in(answer, query, 3)
    assert len(found) <= 3
    assert all(p == p.strip() and p and "\n" not in p and len(p) <= 400 for p in found)
    assert query not in found
