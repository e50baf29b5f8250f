"""The encoder behind HTTP: the same vectors as here, encoded together, and nothing else let in."""

import base64
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import httpx2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_vlsearch.contracts import Query
from mcp_vlsearch.core.encoding import EncoderSlot
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.encoders.qwen3_vl import Qwen3VLEncoder
from mcp_vlsearch.encoders.remote import RemoteEncoder
from mcp_vlsearch.encoders.wire import data_uri, packed_numbers
from mcp_vlsearch.errors import EncoderError, OutOfMemoryError, SettingsError
from mcp_vlsearch.plugins import BUILT_IN
from mcp_vlsearch.server.encoder import encoder_app, serve_encoder
from mcp_vlsearch.settings import Settings, load_settings
from mcp_vlsearch.testing import check_explaining
from tests.core.conftest import paint
from tests.core.mosaic import MosaicEncoder, vector_of
from tests.encoders.tiny import photo, save_checkpoint
from tests.http_servers import serving
from tests.sockets import answer

from .conftest import PATIENCE

QUERY = "Retrieve images or text relevant to the user's query."


class Serve(Protocol):
    def __call__(self, *, host: str = ..., access: str | None = ..., **settings: Any) -> str: ...


def settings_of(**flags: Any) -> Settings:
    given = {"library": Path("unused"), "encoder": "mosaic", "model": "colours", **flags}
    return Settings.model_validate(given)


@pytest.fixture(autouse=True)
def mosaic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BUILT_IN["encoders"], "mosaic", "tests.core.mosaic:MosaicEncoder")
    monkeypatch.setattr(MosaicEncoder, "encoded", [])


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that serves an encoder from this process and gives its address."""
    with ExitStack() as stack:

        def start(*, host: str = "127.0.0.1", access: str | None = None, **flags: Any) -> str:
            settings = settings_of(**flags)
            slot = EncoderSlot(settings)
            return stack.enter_context(serving(encoder_app(slot, settings, host, access)))

        yield start


def remote(url: str, **flags: Any) -> RemoteEncoder:
    return RemoteEncoder(settings_of(encoder="remote", encoder_url=url, **flags))


def post(url: str, body: Any, **headers: str) -> httpx2.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx2.post(
        f"{url}/v1/embeddings", content=content, headers=headers, trust_env=False, timeout=PATIENCE
    )


def refusal(response: httpx2.Response) -> str:
    message = str(response.json()["error"]["message"])
    assert "\n" not in message
    return message


def messages(picture: str | None = None, text: str = "", system: str = "") -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
    if picture is not None:
        parts.insert(0, {"type": "image_url", "image_url": {"url": picture}})
    listed = [{"role": "system", "content": system}] if system else []
    return {"model": "colours", "messages": [*listed, {"role": "user", "content": parts}]}


def embedding(response: httpx2.Response) -> NDArray[np.float32]:
    assert response.status_code == 200, response.text
    return np.asarray(response.json()["data"][0]["embedding"], np.float32)


def test_an_encoder_with_a_model_name_of_its_own_is_asked_for_by_the_setting(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Own(MosaicEncoder):
        def __init__(self, settings: Settings) -> None:
            super().__init__(settings)
            self.model = "mosaic-2x2"

    monkeypatch.setattr("tests.core.mosaic.MosaicEncoder", Own)
    far = remote(serve())
    assert (far.model, far.encoder_model) == ("colours", "mosaic-2x2")
    pictures = [photo(seed, 64, 48) for seed in range(3)]
    expected = Own(settings_of()).encode_images(pictures)
    np.testing.assert_allclose(far.encode_images(pictures), expected, atol=1e-6)


def test_vectors_through_http_are_those_of_the_encoder_itself(serve: Serve) -> None:
    local, far = MosaicEncoder(settings_of()), remote(serve())
    pictures = [photo(seed, 64, 48) for seed in range(40)]
    np.testing.assert_allclose(
        far.encode_images(pictures), local.encode_images(pictures), atol=1e-6
    )
    queries = [Query("red"), Query("blue", photo(1, 64, 64)), Query(image=photo(2, 64, 64))]
    np.testing.assert_allclose(
        far.encode_queries(queries), local.encode_queries(queries), atol=1e-6
    )
    described = ("fingerprint", "dim", "model", "precision", "device")
    assert [getattr(far, name) for name in described] == [getattr(local, n) for n in described]
    assert far.target_size(500, 30) == local.target_size(500, 30)


def test_vectors_of_a_qwen3_vl_are_the_same_through_http(serve: Serve, tmp_path: Path) -> None:
    checkpoint = str(save_checkpoint(tmp_path / "Tiny-VL-Embedding"))
    chosen = {"model": checkpoint, "device": "cpu"}
    local = Qwen3VLEncoder(settings_of(**chosen))
    far = remote(serve(encoder="qwen3-vl", **chosen), model=checkpoint)
    sizes = [(300, 200), (128, 128), (90, 400), (33, 70), (1200, 100)]
    pictures = [photo(seed, *sizes[seed % 5]) for seed in range(15)]
    ready = [picture.resize(local.target_size(*picture.size)) for picture in pictures]
    cosines = (far.encode_images(ready) * local.encode_images(ready)).sum(axis=1)
    assert cosines.min() >= 0.9999
    queries = [
        Query("a cat"),
        Query(),
        Query("typed <|im_end|> tokens"),
        Query("雪地里的一只猫"),
        Query("at night", pictures[0]),
        Query(image=pictures[4]),
    ]
    cosines = (far.encode_queries(queries) * local.encode_queries(queries)).sum(axis=1)
    assert cosines.min() >= 0.9999
    assert far.fingerprint == local.fingerprint


def test_a_match_is_explained_through_http_as_here(serve: Serve) -> None:
    chosen = {"model": "storybook", "device": "cpu", "precision": "fp32"}
    local = Qwen3VLEncoder(settings_of(**chosen))
    url = serve(encoder="qwen3-vl", **chosen)
    for dim in (None, 64):
        far = remote(url, model="storybook", dim=dim)
        check_explaining(far)
        [vector] = far.encode_queries([Query("a red bicycle")])
        for size in ((160, 160), (300, 120), (90, 200)):
            picture = photo(1, *size)
            np.testing.assert_allclose(
                far.explain(picture, vector), local.explain(picture, vector), atol=1e-3
            )


@pytest.mark.parametrize("composes", [True, False])
def test_whether_the_encoder_composes_is_told(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, composes: bool
) -> None:
    assert remote(serve()).composes
    monkeypatch.setattr(MosaicEncoder, "composes", composes, raising=False)
    assert remote(serve()).composes is composes


def test_what_a_server_can_not_explain_is_said_in_one_line(serve: Serve) -> None:
    far = remote(serve())
    with pytest.raises(EncoderError, match="encoder 'mosaic' can't say which part"):
        far.explain(photo(1, 64, 64), np.ones(49, np.float32))
    url = serve(encoder="qwen3-vl", model="storybook", device="cpu")

    def explain(**body: Any) -> httpx2.Response:
        return httpx2.post(f"{url}/explain", json=body, trust_env=False, timeout=PATIENCE)

    picture = data_uri(photo(1, 64, 64))
    for body, message in (
        ({"picture": picture}, "vector: is missing: give it"),
        ({"picture": picture, "vector": "???"}, "vector: give little-endian float32"),
        ({"picture": picture, "vector": ""}, "vector: there are no numbers"),
        ({"picture": picture, "vector": packed_numbers(np.ones(999, np.float32))}, "give 256"),
        ({"picture": "http://a/b.png", "vector": "AAAAAA=="}, "send the picture itself"),
    ):
        response = explain(**body)
        assert response.status_code == 400
        assert message in refusal(response)


def test_a_library_that_was_indexed_here_goes_on_through_a_server(
    serve: Serve, tmp_path: Path
) -> None:
    photos = [paint(tmp_path / "photos" / f"{seed}.png", seed) for seed in range(5)]
    with Library.open(tmp_path / "library", encoder="mosaic", model="colours") as library:
        library.allow([tmp_path / "photos"])
        library.index()
    url = serve()
    MosaicEncoder.encoded.clear()
    with Library.open(tmp_path / "library", encoder="remote", encoder_url=url) as library:
        assert library.index().unchanged == 5
        assert MosaicEncoder.encoded == []
        assert library.search_by_text("red").total_images == 5
        new = paint(tmp_path / "photos" / "new.png", 9)
        assert library.index().encoded == 1
        found = library.image_vectors([new, *photos])
    for path, (_, vector) in found.items():
        assert float(vector @ vector_of(Image.open(path))) > 0.9999


def test_a_picture_of_a_very_long_side_is_indexed_through_a_server_as_others_are(
    serve: Serve, tmp_path: Path
) -> None:
    paint(tmp_path / "photos" / "1.png", 1)
    Image.new("RGB", (2_000_000, 1), "red").save(tmp_path / "photos" / "long.png")
    with Library.open(
        tmp_path / "library", encoder="remote", encoder_url=serve(), model="colours"
    ) as library:
        library.allow([tmp_path / "photos"])
        report = library.index()
        assert (report.encoded, report.failed) == (2, 0)
        assert Path(library.search_by_text("red").hits[0].path).name == "long.png"


def test_the_first_index_through_a_server_pins_its_address(serve: Serve, tmp_path: Path) -> None:
    url = serve()
    paint(tmp_path / "photos" / "1.png", 1)
    with Library.open(
        tmp_path / "library", encoder="remote", encoder_url=url, encoder_token="s", model="colours"
    ) as library:
        library.allow([tmp_path / "photos"])
        library.index()
    later = load_settings({"library": tmp_path / "library"}, environment={})
    assert (later.encoder, later.encoder_url, later.encoder_token) == ("remote", url, None)


def test_openai_clients_get_vectors_of_strings_in_either_format(serve: Serve) -> None:
    url = serve()
    expected = MosaicEncoder(settings_of()).encode_queries([Query("red"), Query("blue")])
    answer = post(url, {"model": "colours", "input": ["red", "blue"]}).json()
    assert [entry["index"] for entry in answer["data"]] == [0, 1]
    np.testing.assert_array_equal(
        np.asarray([entry["embedding"] for entry in answer["data"]], np.float32), expected
    )
    packed = post(url, {"model": "colours", "input": "blue", "encoding_format": "base64"}).json()
    raw = base64.b64decode(packed["data"][0]["embedding"])
    np.testing.assert_array_equal(np.frombuffer(raw, "<f4"), expected[1])
    cut = embedding(post(url, {"model": "colours", "input": "red", "dimensions": 10}))
    np.testing.assert_allclose(cut, expected[0, :10] / np.linalg.norm(expected[0, :10]), atol=1e-6)


def test_pictures_that_come_at_the_same_time_are_encoded_together(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = MosaicEncoder.encode_images
    slots: list[EncoderSlot] = []
    make_slot = EncoderSlot.__init__

    def remember(slot: EncoderSlot, settings: Settings) -> None:
        make_slot(slot, settings)
        slots.append(slot)

    def gated(self: MosaicEncoder, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        if not self.encoded:  # the first call waits until seven more stand in line
            turns = slots[0]._turns
            with turns._changed:
                while len(turns._pictures) < 7:
                    turns._changed.wait(0.001)
        return plain(self, images)

    monkeypatch.setattr(EncoderSlot, "__init__", remember)
    monkeypatch.setattr(MosaicEncoder, "encode_images", gated)
    url = serve()
    pictures = [photo(seed, 32, 32) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(post, url, messages(data_uri(picture))) for picture in pictures]
        vectors = [embedding(future.result()) for future in sent]
    for picture, vector in zip(pictures, vectors, strict=True):
        np.testing.assert_allclose(vector, vector_of(picture), atol=1e-6)
    assert sorted(MosaicEncoder.encoded) == [1, 3, 4], "batches of the encoder's size at most"


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/x.png",
        "https://example.com/x.png",
        "file:///etc/passwd",
        "/etc/passwd",
        "data:text/plain;base64,aGk=",
        "data:image/png,raw",
    ],
)
def test_only_pictures_that_are_sent_themselves_are_taken(serve: Serve, address: str) -> None:
    response = post(serve(), messages(address))
    assert response.status_code == 400
    assert "only data:image/" in refusal(response)


PICTURE = data_uri(Image.new("RGB", (8, 8), "red"))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "JSON"),
        (b"[]", "object"),
        ({"input": "red"}, "model"),
        ({"model": "other", "input": "red"}, "'colours'"),
        ({"model": "colours"}, "either messages or input"),
        ({"model": "colours", "input": []}, "input"),
        ({"model": "colours", "input": [[1, 2]]}, "input"),
        ({"model": "colours", "input": "red", "messages": []}, "either messages or input"),
        ({"model": "colours", "messages": []}, "no user message"),
        ({"model": "colours", "input": "red", "dimensions": 50}, "vectors have 49"),
        ({"model": "colours", "input": "red", "dimensions": 0}, "dimensions"),
        ({"model": "colours", "input": "red", "encoding_format": "int8"}, "encoding_format"),
        (messages("data:image/png;base64,@@@"), "not valid base64"),
        (messages("data:image/png;base64,aGVsbG8="), "not a picture"),
        (messages(system="Classify."), "Represent the user's input."),
        (messages(PICTURE, system="Classify."), "with the instruction"),
        (messages(text="red", system="Represent the user's input."), "with the instruction"),
    ],
)
def test_what_is_wrong_with_a_request_is_said_in_one_line(
    serve: Serve, body: Any, words: str
) -> None:
    response = post(serve(), body)
    assert response.status_code == 400
    assert words in refusal(response)


def test_two_pictures_in_one_request_are_refused(serve: Serve) -> None:
    body = messages(PICTURE)
    body["messages"][0]["content"] *= 2
    assert "more than one picture" in refusal(post(serve(), body))


def test_a_request_too_large_is_refused_before_it_is_read_whole(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp_vlsearch.server.encoder._MAX_BODY", 1000)
    url = serve()
    response = post(url, {"model": "colours", "input": "r" * 2000})
    assert response.status_code == 413
    assert "larger than 1000 bytes: send less" in refusal(response)
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert response.headers["x-should-retry"] == "false", "it would be as large again"


def test_bodies_that_stall_or_fill_the_memory_are_given_up(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp_vlsearch.server.encoder._BODY_SECONDS", 0.2)
    port = int(serve().rsplit(":", 1)[1])
    head = "POST /v1/embeddings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as slow:
        slow.sendall(head.encode() + b"{")
        told, _, content = answer(slow).partition(b"\r\n\r\n")
    assert told.startswith(b"HTTP/1.1 408")
    assert b"x-should-retry: false" in told
    assert "the body took more than 0.2 s" in json.loads(content)["error"]["message"]
    monkeypatch.setattr("mcp_vlsearch.server.encoder._HELD_BODIES", 0)
    response = post(serve(), {"model": "colours", "input": "red"})
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert refusal(response) == "too many large requests: send it again"
    assert response.json()["error"]["type"] == "server_error"


def test_a_request_that_finds_no_room_is_sent_again_by_our_client(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("mcp_vlsearch.encoders.endpoint.pause", pauses.append)
    monkeypatch.setattr("mcp_vlsearch.server.encoder._HELD_BODIES", 0)
    with pytest.raises(EncoderError, match="answered 503: too many large requests"):
        remote(serve()).encode_queries([Query("red")])
    assert len(pauses) == 4
    assert min(pauses) >= 1, "as Retry-After says"


def test_the_token_is_asked_for_everywhere(serve: Serve) -> None:
    url = serve(access="sesame")
    body = {"model": "colours", "input": "red"}
    assert post(url, body).status_code == 401
    assert post(url, body, authorization="Bearer sesam").status_code == 401
    assert post(url, body, authorization="Bearer sesame").status_code == 200
    for path in ("/v1/models", "/health", "/target_size?width=1&height=1"):
        assert httpx2.get(url + path, trust_env=False).status_code == 401
    with pytest.raises(EncoderError, match="--encoder-token"):
        remote(url)
    assert remote(url, encoder_token="sesame").dim == 49


def test_web_pages_do_not_reach_the_encoder(serve: Serve) -> None:
    url = serve()
    body = {"model": "colours", "input": "red"}
    assert post(url, body, origin="http://evil.example").status_code == 403
    assert post(url, body, host="evil.example").status_code == 403
    assert post(url, body, host="localhost:80").status_code == 200
    assert post(serve(host="0.0.0.0"), body, host="gpu.lan").status_code == 200


@pytest.mark.parametrize("access", [None, "sesame"])
@pytest.mark.parametrize(
    "names",
    ["Origin: http://evil.example\r\nHost: 127.0.0.1", "Host: evil.example"],
    ids=["Origin", "Host"],
)
def test_web_pages_are_refused_before_their_bodies_have_come(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, names: str, access: str | None
) -> None:
    monkeypatch.setattr("mcp_vlsearch.server.encoder._BODY_SECONDS", 0.05)
    port = int(serve(access=access).rsplit(":", 1)[1])
    known = f"Authorization: Bearer {access}\r\nContent-Length: 100\r\n\r\n"
    head = f"POST /v1/embeddings HTTP/1.1\r\n{names}\r\n{known}"
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as page:
        page.sendall(head.encode() + b"{")
        assert page.recv(100).startswith(b"HTTP/1.1 403")


def test_a_server_that_runs_in_another_precision_than_the_library_is_refused(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = serve()
    flags: dict[str, Any] = {"library": tmp_path / "library", "encoder": "remote"}
    paint(tmp_path / "photos" / "1.png", 1)
    with Library.open(**flags, encoder_url=url, model="colours") as library:
        library.allow([tmp_path / "photos"])
        library.index()
    plain = MosaicEncoder.__init__

    def restarted(self: MosaicEncoder, settings: Settings) -> None:
        plain(self, settings)
        self.precision, self.fingerprint = "int8", "mosaic in int8"

    monkeypatch.setattr(MosaicEncoder, "__init__", restarted)
    flags["encoder_url"] = url = serve()
    with Library.open(**flags) as library, pytest.raises(EncoderError) as error:
        library.index()
    assert str(error.value) == (
        f"{url} runs 'colours' in int8, not in fp32: start it with --precision fp32, or index "
        "again with --precision int8"
    )
    with Library.open(**flags, precision="int8") as library:
        assert library.index().encoded == 1
    assert remote(url).precision == "int8"


@pytest.mark.parametrize("dim", [None, 8])
def test_a_server_that_is_started_again_with_another_model_is_noticed_at_the_next_vectors(
    monkeypatch: pytest.MonkeyPatch, dim: int | None
) -> None:
    def service() -> ASGIApp:
        settings = settings_of()
        return encoder_app(EncoderSlot(settings), settings, "127.0.0.1", None)

    async def current(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await running(scope, receive, send)

    running = service()
    with serving(current) as url:
        client = remote(url, dim=dim)
        assert len(client.encode_queries([Query("red")])) == 1
        running = service()
        assert len(client.encode_queries([Query("red")])) == 1, "it is the same one"
        plain = MosaicEncoder.__init__

        def restarted(self: MosaicEncoder, settings: Settings) -> None:
            plain(self, settings)
            self.fingerprint = "another"

        monkeypatch.setattr(MosaicEncoder, "__init__", restarted)
        running = service()
        with pytest.raises(EncoderError, match="another model or precision now: start again"):
            client.encode_queries([Query("red")])
        with pytest.raises(EncoderError, match="another model or precision now: start again"):
            client.encode_images([photo(1, 32, 32)])
        assert remote(url, dim=dim).fingerprint != client.fingerprint


def test_another_instruction_or_model_is_found_out_at_the_start(serve: Serve) -> None:
    url = serve()
    with pytest.raises(EncoderError, match="--image-instruction"):
        remote(url, image_instruction="Look at it.")
    with pytest.raises(EncoderError, match="--model colours"):
        remote(url, model="another")
    assert remote(url, query_instruction=QUERY.rstrip(".")).dim == 49


def test_a_pixel_budget_that_our_server_would_not_heed_is_refused_if_a_flag_asks_for_it(
    serve: Serve, tmp_path: Path
) -> None:
    url = serve()
    given: dict[str, Any] = {"library": tmp_path, "encoder": "remote", "encoder_url": url}
    flags = {**given, "model": "colours", "max_pixels": 4096}
    refused = pytest.raises(SettingsError, match=f"--max-pixels is up to {url}: give it there")
    with Library(load_settings(flags, environment={})) as library, refused:
        library.query_vectors(["red"])
    del flags["max_pixels"]
    with Library(load_settings(flags, {"MCP_VLSEARCH_MAX_PIXELS": "4096"})) as library:
        assert len(library.query_vectors(["red"])) == 1


def test_an_encoder_that_fails_to_load_is_said_at_once(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("mcp_vlsearch.encoders.endpoint.pause", pauses.append)
    with pytest.raises(EncoderError, match="the model is broken: give another --model"):
        remote(serve(model="broken"), model="broken")
    assert pauses == []


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        (OutOfMemoryError("not enough memory to encode a batch: use less"), "encode a batch"),
        (MemoryError(), "not enough memory for this request"),
    ],
)
def test_out_of_memory_arrives_as_that(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, raised: Exception, words: str
) -> None:
    def full(*_: object) -> None:
        raise raised

    monkeypatch.setattr(MosaicEncoder, "encode_images", full)
    far = remote(serve())
    with pytest.raises(OutOfMemoryError, match=words):
        far.encode_images([photo(1, 32, 32)])


def test_health_says_where_the_encoder_stands_without_waiting(serve: Serve) -> None:
    url = serve()
    health = httpx2.get(f"{url}/health", trust_env=False)
    assert health.json() == {"state": "not loaded", "precision": "auto"}
    remote(url).encode_queries([Query("red")])
    health = httpx2.get(f"{url}/health", trust_env=False)
    assert health.json() == {"state": "ready", "precision": "fp32"}
    for size in ("width=0&height=1", "width=x&height=1", "width=1", "width=1&height=2500000000"):
        assert httpx2.get(f"{url}/target_size?{size}", trust_env=False).status_code == 400


def test_a_remote_encoder_is_not_served_again() -> None:
    with pytest.raises(SettingsError, match="can't be served again"):
        serve_encoder(settings_of(encoder="remote"))


Start = Callable[..., "tuple[subprocess.Popen[str], list[str]]"]


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Start]:
    """Return a function that runs ``encoder serve`` and gives what it says till it serves."""
    with ExitStack() as stack:

        def run(*flags: str) -> "tuple[subprocess.Popen[str], list[str]]":
            process = subprocess.Popen(
                [sys.executable, "-m", "mcp_vlsearch", "encoder", "serve", "--port", "0", *flags],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            assert process.stderr is not None
            said: list[str] = []
            for line in process.stderr:
                said.append(line)
                if line.startswith("serving the encoder at "):
                    break
            return process, said

        yield run


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_the_command_serves_until_a_signal(start: Start) -> None:
    process, said = start()
    (url,) = re.findall(r"http://127\.0\.0\.1:\d+", said[-1])
    assert len(said) == 1, "no token on loopback"
    far = remote(url, model="plain")
    assert far.encode_queries([Query("red")]).shape == (1, 3)
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    lines = sorted(line.partition(" INFO ")[2] or line for line in process.stderr)
    assert [re.sub(r"[\d.]+ s,", "… s,", line.rstrip()) for line in lines] == [
        "encoder: plain in fp32 on cpu",
        "mcp_vlsearch.core.encoding: plain loaded in … s, in fp32 on cpu",
    ]
    assert process.wait(PATIENCE) == 0


def test_beyond_loopback_the_command_makes_a_token_and_asks_for_it(start: Start) -> None:
    _, said = start("--host", "0.0.0.0")
    (token,) = re.findall(r"Authorization: Bearer (\S{40,})", "".join(said))
    (port,) = re.findall(r":(\d+);", said[-1])
    url = f"http://127.0.0.1:{port}"
    assert post(url, {"model": "plain", "input": "red"}).status_code == 401
    assert remote(url, model="plain", encoder_token=token).dim == 3


def test_a_text_that_was_searched_before_is_answered_while_pictures_are_encoded(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go = threading.Event(), threading.Event()
    plain = MosaicEncoder.encode_images

    def gated(self: MosaicEncoder, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        entered.set()
        assert go.wait(PATIENCE)
        return plain(self, images)

    monkeypatch.setattr(MosaicEncoder, "encode_images", gated)
    url = serve()
    known = remote(url)
    known.encode_queries([Query("red")])
    with ThreadPoolExecutor() as pool:
        indexing = pool.submit(known.encode_images, [photo(seed, 32, 32) for seed in range(60)])
        assert entered.wait(PATIENCE)
        assert embedding(post(url, {"model": "colours", "input": "red"})).shape == (49,)
        go.set()
        assert len(indexing.result(PATIENCE)) == 60
