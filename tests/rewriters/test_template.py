"""The template rewriter: terse queries taken apart, in their own language, no facts added."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_vlsearch.plugins import resolve
from mcp_vlsearch.rewriters.template import TemplateRewriter, chinese, english
from mcp_vlsearch.rewriters.template.lexicon import PARTS, Parts, read_lexicon
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.testing import check_rewriter

HAN = re.compile("[\u4e00-\u9fff]")
ENGLISH = read_lexicon("english", spaced=True)
CHINESE = read_lexicon("chinese", spaced=False)


@pytest.fixture(scope="module")
def rewriter() -> TemplateRewriter:
    return TemplateRewriter(Settings(library=Path("unused")))


def test_it_keeps_the_contract_and_is_found_by_name(rewriter: TemplateRewriter) -> None:
    check_rewriter(rewriter, seconds=1)
    assert resolve("rewriters", "template") is TemplateRewriter


@pytest.mark.parametrize(
    ("query", "parts"),
    [
        ("cat", Parts("a cat")),
        ("  Red   bicycle ", Parts("a red bicycle")),
        ("two dogs in snow", Parts("two dogs", ("in the snow",))),
        ("3 cats", Parts("three cats")),
        ("wooden chair, garden", Parts("a wooden chair", ("in a garden",))),
        ("cat beach sunset", Parts("a cat", ("on a beach", "at sunset"))),
        ("dog near the beach", Parts("a dog", ("near a beach",))),
        ("watercolor cat", Parts("a cat", (), "a watercolor")),
        ("black and white photo of tram", Parts("a tram", (), "a black and white photo")),
        ("bridge from below", Parts("a bridge", (), "", ("seen from below",))),
        ("aerial view city", Parts("a city", (), "", ("seen from the air",))),
        ("aerial view of city", Parts("a city", (), "", ("seen from the air",))),
        ("night", Parts("", ("at night",))),
        ("black", Parts("something black")),
        ("sign OPEN", Parts('a sign that says "OPEN"')),
        ("yellow STOP sign", Parts('a yellow sign that says "STOP"')),
        ("man with umbrella", Parts("a man with an umbrella")),
        ("cup of coffee", Parts("a cup of coffee")),
        ("Eiffel Tower night", Parts("Eiffel Tower", ("at night",))),
        ("an animal", Parts("an animal")),
        ("university", Parts("a university")),
        ("dog running beach", Parts("a dog running", ("on a beach",))),
    ],
)
def test_terse_english_is_taken_apart(query: str, parts: Parts) -> None:
    assert english.parse(query) == parts


@pytest.mark.parametrize(
    ("query", "subject"),
    [
        ("beach ball", "a beach ball"),
        ("busy street", "a busy street"),
        ("red house", "a red house"),
        ("abandoned factory", "an abandoned factory"),
        ("the beach", "the beach"),
        ("rock garden", "a rock garden"),
        ("view of village", "a view of a village"),
        ("man painting wall", "a man painting wall"),
        ("nightingale", "a nightingale"),
        ("roomba", "a roomba"),
    ],
)
def test_a_place_that_is_what_is_shown_stays_the_subject(query: str, subject: str) -> None:
    assert english.parse(query) == Parts(subject)


@pytest.mark.parametrize(
    ("query", "parts"),
    [
        ("猫", Parts("猫")),
        ("红色自行车", Parts("红色的自行车")),
        ("红色的自行车", Parts("红色的自行车")),
        ("自行车 红色", Parts("红色的自行车")),
        ("红色的猫 蓝色的狗", Parts("红色的猫、蓝色的狗")),
        ("红色", Parts("红色的东西")),
        ("两只猫 夜晚", Parts("两只猫", ("在夜晚",))),
        ("雪地里的狗", Parts("狗", ("在雪地里",))),
        ("猫在海边", Parts("猫", ("在海边",))),
        ("夜晚的城市街道", Parts("", ("在夜晚", "在城市街道上"))),
        ("水彩 猫 俯拍", Parts("猫", (), "水彩画", ("从上方拍摄",))),
        ("OPEN牌子 街道", Parts("写着“OPEN”的牌子", ("在街道上",))),
        ("red 自行车", Parts("red 自行车")),
        ("紅色汽車 海邊", Parts("紅色的汽車", ("在海邊",))),
        ("貓 俯視", Parts("貓", (), "", ("從上方看",))),
        ("STOP標誌", Parts("寫著“STOP”的標誌")),
    ],
)
def test_terse_chinese_is_taken_apart_in_its_script(query: str, parts: Parts) -> None:
    assert chinese.parse(query) == parts


@pytest.mark.parametrize("query", ["沙滩排球", "红绿灯", "白板", "海豚", "太空船"])
def test_a_longer_word_is_not_cut_at_a_shorter_one(query: str) -> None:
    assert chinese.parse(query) == Parts(query)


def test_what_is_said_comes_in_sentences(rewriter: TemplateRewriter) -> None:
    assert rewriter.rewrite("two red bicycles rain") == [
        "A picture of two red bicycles in the rain.",
        "Two red bicycles in the rain.",
    ]
    assert rewriter.rewrite("watercolour cat") == [
        "A watercolour of a cat.",
        "A cat, a watercolour.",
    ]
    assert rewriter.rewrite("红色自行车 海边") == [
        "一张红色的自行车的图片，在海边。",
        "在海边，红色的自行车。",
    ]
    assert rewriter.rewrite("卡通 猫") == ["一幅卡通画：猫。", "画面中有猫。"]
    assert rewriter.rewrite("兩隻貓") == ["一張兩隻貓的圖片。", "畫面中有兩隻貓。"]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "   ",
        "?!",
        "42",
        "a red bicycle that leans on a wall",
        "where is my dog",
        "show me cats",
        "Cats sleep.",
        "a cat and a dog and a bird and a fish",
        "一只红色的猫在房间里的椅子上",
        "一只红色的猫在房间里的椅子上睡觉",
        "猫在睡觉。",
        "猫在画面左边",
        "红色的汽车在狗的左边",
        "在椅子上的猫",
        "红色的猫和蓝色的狗和鸟",
        "我的狗在哪里",
        "rotes Fahrrad mit Korb",
        "un chat noir",
        "café crème",
        "красный велосипед",
        "自転車に乗っている人々",
        "고양이",
        "photo painting of a cat",
    ],
)
def test_any_other_query_is_left_alone(rewriter: TemplateRewriter, query: str) -> None:
    assert rewriter.rewrite(query) == []


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9'-]+", text.lower()))


FRAME = words("a an the picture of scene something that says in on at by")
KNOWN = sorted(
    {entry for name in PARTS for entry in ENGLISH.tables[name]}
    | ENGLISH.lists["colours"]
    | ENGLISH.lists["sizes"]
    | ENGLISH.lists["links"]
)
TERSE = st.lists(st.sampled_from([*KNOWN, "cat", "trams", "Anna", "OPEN", "sign"]), max_size=4)


@given(TERSE)
def test_english_gets_no_word_that_it_does_not_say(entries: list[str]) -> None:
    query = " ".join(entries)
    for description in english.descriptions(query):
        meant = {
            word for e in entries for n in PARTS for word in words(ENGLISH.tables[n].get(e, ""))
        }
        typed = words(query)
        joined = {
            w
            for n in PARTS
            for e, p in ENGLISH.tables[n].items()
            if e in query.lower()
            for w in words(p)
        }
        assert words(description) <= FRAME | typed | meant | joined
        assert not HAN.search(description)


@given(
    st.lists(st.sampled_from([*CHINESE.tables["settings"], "红色", "猫", "的", "在", " ", "OPEN"]))
)
def test_chinese_gets_no_character_that_it_does_not_say(entries: list[str]) -> None:
    query = "".join(entries)
    known = "".join(p for e, p in CHINESE.tables["settings"].items() if e in query)
    frame = "".join(CHINESE.tables["templates"].values())
    for description in chinese.descriptions(query):
        assert set(description) <= set(query) | set(known) | set(frame) | set("的在，、。一张图片 ")


@pytest.mark.parametrize("lexicon", [ENGLISH, CHINESE], ids=["english", "chinese"])
def test_no_word_of_a_lexicon_is_two_things(lexicon: object) -> None:
    assert isinstance(lexicon, type(ENGLISH))
    kinds = ("viewpoints", "styles", "settings", "counts")
    tables = [set(lexicon.tables.get(kind, {})) for kind in kinds]
    lists = [lexicon.lists[name] for name in ("colours", "sizes", "materials")]
    everything = [entry for group in (*tables, *lists) for entry in group]
    assert len(everything) == len(set(everything))


def test_traditional_characters_are_known_for_every_word_of_the_templates() -> None:
    described = chinese.descriptions("紅色的汽車 海邊")
    assert described == ["一張紅色的汽車的圖片，在海邊。", "在海邊，紅色的汽車。"]
    pairs = CHINESE.lists["characters"]
    assert all(len(pair) == 2 and pair[0] != pair[1] for pair in pairs)
