"""The encoder ``remote`` against a server as vLLM is one: its requests, its patience, its space."""

import base64
import io
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mcp_vlsearch.contracts import Query
from mcp_vlsearch.encoders import endpoint, remote_space
from mcp_vlsearch.encoders.endpoint import CONCURRENT, Endpoint
from mcp_vlsearch.encoders.remote import RemoteEncoder
from mcp_vlsearch.errors import EncoderError, OutOfMemoryError, SettingsError, UnreachableError
from mcp_vlsearch.files import write_whole
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.testing import check_encoder
from tests.encoders.tiny import one_line, photo
from tests.http_servers import Answer, Sent, answering

DIM = 32
MODEL = "some/model"


class Served:
    """A model behind vLLM's endpoint: a vector is a random projection of what is asked for."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.refusals: list[Answer] = []
        self.seed = 0
        self.noise = 0.0
        self.models: Any = {"object": "list", "data": [{"id": MODEL}]}

    def __call__(self, sent: Sent) -> Answer:
        if sent.path == "/v1/models":
            return Answer(self.models, 404 if self.models is None else 200)
        self.sent.append(sent)
        if self.refusals:
            return self.refusals.pop(0)
        vector = self.vector(sent.body) * 3
        data = {"object": "embedding", "index": 0, "embedding": vector.tolist()}
        return Answer({"object": "list", "model": MODEL, "data": [data]})

    def vector(self, body: dict[str, Any]) -> NDArray[np.float32]:
        total = np.zeros(DIM)
        for part in body["messages"][1]["content"]:
            if part["type"] == "text":
                seed = [self.seed, 1, *part["text"].encode()]
                total += np.random.default_rng(seed).normal(size=DIM)
            else:
                pixels = np.asarray(opened(part), np.float32).mean((0, 1)) / 255
                total += np.random.default_rng(self.seed).normal(size=(DIM, 3)) @ pixels * 3
        total /= np.linalg.norm(total)
        total += self.noise * np.random.default_rng().normal(size=DIM) / np.sqrt(DIM)
        return (total / np.linalg.norm(total)).astype(np.float32)


def opened(part: dict[str, Any]) -> Image.Image:
    head, _, data = part["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.fixture
def served() -> Served:
    return Served()


@pytest.fixture
def url(served: Served) -> Iterator[str]:
    with answering(served) as address:
        yield address


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts, which take no time."""
    taken: list[float] = []
    monkeypatch.setattr(endpoint, "pause", taken.append)
    return taken


def make(url: str | None, library: Path = Path("unused"), **settings: Any) -> RemoteEncoder:
    given = {"library": library, "encoder_url": url, "model": MODEL, **settings}
    return RemoteEncoder(Settings.model_validate(given))


def test_requests_have_the_form_that_vllm_serves_the_model_with(served: Served, url: str) -> None:
    encoder = make(url, query_instruction="Find the picture")
    served.sent.clear()
    picture = photo(1, 96, 64)
    encoder.encode_queries([Query("a cat <|im_end|>", picture)])
    (sent,) = served.sent
    assert (sent.method, sent.path) == ("POST", "/v1/embeddings")
    shown = sent.body["messages"][1]["content"].pop(0)
    assert shown["type"] == "image_url"
    np.testing.assert_array_equal(np.asarray(opened(shown)), np.asarray(picture))
    assert sent.body == {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Find the picture."}]},
            {"role": "user", "content": [{"type": "text", "text": "a cat < |im_end|>"}]},
            {"role": "assistant", "content": [{"type": "text", "text": ""}]},
        ],
        "encoding_format": "float",
        "continue_final_message": True,
        "add_special_tokens": True,
    }


def test_pictures_go_with_their_own_instruction_and_no_words(served: Served, url: str) -> None:
    encoder = make(url)
    served.sent.clear()
    encoder.encode_images([photo(1, 64, 64)])
    messages = served.sent[0].body["messages"]
    assert messages[0]["content"][0]["text"] == "Represent the user's input."
    assert [part["type"] for part in messages[1]["content"]] == ["image_url", "text"]
    assert messages[1]["content"][1]["text"] == ""
    encoder.encode_queries([Query()])
    assert served.sent[1].body["messages"][1]["content"] == [{"type": "text", "text": "NULL"}]


def test_it_keeps_the_contract_of_encoders(url: str) -> None:
    encoder = make(f"{url}/v1/")
    check_encoder(encoder)
    assert (encoder.dim, encoder.model, encoder.name) == (DIM, MODEL, "remote")


def test_somebody_elses_server_explains_nothing(url: str) -> None:
    encoder = make(url)
    with pytest.raises(EncoderError, match=r"gives vectors only.*encoder serve"):
        encoder.explain(photo(1, 64, 64), np.ones(DIM, np.float32))


def test_every_vector_belongs_to_its_own_picture(url: str) -> None:
    encoder = make(url)
    pictures = [photo(seed, 64, 64) for seed in range(50)]
    vectors = encoder.encode_images(pictures)
    expected = np.stack([encoder.encode_images([picture])[0] for picture in pictures])
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    assert len(np.unique(vectors.round(3), axis=0)) == 50


@pytest.mark.parametrize("size", [(4000, 3000), (3000, 4000), (33, 20000), (20000, 33), (5, 5)])
@pytest.mark.parametrize("budget", [4096, 100_000, 512 * 512])
def test_pictures_are_sent_in_cells_within_the_budget(
    url: str, size: tuple[int, int], budget: int
) -> None:
    width, height = make(url, max_pixels=budget).target_size(*size)
    assert width % 32 == height % 32 == 0
    assert 0 < width * height <= budget


def test_no_more_requests_than_allowed_are_under_way(served: Served) -> None:
    running, most, lock, full = 0, 0, threading.Lock(), threading.Event()

    def answer(sent: Sent) -> Answer:
        nonlocal running, most
        if sent.path == "/v1/embeddings" and probed.is_set():
            with lock:
                running += 1
                most = max(most, running)
                if running == CONCURRENT:
                    full.set()
            assert full.wait(30)
            with lock:
                running -= 1
        return served(sent)

    probed = threading.Event()
    with answering(answer) as url:
        encoder = make(url)
        probed.set()
        encoder.encode_images([photo(seed, 32, 32) for seed in range(3 * CONCURRENT)])
    assert most == CONCURRENT


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again_after_growing_pauses(
    served: Served, url: str, pauses: list[float], status: int
) -> None:
    encoder = make(url)
    served.refusals = [Answer("busy", status) for _ in range(4)]
    encoder.encode_queries([Query("cat")])
    assert len(pauses) == 4
    for expected, pause in zip((0.5, 1, 2, 4), pauses, strict=True):
        assert expected / 2 <= pause <= expected


def test_a_server_says_how_long_to_wait(served: Served, url: str, pauses: list[float]) -> None:
    encoder = make(url)
    wishes = ("7", "9999", "Wed, 21 Oct 2026 07:28:00 GMT")
    served.refusals = [Answer("busy", 503, {"retry-after": wish}) for wish in wishes]
    encoder.encode_queries([Query("cat")])
    assert pauses[0] == 7
    assert pauses[1] == 30, "not for ever"
    assert pauses[2] <= 2


def test_a_server_in_lasting_trouble_is_given_up_with_its_own_words(
    served: Served, url: str, pauses: list[float]
) -> None:
    encoder = make(url)
    served.refusals = [Answer({"error": {"message": "out of\nmemory"}}, 500) for _ in range(5)]
    with pytest.raises(EncoderError, match="answered 500: out of memory") as caught:
        encoder.encode_queries([Query("cat")])
    assert url in one_line(caught)
    assert len(pauses) == 4


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (Answer({"error": {"message": "too long"}}, 400), "answered 400: too long"),
        (Answer({"object": "error", "message": "no such model"}, 404), "404: no such model"),
        (Answer({}, 401), "--encoder-token"),
        (Answer({}, 403), "MCP_VLSEARCH_ENCODER_TOKEN"),
        (Answer("<html>", 200), "not JSON"),
        (Answer({"data": []}, 200), "no usable vector"),
        (Answer({"data": [{"embedding": [0.0] * DIM}]}, 200), "no usable vector"),
        (Answer('{"data": [{"embedding": [NaN, 1.0]}]}', 200), "no usable vector"),
        (Answer({"data": [{"embedding": [1.0] * 7}]}, 200), "another length"),
        (Answer("x", 500, {"x-should-retry": "false"}), "answered 500: x"),
        (Answer("", 302, {"location": "http://example.com"}), "answered 302"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_would_fail_again_is_not_tried_again(
    served: Served, url: str, pauses: list[float], refusal: Answer, words: str
) -> None:
    encoder = make(url)
    served.refusals = [refusal]
    with pytest.raises(EncoderError, match=words) as caught:
        encoder.encode_queries([Query("cat")])
    one_line(caught)
    assert pauses == []


def test_a_server_that_is_not_there_is_named_after_five_attempts(pauses: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(EncoderError, match="--encoder-url") as caught:
        make(url)
    assert url in one_line(caught)
    assert len(pauses) == 4


def test_a_server_that_does_not_answer_in_time_is_an_error(pauses: list[float]) -> None:
    over = threading.Event()

    def hang(sent: Sent) -> Answer:
        over.wait(60)
        return Answer(sent.path)

    with answering(hang) as url:
        with pytest.raises(UnreachableError, match="did not answer within"):
            Endpoint(url, None, limit=0.05).get("/v1/models")
        over.set()
    assert pauses == []


def test_the_token_is_sent_and_no_proxy_comes_between_this_machine_and_itself(
    served: Served, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    make(url, encoder_token="sesame").encode_queries([Query("cat")])
    assert {sent.headers.get("authorization") for sent in served.sent} == {"Bearer sesame"}
    served.sent.clear()
    make(url)
    assert {sent.headers.get("authorization") for sent in served.sent} == {None}


def test_vectors_are_cut_and_normalised_again(url: str) -> None:
    whole, cut = make(url), make(url, dim=8)
    queries = [Query("cat"), Query("dog")]
    expected = whole.encode_queries(queries)[:, :8]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(cut.encode_queries(queries), expected, atol=1e-6)
    assert cut.fingerprint != whole.fingerprint
    with pytest.raises(SettingsError, match="8 to 32"):
        make(url, dim=33)


def test_the_same_model_keeps_its_fingerprint_through_rounding_and_another_gets_its_own(
    served: Served, url: str, tmp_path: Path
) -> None:
    first = make(url, tmp_path).fingerprint
    served.noise = 0.02
    assert {make(url, tmp_path).fingerprint for _ in range(5)} == {first}
    served.noise = 0.0
    served.seed = 1
    another = make(url, tmp_path).fingerprint
    assert another != first
    served.seed = 0
    assert make(url, tmp_path).fingerprint == first, "the library remembers both"
    served.seed = 1
    assert make(url, tmp_path).fingerprint == another


def probes(seed: int, noise: float = 0.0) -> Any:
    rows = np.random.default_rng(seed).standard_normal((2, DIM))
    rows += noise * np.random.default_rng().standard_normal((2, DIM))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def met_at_once(library: Path, *spaces: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have several processes meet new spaces, all before one of them has written what it found."""
    settings = Settings(library=library)
    all_here = threading.Barrier(len(spaces))

    def write_together(path: Path, text: str) -> None:
        with suppress(threading.BrokenBarrierError):  # as it should: one after the other
            all_here.wait(0.2)
        write_whole(path, text)

    monkeypatch.setattr(remote_space, "write_whole", write_together)
    with ThreadPoolExecutor(len(spaces)) as pool:
        return list(
            pool.map(lambda each: remote_space.RemoteSpace(settings, "m", each).name, spaces)
        )


def test_spaces_that_several_processes_meet_at_once_are_all_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = met_at_once(tmp_path, probes(1), probes(2), monkeypatch=monkeypatch)
    assert {space["name"] for space in json.loads((tmp_path / "remote.json").read_text())} == {
        *names
    }
    assert len(set(names)) == 2


def test_a_space_that_several_processes_meet_at_once_gets_one_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = met_at_once(
        tmp_path, probes(1, noise=0.01), probes(1, noise=0.01), monkeypatch=monkeypatch
    )
    assert len(set(names)) == 1
    assert len(json.loads((tmp_path / "remote.json").read_text())) == 1


@pytest.mark.parametrize(
    "change", [{"image_instruction": "Look."}, {"max_pixels": 4096}], ids=lambda c: next(iter(c))
)
def test_what_changes_the_vectors_of_pictures_changes_the_fingerprint(
    url: str, tmp_path: Path, change: dict[str, Any]
) -> None:
    assert make(url, tmp_path, **change).fingerprint != make(url, tmp_path).fingerprint
    assert (
        make(url, tmp_path, query_instruction="x").fingerprint
        == make(url, tmp_path, query_instruction="x").fingerprint
    )


def test_a_read_only_or_missing_library_is_not_written_to(url: str, tmp_path: Path) -> None:
    expected = make(url, tmp_path / "missing").fingerprint
    assert make(url, tmp_path, read_only=True).fingerprint == expected
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "remote.json").write_text("{damaged")
    assert make(url, tmp_path).fingerprint == expected


def test_a_server_that_was_met_before_there_was_a_library_is_remembered_with_its_vectors(
    served: Served, url: str, tmp_path: Path
) -> None:
    library = tmp_path / "library"
    served.noise = 0.02
    first = make(url, library)
    first.encode_queries([Query("cat")])
    assert not library.exists()
    library.mkdir()
    first.encode_images([photo(1, 64, 64)])
    assert {make(url, library).fingerprint for _ in range(5)} == {first.fingerprint}
    assert sorted(file.name for file in library.iterdir()) == ["remote.json", "remote.lock"]


def out_of_memory() -> Answer:
    error = {"message": "not enough\nmemory", "type": "out_of_memory"}
    return Answer({"error": error}, 503, {"x-should-retry": "false"})


def test_where_a_server_has_too_little_memory_for_all_at_once_fewer_are_sent(
    served: Served, url: str, pauses: list[float]
) -> None:
    encoder = make(url)
    pictures = [photo(seed, 64, 64) for seed in range(9)]
    expected = encoder.encode_images(pictures)
    served.sent.clear()
    served.refusals = [out_of_memory() for _ in range(2)]
    np.testing.assert_allclose(encoder.encode_images(pictures), expected, atol=1e-6)
    assert (served.refusals, pauses) == ([], [])


def test_a_server_whose_memory_is_too_short_for_one_is_said_to_be_out_of_memory(
    served: Served, url: str, pauses: list[float]
) -> None:
    encoder = make(url)
    served.refusals = [out_of_memory() for _ in range(100)]
    with pytest.raises(OutOfMemoryError, match="not enough memory") as caught:
        encoder.encode_images([photo(seed, 64, 64) for seed in range(3)])
    assert url in one_line(caught)
    assert pauses == []


def test_a_model_that_is_not_served_is_named_with_those_that_are(url: str) -> None:
    with pytest.raises(EncoderError, match=f"serves no 'other'.*--model {MODEL}") as caught:
        make(url, model="other")
    one_line(caught)


def test_a_server_without_a_list_of_models_is_used_all_the_same(served: Served, url: str) -> None:
    served.models = None
    assert make(url).dim == DIM


@pytest.mark.parametrize(
    "url", [None, "", "localhost:8000", "ftp://x", "http://", "http://me:secret@localhost:8000"]
)
def test_an_address_that_is_none_is_a_settings_error(url: str | None) -> None:
    with ExitStack() as stack:
        caught = stack.enter_context(pytest.raises(SettingsError, match="--encoder-url"))
        make(url)
    one_line(caught)
    assert "secret" not in str(caught.value)
