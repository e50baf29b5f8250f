"""The rewriter ``openai`` against a server that speaks the real form, and one that does not."""

import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_vlsearch.contracts import ModelRewriter
from mcp_vlsearch.encoders import endpoint
from mcp_vlsearch.errors import RewriterError, SettingsError
from mcp_vlsearch.plugins import resolve
from mcp_vlsearch.rewriters.openai import OpenAIRewriter
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.testing import check_rewriter
from tests.encoders.tiny import one_line
from tests.http_servers import Answer, Sent, answering

MODEL = "qwen3:4b-instruct"
TOKEN = "a-very-secret-token"


def completion(content: Any, finish: str = "stop", **message: Any) -> dict[str, Any]:
    """What Ollama, vLLM and hosted services answer."""
    return {
        "id": "chatcmpl-7",
        "object": "chat.completion",
        "created": 1764000000,
        "model": MODEL,
        "system_fingerprint": "fp_ollama",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, **message},
                "logprobs": None,
                "finish_reason": finish,
            }
        ],
        "usage": {"prompt_tokens": 170, "completion_tokens": 31, "total_tokens": 201},
    }


class Chat:
    """Answers in turn what it is given, then with captions."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.answers: list[Answer] = []

    def __call__(self, sent: Sent) -> Answer:
        self.sent.append(sent)
        if self.answers:
            return self.answers.pop(0)
        query = sent.body["messages"][-1]["content"]
        return Answer(
            completion("一张图片。\n图里有东西。" if "猫" in query else "A picture.\nOf it.")
        )


@pytest.fixture
def chat() -> Chat:
    return Chat()


@pytest.fixture
def url(chat: Chat) -> Iterator[str]:
    with answering(chat) as address:
        yield address


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr(endpoint, "pause", taken.append)
    return taken


def make(url: str | None, **settings: Any) -> OpenAIRewriter:
    given = {"rewrite_model": MODEL, "rewrite_url": url, "library": Path("unused"), **settings}
    return OpenAIRewriter(Settings.model_validate(given))


def test_it_keeps_the_contract_and_is_found_by_name(url: str) -> None:
    rewriter = make(url)
    assert isinstance(rewriter, ModelRewriter)
    check_rewriter(rewriter)
    assert resolve("rewriters", "openai") is OpenAIRewriter


def test_a_request_is_a_chat_with_the_query_at_its_end(url: str, chat: Chat) -> None:
    assert make(url, rewrite_token=TOKEN).rewrite(" red   bicycle") == ["A picture.", "Of it."]
    (sent,) = chat.sent
    assert (sent.method, sent.path) == ("POST", "/v1/chat/completions")
    assert sent.headers["authorization"] == f"Bearer {TOKEN}"
    assert sent.body["model"] == MODEL
    assert (sent.body["temperature"], sent.body["stream"]) == (0, False)
    roles = [message["role"] for message in sent.body["messages"]]
    assert roles == ["system", *("user", "assistant") * 2, "user"]
    assert sent.body["messages"][-1]["content"] == "red bicycle"


@pytest.mark.parametrize(
    ("below", "path"),
    [
        ("", "/v1/chat/completions"),
        ("/", "/v1/chat/completions"),
        ("/v1", "/v1/chat/completions"),
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/openai/v1/", "/openai/v1/chat/completions"),
        ("/v1beta/openai", "/v1beta/openai/chat/completions"),
        ("/api/v3", "/api/v3/chat/completions"),
    ],
)
def test_the_address_is_that_of_the_api(url: str, chat: Chat, below: str, path: str) -> None:
    make(url + below).rewrite("cat")
    assert [sent.path for sent in chat.sent] == [path]


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (completion("<think>\nHm.\n</think>\n\nA red cat.\nA cat."), ["A red cat.", "A cat."]),
        (completion("A red cat.", reasoning_content="Hm."), ["A red cat."]),
        (completion("A red cat.", reasoning="Hm."), ["A red cat."]),
        (completion([{"type": "text", "text": "A red cat."}]), ["A red cat."]),
        (completion('```json\n["A red cat."]\n```'), ["A red cat."]),
        (completion("1. A red cat.\n2. 红色的猫\n3. red cat"), ["A red cat."]),
        (completion("A red cat.\nA\nB\nC\nD\nE"), ["A red cat.", "A", "B"]),
        (completion("A red cat.\nA cat that is", "length"), ["A red cat."]),
        (completion(""), []),
        (completion(None), []),
        (completion("I can't help with that:"), []),
    ],
)
def test_phrasings_are_found_in_what_servers_answer(
    url: str, chat: Chat, answer: dict[str, Any], found: list[str]
) -> None:
    chat.answers = [Answer(answer)]
    assert make(url).rewrite("red cat") == found


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            Answer({"object": "list", "data": []}),
            "no answer in the form of a chat: check --rewrite-url",
        ),
        (Answer([1]), "no answer in the form of a chat"),
        (Answer("<html>"), "something that is not JSON: check --rewrite-url"),
        (Answer(completion("<think>and on", "length")), "its limit of tokens before it answered"),
        (
            Answer({"error": {"message": 'model "x" not found, try pulling it first'}}, 404),
            'answered 404: model "x" not found, try pulling it first',
        ),
        (
            Answer({"error": {"message": "Incorrect API key"}}, 401),
            r"give its token by --rewrite-token or MCP_VLSEARCH_REWRITE_TOKEN",
        ),
    ],
)
def test_what_can_not_be_used_is_told_in_one_line(
    url: str, chat: Chat, answer: Answer, said: str
) -> None:
    chat.answers = [answer] * 2
    with pytest.raises(RewriterError, match=said) as error:
        make(url, rewrite_token=TOKEN).rewrite("cat")
    assert TOKEN not in one_line(error)


def test_a_server_that_is_busy_is_asked_once_more(
    url: str, chat: Chat, pauses: list[float]
) -> None:
    busy = Answer({"error": {"message": "loading"}}, 503, {"retry-after": "3600"})
    chat.answers = [busy]
    assert make(url, rewrite_seconds=7).rewrite("cat") == ["A picture.", "Of it."]
    assert len(chat.sent) == 2
    assert pauses == [7]  # as long as the limit, and no longer
    chat.answers = [busy, busy]
    with pytest.raises(RewriterError, match="answered 503: loading"):
        make(url).rewrite("cat")
    assert len(chat.sent) == 4


def test_a_model_that_takes_no_choices_gets_none(url: str, chat: Chat) -> None:
    message = "Unsupported value: 'temperature' does not support 0 with this model."
    chat.answers = [Answer({"error": {"message": message}}, 400)]
    assert make(url).rewrite("cat") == ["A picture.", "Of it."]
    first, second = chat.sent
    assert first.body.keys() - second.body.keys() == {"temperature", "max_tokens"}


def test_a_server_that_is_away_is_told_with_the_right_flag(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with caplog.at_level(logging.DEBUG), pytest.raises(RewriterError, match="can't reach") as error:
        make(f"http://127.0.0.1:{port}", rewrite_token=TOKEN).rewrite("cat")
    assert one_line(error).endswith("or give another --rewrite-url")
    assert TOKEN not in caplog.text


def test_a_server_that_is_too_slow_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(RewriterError, match="did not answer within 0 s"):
            make(url, rewrite_seconds=0.05).rewrite("cat")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"rewrite_url": None},
            "rewriter 'openai' needs the address of a server: give --rewrite-url",
        ),
        ({"rewrite_url": "localhost:11434"}, "--rewrite-url: give an address of http or https"),
        (
            {"rewrite_url": "http://me:secret@host"},
            "--rewrite-url: leave out the user and password",
        ),
        ({"rewrite_model": None}, "needs the name of a model: give --rewrite-model"),
    ],
)
def test_settings_that_are_missing_or_wrong_are_told(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as error:
        make(**{"url": "http://127.0.0.1:1", **settings})
    assert "secret" not in one_line(error)


def test_the_fingerprint_is_that_of_model_and_address(url: str) -> None:
    first = make(url).fingerprint
    assert make(f"{url}/", rewrite_token=TOKEN, rewrite_seconds=1).fingerprint == first
    assert make(url, rewrite_model="another").fingerprint != first
    assert make(f"{url}/other").fingerprint != first


def test_a_query_without_words_is_not_sent(url: str, chat: Chat) -> None:
    assert make(url).rewrite("?! 42") == []
    assert chat.sent == []
