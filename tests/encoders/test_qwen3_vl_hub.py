"""Hub ids: what is on this machine needs no network, and a hub that refuses is understood."""

import hashlib
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import huggingface_hub.constants
import numpy as np
import pytest
from PIL import Image

from mcp_vlsearch.errors import CheckpointError

from .conftest import MakeEncoder
from .tiny import one_line


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


class _Hub(BaseHTTPRequestHandler):
    status: ClassVar[int]
    headers_sent: ClassVar[dict[str, str]]

    def do_GET(self) -> None:
        self.send_response(self.status)
        for name, value in self.headers_sent.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Hub]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", endpoint)
    yield _Hub
    server.shutdown()
    thread.join()
    server.server_close()


def fill_hub_cache(cache: Path, repository: str, folder: Path) -> Path:
    """Lay out a checkpoint as the hub's client does: links to blobs, large ones named by digest."""
    commit = "c" * 40
    home = cache / f"models--{repository.replace('/', '--')}"
    snapshot = home / "snapshots" / commit
    for path in (home / "refs", home / "blobs", snapshot):
        path.mkdir(parents=True)
    (home / "refs" / "main").write_text(commit)
    for path in folder.iterdir():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        blob = home / "blobs" / (digest if path.suffix == ".safetensors" else digest[:40])
        shutil.copy(path, blob)
        (snapshot / path.name).symlink_to(blob)
    return snapshot


def test_a_hub_id_on_this_machine_needs_no_network_and_reads_no_weights(
    make: MakeEncoder, embedding: Path, hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_hub_cache(hub_cache, "someone/Tiny-Embedding", embedding)
    read = []
    file_digest = hashlib.file_digest

    def recording(file: Any, algorithm: str) -> Any:
        read.append(file.name)
        return file_digest(file, algorithm)

    monkeypatch.setattr(hashlib, "file_digest", recording)
    encoder = make("someone/Tiny-Embedding")
    assert encoder.model == "someone/Tiny-Embedding"
    assert read
    assert not [name for name in read if len(Path(name).name) == 64]
    local = make(embedding)
    assert encoder.fingerprint == local.fingerprint
    pictures = [Image.new("RGB", (64, 64), "red")]
    expected = local.encode_images(pictures)
    np.testing.assert_array_equal(encoder.encode_images(pictures), expected)


@pytest.mark.usefixtures("hub_cache")
@pytest.mark.parametrize(
    ("status", "headers", "says"),
    [
        (404, {"X-Error-Code": "RepoNotFound"}, "the hub has no checkpoint 'someone/model'"),
        (401, {"X-Error-Code": "RepoNotFound"}, "the hub has no checkpoint 'someone/model'"),
        (403, {"X-Error-Code": "GatedRepo"}, "'someone/model' is open only to some: ask"),
    ],
    ids=["missing", "private", "gated"],
)
def test_a_hub_that_refuses_is_understood(
    make: MakeEncoder,
    hub: type[_Hub],
    status: int,
    headers: dict[str, str],
    says: str,
) -> None:
    hub.status, hub.headers_sent = status, headers
    with pytest.raises(CheckpointError) as error:
        make("someone/model")
    assert one_line(error).startswith(says)
    assert "try --model storybook" in one_line(error)


@pytest.mark.usefixtures("hub_cache")
def test_no_network_says_what_to_do_instead(
    make: MakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(CheckpointError) as error:
        make("Qwen/Qwen3-VL-Embedding-2B")
    assert one_line(error) == (
        "can't download 'Qwen/Qwen3-VL-Embedding-2B' (no network): connect, or give --model "
        "a local directory, or try --model storybook"
    )


def test_a_half_downloaded_checkpoint_is_not_used(
    make: MakeEncoder, embedding: Path, hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = fill_hub_cache(hub_cache, "someone/Tiny-Embedding", embedding)
    (snapshot / "model.safetensors").unlink()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(CheckpointError) as error:
        make("someone/Tiny-Embedding")
    assert one_line(error).startswith("'someone/Tiny-Embedding' is here only in part")
