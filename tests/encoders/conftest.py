"""Tiny checkpoints, made once, and a private cache for their digests."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from mcp_vlsearch.encoders.qwen3_vl import Qwen3VLEncoder, content
from mcp_vlsearch.settings import Settings

from .tiny import Reference, save_checkpoint


class MakeEncoder(Protocol):
    def __call__(self, model: Path | str, **settings: Any) -> Qwen3VLEncoder: ...


@pytest.fixture(scope="session", autouse=True)
def digest_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(content, "user_cache_path", lambda *_, **__: folder)
        yield folder


@pytest.fixture(scope="session")
def embedding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("models") / "Tiny-VL-Embedding")


@pytest.fixture(scope="session")
def instruct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("models") / "Tiny-VL-Instruct", "instruct")


@pytest.fixture
def copy(embedding: Path, tmp_path: Path) -> Path:
    """An embedding checkpoint to spoil."""
    return Path(shutil.copytree(embedding, tmp_path / "moved" / "Another-Embedding"))


@pytest.fixture(scope="session", params=["embedding", "instruct"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def checkpoint(kind: str, embedding: Path, instruct: Path) -> Path:
    return embedding if kind == "embedding" else instruct


@pytest.fixture(scope="session")
def reference(kind: str, checkpoint: Path) -> Reference:
    return Reference(checkpoint, "last" if kind == "embedding" else "mean")


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> MakeEncoder:
    library = tmp_path_factory.mktemp("library")

    def make_encoder(model: Path | str, **settings: Any) -> Qwen3VLEncoder:
        # what auto chooses depends on the machine
        given = {"device": "cpu", "precision": "fp32", "library": library, "model": str(model)}
        return Qwen3VLEncoder(Settings.model_validate({**given, **settings}))

    return make_encoder
