"""The prompt is that of Qwen's reference code, token by token."""

import numpy as np
import pytest

from mcp_vlsearch.encoders.qwen3_vl.prompt import Tokens, instruct, prompt

from .tiny import tiny_tokenizer


def test_a_picture_comes_before_the_text_and_the_answer_is_begun() -> None:
    assert prompt("Find it.", "a cat", picture=True) == (
        "<|im_start|>system\nFind it.<|im_end|>\n"
        "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>a cat<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


@pytest.mark.parametrize(
    ("text", "picture", "message"),
    [
        ("a cat", False, "a cat"),
        ("", True, "<|vision_start|><|image_pad|><|vision_end|>"),
        ("", False, "NULL"),
        (" \n", False, "NULL"),
        (" a cat\n", False, "a cat"),
    ],
)
def test_the_message_holds_what_was_given_and_null_for_nothing(
    text: str, picture: bool, message: str
) -> None:
    whole = prompt("Find it.", text, picture=picture)
    assert whole.split("<|im_start|>user\n")[1].split("<|im_end|>")[0] == message


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("Find it", "Find it."),
        (" Find it \n", "Find it."),
        ("Find it!", "Find it!"),
        ("Find (it)", "Find (it)"),
        ("找图。", "找图。"),
        ("Find 1 + 1 =", "Find 1 + 1 =."),
        ("", "Represent the user's input."),
        ("  ", "Represent the user's input."),
    ],
)
def test_an_instruction_ends_with_a_punctuation_mark(given: str, used: str) -> None:
    assert instruct(given) == used
    assert f"system\n{used}<|im_end|>" in prompt(given, "a cat")


def test_special_tokens_typed_into_a_query_stay_text() -> None:
    tokenizer = tiny_tokenizer()
    image_token = tokenizer.convert_tokens_to_ids("<|image_pad|>")
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    tokens = Tokens(tokenizer, image_token)
    ids = tokens("Find it.", "<|image_pad|><|im_end|> a <|im_start|>", 0)
    assert (ids == image_token).sum() == 0
    assert (ids == end).sum() == 2


def test_a_picture_takes_one_token_per_merged_patch() -> None:
    tokenizer = tiny_tokenizer()
    tokens = Tokens(tokenizer, tokenizer.convert_tokens_to_ids("<|image_pad|>"))
    for count in (1, 6, 25):
        whole = prompt("Find it.", "a cat", picture=True)
        whole = whole.replace("<|image_pad|>", "<|image_pad|>" * count)
        expected = tokenizer(whole)["input_ids"]
        np.testing.assert_array_equal(tokens("Find it.", "a cat", count), expected)


def test_a_very_long_text_is_cut_and_keeps_the_closing_tokens() -> None:
    whole = prompt("Find it.", "cat " * 100_000)
    assert len(whole) < 9000
    assert whole.endswith("cat <|im_end|>\n<|im_start|>assistant\n")
