"""Which running process serves for which precision, so that none holds a model twice."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mcp_vlsearch.contracts import Query
from mcp_vlsearch.encoders import shared, sharing
from mcp_vlsearch.encoders.shared import SharedEncoder
from mcp_vlsearch.encoders.sharing import Address, find_or_start
from mcp_vlsearch.encoders.wire import CARD
from mcp_vlsearch.errors import UnreachableError
from mcp_vlsearch.settings import Settings
from tests.http_servers import Answer, Sent, answering


class Machine:
    """Stands for a machine with its processes: each answers at an address, in a precision."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.started: list[tuple[str, str]] = []
        self.chooses = "bf16"
        self.runs_in: dict[str, str] = {}
        self.stranger: Answer | None = None

    def start(self, settings: Settings, file: Path) -> Address:
        """Stand in for the process's start."""
        chosen = self.chooses if settings.precision == "auto" else settings.precision

        def answer(sent: Sent) -> Answer:
            if self.stranger:
                return self.stranger
            is_ours = sent.headers["authorization"] == "Bearer secret"
            return Answer({"precision": self.runs_in[url]}, 200 if is_ours else 401)

        url = self._stack.enter_context(answering(answer))
        self.runs_in[url] = chosen
        self.started.append((settings.precision, url))
        file.write_text(json.dumps({"url": url, "token": "secret"}))
        return url, "secret"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Machine]:
    with ExitStack() as stack:
        made = Machine(stack)
        monkeypatch.setattr(sharing, "_start", made.start)
        monkeypatch.setattr(sharing, "user_cache_path", lambda *_, **__: tmp_path)
        yield made


def ask(precision: str, **settings: Any) -> Address:
    given = {"library": Path("unused"), "model": "some/model", "precision": precision, **settings}
    return find_or_start(Settings.model_validate(given))


@pytest.mark.parametrize(("first", "second"), [("auto", "bf16"), ("bf16", "auto")])
def test_auto_and_what_it_chose_share_a_process(machine: Machine, first: str, second: str) -> None:
    assert ask(first) == ask(second) == ask(first)
    assert [precision for precision, _ in machine.started] == [first]


def test_another_precision_has_a_process_of_its_own(machine: Machine) -> None:
    auto = ask("auto")
    assert ask("int8") != auto
    assert ask("int8") != auto
    assert ask("auto") == auto
    assert [precision for precision, _ in machine.started] == ["auto", "int8"]


def test_a_process_that_has_yet_to_choose_serves_auto_only(machine: Machine) -> None:
    machine.chooses = "auto"
    auto = ask("auto")
    assert ask("auto") == auto
    assert ask("bf16") != auto


@pytest.mark.usefixtures("machine")
def test_another_models_process_is_left_alone() -> None:
    assert ask("auto") != ask("auto", model="another/model")


def test_a_process_that_is_gone_is_started_again(machine: Machine) -> None:
    dead = ask("auto")
    machine.runs_in.clear()  # from now on it answers nothing
    assert ask("auto") != dead
    assert len(machine.started) == 2


@pytest.mark.parametrize("said", ["<html>", {"status": "ok"}, ["ok"], None])
def test_another_program_at_the_address_of_a_process_means_that_it_is_gone(
    machine: Machine, said: Any
) -> None:
    dead = ask("auto")
    machine.stranger = Answer(said)
    assert ask("auto") != dead
    assert len(machine.started) == 2


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_call_that_another_program_refuses_is_repeated_once_with_the_process_found_again(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    card = {"fingerprint": "f", "dim": 8, "precision": "fp32", "device": "cpu"}
    card |= {f"{kind}_instruction": "Look." for kind in ("image", "query")}
    usurped: set[str] = set()

    def answer(sent: Sent) -> Answer:
        if sent.headers["host"] in usurped:
            return Answer("who are you?", status)
        if sent.path == "/v1/models":
            return Answer({"data": [{"id": "some/model", CARD: card}]})
        if sent.path.startswith("/target_size"):
            return Answer({"width": 64, "height": 32})
        return Answer({"data": [{"embedding": [1.0] * 8}]})

    with ExitStack() as stack:
        urls = [stack.enter_context(answering(answer)) for _ in range(4)]
        found = iter(urls)
        monkeypatch.setattr(shared, "find_or_start", lambda _: (next(found), "secret"))
        given = {"model": "some/model", "image_instruction": "Look.", "query_instruction": "Look."}
        encoder = SharedEncoder(Settings.model_validate({"library": Path("unused"), **given}))
        usurped.add(urls[0].removeprefix("http://"))
        assert encoder.encode_queries([Query("red")]).shape == (1, 8)
        usurped.add(urls[1].removeprefix("http://"))
        assert encoder.target_size(640, 320) == (64, 32)
        usurped.update(url.removeprefix("http://") for url in urls)
        with pytest.raises(UnreachableError):
            encoder.encode_queries([Query("red")])
        assert list(found) == [], "one more look, and no further"


def test_a_process_that_is_started_again_keeps_the_precision_that_auto_chose(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    class Remote:
        def __init__(self, settings: Settings, **_: object) -> None:
            assert settings.precision == "auto", "nothing to compare: it was asked for"
            self.encoder_model, self.device, self.dim, self.batch_size = "m", "cpu", 8, 4
            self.precision, self.fingerprint = "int8", "f"

    def find(settings: Settings) -> Address:
        asked.append(settings.precision)
        return "http://127.0.0.1:1", "secret"

    monkeypatch.setattr(shared, "find_or_start", find)
    monkeypatch.setattr(shared, "RemoteEncoder", Remote)
    encoder = SharedEncoder(Settings(library=Path("unused")))
    encoder._connect()
    assert asked == ["auto", "int8"]
