"""The fingerprint changes with the vectors and with nothing else."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from mcp_vlsearch.encoders.qwen3_vl import content, encoder

from .conftest import MakeEncoder
from .tiny import edit_json


def test_a_copied_or_renamed_folder_keeps_the_fingerprint(
    make: MakeEncoder, embedding: Path, copy: Path
) -> None:
    fingerprint = make(embedding).fingerprint
    assert fingerprint == make(copy).fingerprint == make(embedding).fingerprint
    assert len(fingerprint) == 16
    assert int(fingerprint, 16)


@pytest.mark.parametrize(
    "change",
    [
        {"pooling": "mean"},
        {"max_pixels": 100 * 100},
        {"precision": "bf16"},
        {"dim": 32},
        {"image_instruction": "Say what it is."},
    ],
    ids=lambda change: next(iter(change)),
)
def test_settings_that_change_vectors_change_the_fingerprint(
    make: MakeEncoder, embedding: Path, change: dict[str, Any]
) -> None:
    assert make(embedding, **change).fingerprint != make(embedding).fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"query_instruction": "Find it."},
        {"batch_size": 3},
        {"pooling": "last"},
        {"image_instruction": "Represent the user's input"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_settings_that_change_no_picture_vector_keep_the_fingerprint(
    make: MakeEncoder, embedding: Path, change: dict[str, Any]
) -> None:
    assert make(embedding, **change).fingerprint == make(embedding).fingerprint


def test_a_new_template_changes_the_fingerprint(
    make: MakeEncoder, embedding: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = make(embedding).fingerprint
    monkeypatch.setattr(encoder, "TEMPLATE_VERSION", -1)
    assert make(embedding).fingerprint != before


def test_other_weights_change_the_fingerprint(make: MakeEncoder, copy: Path) -> None:
    before = make(copy).fingerprint
    weights = load_file(copy / "model.safetensors")
    weights["language_model.norm.weight"][0] += 1
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    assert make(copy).fingerprint != before


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
def test_other_config_or_tokenizer_changes_the_fingerprint(
    make: MakeEncoder, copy: Path, name: str
) -> None:
    before = make(copy).fingerprint
    edit_json(copy / name, comment="another")
    assert make(copy).fingerprint != before


def test_other_normalisation_changes_the_fingerprint(make: MakeEncoder, copy: Path) -> None:
    before = make(copy).fingerprint
    edit_json(copy / "preprocessor_config.json", image_mean=[0.4, 0.5, 0.5])
    assert make(copy).fingerprint != before


def test_weights_are_read_once_and_remembered_by_size_and_mtime(
    make: MakeEncoder, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = make(copy).fingerprint
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert make(copy).fingerprint == before
    os.utime(copy / "model.safetensors", ns=(1, 1))
    with pytest.raises(TypeError):
        make(copy)


@pytest.mark.parametrize("memo", ["", "[]", "{", '{"x": 3}'])
def test_a_damaged_memo_of_digests_is_replaced(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memo: str
) -> None:
    expected = content.content_digest(copy)
    path = tmp_path / "digests.json"
    path.write_text(memo)
    monkeypatch.setattr(content, "user_cache_path", lambda *_, **__: tmp_path)
    assert content.content_digest(copy) == expected
    assert str(copy / "model.safetensors") in json.loads(path.read_text())


def test_a_memo_that_cannot_be_written_is_no_error(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = content.content_digest(copy)
    (tmp_path / "file").touch()
    monkeypatch.setattr(content, "user_cache_path", lambda *_, **__: tmp_path / "file" / "below")
    assert content.content_digest(copy) == expected
