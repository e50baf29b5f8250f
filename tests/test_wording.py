"""What is wrong with a value is said in plain words that say what to give instead."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mcp_vlsearch.wording import in_words, listed, on_a_line, shown


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    degrees: Annotated[float, Field(ge=-90, le=90)] = 0
    size: Annotated[float, Field(gt=0, lt=5)] = 1


class Given(BaseModel):
    number: int = 1
    inner: Inner = Inner()
    flag: bool = True
    kind: Literal["a", "b"] = "a"
    text: Annotated[str, Field(min_length=1, max_length=3)] = "x"
    when: datetime = datetime(2024, 1, 1)
    many: Annotated[list[int], Field(min_length=1, max_length=2)] = [1]
    path: Path = Path()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"number": "x"}, "give a whole number"),
        ({"number": 1.5}, "give a whole number"),
        ({"inner": {"degrees": "x"}}, "give a number"),
        ({"inner": {"degrees": "nan"}}, "give a number"),
        ({"inner": {"degrees": 91}}, "give at most 90"),
        ({"inner": {"degrees": -91}}, "give at least -90"),
        ({"inner": {"size": 0}}, "give more than 0"),
        ({"inner": {"size": 5}}, "give less than 5"),
        ({"inner": {"colour": 1}}, "is not known: leave it out"),
        ({"inner": 1}, "give an object with named fields"),
        ({"flag": "perhaps"}, "give true or false"),
        ({"kind": "c"}, "give 'a' or 'b'"),
        ({"text": ""}, "give at least 1 character"),
        ({"text": "long"}, "give at most 3 characters"),
        ({"text": 1}, "give a text"),
        ({"when": "soon"}, "give a date, such as 2024-12-31 or 2024-12-31T18:00"),
        ({"many": []}, "give at least 1 item"),
        ({"many": [1, 2, 3]}, "give at most 2 items"),
        ({"many": 1}, "give a list"),
        ({"path": 1}, "give a path"),
    ],
)
def test_a_wrong_value_is_told_by_what_to_give(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Given.model_validate(given)
    assert in_words(caught.value.errors()[0]) == words


def test_a_missing_value_is_asked_for() -> None:
    class Needs(BaseModel):
        name: str

    with pytest.raises(ValidationError) as caught:
        Needs.model_validate({})
    assert in_words(caught.value.errors()[0]) == "is missing: give it"


def test_other_problems_keep_their_own_words() -> None:
    assert in_words({"type": "format", "msg": "no picture has it: give JPEG"}) == (
        "no picture has it: give JPEG"
    )


def test_long_paths_keep_their_beginning_and_their_end() -> None:
    path = "/home/me/" + "x" * 5000 + "/cat.png"
    assert shown("/short.png") == "/short.png"
    assert len(shown(path)) == 160
    assert shown(path).startswith("/home/me/xxx")
    assert shown(path).endswith("xxx/cat.png")


def test_long_lists_say_how_many_more_there_are() -> None:
    assert listed(["/a", "/b"]) == "/a, /b"
    assert listed([f"/{number}" for number in range(8)]) == "/0, /1, /2, /3, /4 and 3 more"


def test_a_name_can_neither_end_a_line_nor_turn_it_around() -> None:
    assert on_a_line("a\nb\x1b[31mc") == r"a\nb\x1b[31mc"
    assert on_a_line("cat\u202egnp.exe \u2067x\u2069") == r"cat\u202egnp.exe \u2067x\u2069"
    assert on_a_line("雪 🐱 تصوير") == "雪 🐱 تصوير"
