"""Which running process serves for which precision, so that none holds a model twice."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import BaseFileLock

from mcp_vlsearch.contracts import Query
from mcp_vlsearch.encoders import address, shared, sharing
from mcp_vlsearch.encoders.address import PROOF, Address, Place, proof
from mcp_vlsearch.encoders.endpoint import Endpoint
from mcp_vlsearch.encoders.shared import SharedEncoder
from mcp_vlsearch.encoders.sharing import find_or_start
from mcp_vlsearch.encoders.wire import CARD
from mcp_vlsearch.errors import EncoderError, UnreachableError
from mcp_vlsearch.settings import Settings, load_settings
from tests.http_servers import Answer, Sent, answering


class Machine:
    """Stands for a machine with its processes: each holds its lock, and tells where it is."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.chooses = "bf16"
        self.locks: list[BaseFileLock] = []

    def start(self, settings: Settings, file: Path) -> Address:
        """Stand in for the process's start."""
        chosen = self.chooses if settings.precision == "auto" else settings.precision
        place = Place(file)
        lock = place.lock()
        lock.acquire(blocking=False)
        self.locks.append(lock)
        self.started.append(settings.precision)
        told = Address(f"http://127.0.0.1:1/{len(self.started)}", "secret", chosen)
        place.tell(told)
        return told

    def kill(self) -> None:
        """End all processes, which leave their addresses behind."""
        for lock in self.locks:
            lock.release()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Machine]:
    made = Machine()
    monkeypatch.setattr(sharing, "_start", made.start)
    monkeypatch.setattr(sharing, "user_cache_path", lambda *_, **__: tmp_path)
    yield made
    made.kill()


def ask(precision: str, **settings: Any) -> Address:
    given = {"library": Path("unused"), "model": "some/model", "precision": precision, **settings}
    return find_or_start(Settings.model_validate(given))


@pytest.mark.parametrize(("first", "second"), [("auto", "bf16"), ("bf16", "auto")])
def test_auto_and_what_it_chose_share_a_process(machine: Machine, first: str, second: str) -> None:
    assert ask(first) == ask(second) == ask(first)
    assert machine.started == [first]


def test_another_precision_has_a_process_of_its_own(machine: Machine) -> None:
    auto = ask("auto")
    assert ask("int8") != auto
    assert ask("int8") != auto
    assert ask("auto") == auto
    assert machine.started == ["auto", "int8"]


def test_a_process_that_has_yet_to_choose_serves_auto_only(machine: Machine) -> None:
    machine.chooses = "auto"
    auto = ask("auto")
    assert ask("auto") == auto
    assert ask("bf16") != auto


@pytest.mark.usefixtures("machine")
def test_another_models_process_is_left_alone() -> None:
    assert ask("auto") != ask("auto", model="another/model")


def test_a_process_that_is_gone_is_started_again_whatever_it_left_behind(machine: Machine) -> None:
    dead = ask("auto")
    machine.kill()
    assert ask("auto") != dead
    assert len(machine.started) == 2


def test_a_process_that_answers_nothing_is_not_gone_as_long_as_it_lives(machine: Machine) -> None:
    slow = ask("auto")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        busy = replace(slow, url=f"http://127.0.0.1:{silent.getsockname()[1]}")
        (file,) = Path(machine.locks[0].lock_file).parent.glob("*.json")
        Place(file).tell(busy)
        assert ask("auto") == busy
    assert len(machine.started) == 1


def test_who_asks_at_once_starts_one_process(machine: Machine) -> None:
    found: list[Address] = []
    asking = [threading.Thread(target=lambda: found.append(ask("auto"))) for _ in range(8)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == len(machine.started) == 1


def place_of(machine: Machine) -> Place:
    return Place(Path(machine.locks[-1].lock_file).with_suffix(".json"))


@pytest.mark.parametrize("comes_back", [True, False], ids=["starting", "ending"])
def test_a_process_that_is_starting_or_ending_is_waited_for(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, comes_back: bool
) -> None:
    first = ask("auto")
    place = place_of(machine)
    place.forget()

    def go_on(_: float) -> None:
        if comes_back:
            place.tell(first)
        else:
            machine.kill()

    monkeypatch.setattr(address, "pause", go_on)
    assert (ask("auto") == first) is comes_back
    assert len(machine.started) == (1 if comes_back else 2)


def test_a_process_that_hangs_between_is_told_in_one_line(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask("auto")
    place_of(machine).forget()
    monkeypatch.setattr(address, "_SETTLES", 0.0)
    with pytest.raises(EncoderError, match=r"has not told its address.+--share off") as caught:
        ask("auto")
    assert "\n" not in str(caught.value)


CARDS = {"fingerprint": "f", "dim": 8, "precision": "fp32", "device": "cpu"} | {
    f"{kind}_instruction": "Look." for kind in ("image", "query")
}


class Process:
    """Answers as the process of a shared encoder does that knows a secret."""

    def __init__(self, secret: str = "secret") -> None:
        self.secret = secret
        self.sent: list[Sent] = []
        self.usurped: set[str] = set()
        self.status = 404

    def __call__(self, sent: Sent) -> Answer:
        self.sent.append(sent)
        host = sent.headers["host"]
        if host in self.usurped:
            return Answer("who are you?", self.status)
        if sent.path.startswith(PROOF):
            nonce = sent.path.partition("nonce=")[2]
            return Answer({"proof": proof(f"http://{host}", self.secret, nonce)})
        if sent.path == "/v1/models":
            return Answer({"data": [{"id": "some/model", CARD: CARDS}]})
        if sent.path.startswith("/target_size"):
            return Answer({"width": 64, "height": 32})
        return Answer({"data": [{"embedding": [1.0] * 8}], CARD: {"fingerprint": "f"}})

    def usurp(self, *urls: str) -> None:
        """Let another program answer at addresses from now on."""
        self.usurped.update(url.removeprefix("http://") for url in urls)


def encoder_of(monkeypatch: pytest.MonkeyPatch, urls: Iterator[str]) -> SharedEncoder:
    monkeypatch.setattr(shared, "find_or_start", lambda _: Address(next(urls), "secret", "fp32"))
    monkeypatch.setattr(shared, "_ENDS", 0.0)
    given = {"model": "some/model", "image_instruction": "Look.", "query_instruction": "Look."}
    flags = {"library": Path("unused"), "max_pixels": 4096, **given}  # which the process has, too
    return SharedEncoder(load_settings(flags, environment={}))


@pytest.mark.parametrize("status", [200, 401, 403, 404, 500])
def test_a_call_that_finds_another_program_is_repeated_once_with_the_process_found_again(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    process = Process()
    process.status = status
    with ExitStack() as stack:
        urls = [stack.enter_context(answering(process)) for _ in range(4)]
        found = iter(urls)
        encoder = encoder_of(monkeypatch, found)
        process.usurp(urls[0])
        assert encoder.encode_queries([Query("red")]).shape == (1, 8)
        process.usurp(urls[1])
        assert encoder.target_size(640, 320) == (64, 32)
        process.usurp(*urls)
        with pytest.raises(UnreachableError):
            encoder.encode_queries([Query("red")])
        assert list(found) == [], "one more look, and no further"


def test_a_process_whose_lock_is_freed_later_than_its_port_is_looked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process = Process()
    with answering(process) as dying, answering(process) as fresh:
        encoder = encoder_of(monkeypatch, iter([dying, dying, dying, fresh]))
        monkeypatch.setattr(shared, "_ENDS", 60.0)
        monkeypatch.setattr(shared, "_LOOK", 0.0)
        process.usurp(dying)
        assert encoder.encode_queries([Query("red")]).shape == (1, 8)


def test_neither_token_nor_query_is_told_to_a_program_that_does_not_know_the_secret() -> None:
    process = Process("another")
    with answering(process) as url:
        endpoint = Endpoint(url, "secret", attempts=1, proves=True)
        with pytest.raises(UnreachableError, match="another program"):
            endpoint.get("/v1/models")
        with pytest.raises(UnreachableError, match="another program"):
            endpoint.post_all("/v1/embeddings", [{"input": "private"}])
    assert [sent.path.partition("?")[0] for sent in process.sent] == [PROOF, PROOF]
    assert all("secret" not in f"{sent.headers} {sent.path}" for sent in process.sent)


def test_a_proof_is_of_no_use_at_another_address() -> None:
    real = Process()
    with answering(real) as url:

        def relay(sent: Sent) -> Answer:
            return real(replace(sent, headers=sent.headers | {"host": url.removeprefix("http://")}))

        with answering(relay) as stale, pytest.raises(UnreachableError):
            Endpoint(stale, "secret", attempts=1, proves=True).get("/v1/models")


def test_vectors_that_come_without_a_fingerprint_are_not_the_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process = Process()

    def answer(sent: Sent) -> Answer:
        said = process(sent)
        if "data" in said.body and CARD in said.body:
            del said.body[CARD]
        return said

    with answering(answer) as url:
        encoder = encoder_of(monkeypatch, iter([url] * 3))
        with pytest.raises(UnreachableError, match="another model or precision"):
            encoder.encode_queries([Query("red")])


def test_a_process_that_is_started_again_keeps_the_precision_that_auto_chose(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    class Remote:
        def __init__(self, settings: Settings, *_: object) -> None:
            assert settings.precision == "auto", "nothing to compare: it was asked for"
            self.encoder_model, self.device, self.dim, self.batch_size = "m", "cpu", 8, 4
            self.precision, self.fingerprint, self.composes = "int8", "f", True

    def find(settings: Settings) -> Address:
        asked.append(settings.precision)
        return Address("http://127.0.0.1:1", "secret", "int8")

    monkeypatch.setattr(shared, "find_or_start", find)
    monkeypatch.setattr(shared, "RemoteEncoder", Remote)
    encoder = SharedEncoder(Settings(library=Path("unused")))
    encoder._connect()
    assert asked == ["auto", "int8"]
