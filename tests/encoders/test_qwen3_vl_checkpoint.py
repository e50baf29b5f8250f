"""Which checkpoint is found, and what kind of one it is."""

import shutil
from pathlib import Path

import pytest

from mcp_vlsearch.encoders.qwen3_vl import checkpoint
from mcp_vlsearch.encoders.qwen3_vl.checkpoint import open_checkpoint
from mcp_vlsearch.errors import CheckpointError

from .conftest import MakeEncoder
from .tiny import edit_json


@pytest.mark.parametrize(
    ("name", "pooling"),
    [
        ("Qwen3-VL-Embedding-2B", "last"),
        ("my-embedding", "last"),
        ("Qwen3-VL-2B-Instruct", "mean"),
        ("Qwen3-VL-2B-Thinking", "mean"),
        ("finetuned", "mean"),
    ],
)
def test_the_name_tells_the_kind(instruct: Path, tmp_path: Path, name: str, pooling: str) -> None:
    folder = shutil.copytree(instruct, tmp_path / name)
    assert open_checkpoint(str(folder)).pooling == pooling


def test_a_checkpoint_saved_without_a_head_is_an_embedding_one(
    embedding: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(embedding, tmp_path / "anything")
    assert open_checkpoint(str(folder)).pooling == "last"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("README.md", "---\ntags: [x]\n---\n# Qwen3-VL-Embedding-2B\n"),
        ("README.md", "---\nbase_model: Qwen/Qwen3-VL-Embedding-2B\n---\n"),
        ("modules.json", "[]"),
        ("config_sentence_transformers.json", "{}"),
    ],
)
def test_an_embedding_checkpoint_is_known_under_any_name_by_what_lies_with_it(
    instruct: Path, tmp_path: Path, file: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = shutil.copytree(instruct, tmp_path / "my-model")
    (folder / file).write_text(text)
    with caplog.at_level("INFO"):
        assert open_checkpoint(str(folder)).pooling == "last"
    assert "last" in caplog.text
    assert file in caplog.text


def test_an_embedding_checkpoint_is_known_by_the_name_in_its_config(
    instruct: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(instruct, tmp_path / "my-model"))
    edit_json(folder / "config.json", _name_or_path="Qwen/Qwen3-VL-Embedding-2B")
    assert open_checkpoint(str(folder)).pooling == "last"


def test_a_folder_in_the_hubs_cache_has_the_name_of_its_repository(
    instruct: Path, tmp_path: Path
) -> None:
    for name, pooling in (("Embedding-2B", "last"), ("2B-Instruct", "mean")):
        place = tmp_path / f"models--Qwen--Qwen3-VL-{name}" / "snapshots" / "0123abcd"
        folder = shutil.copytree(instruct, place)
        assert open_checkpoint(str(folder)).pooling == pooling


def test_a_checkpoint_of_which_nothing_tells_the_kind_says_what_was_chosen(
    instruct: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(shutil.copytree(instruct, tmp_path / "my-model"))
    (folder / "README.md").write_text("# Qwen3-VL-2B-Instruct\n")
    with caplog.at_level("INFO"):
        assert open_checkpoint(str(folder)).pooling == "mean"
    assert "mean, nothing says" in caplog.text


@pytest.mark.parametrize(
    ("says", "pooling"),
    [
        ('{"pooling_mode_lasttoken": true}', "last"),
        ('{"pooling_mode": "lasttoken"}', "last"),
        ('{"pooling_mode_mean_tokens": true}', "mean"),
        ('{"pooling_mode": "mean"}', "mean"),
        ('{"pooling_mode": "cls"}', "last"),
    ],
)
def test_sentence_transformers_pooling_file_beats_the_name(
    copy: Path, says: str, pooling: str
) -> None:
    (copy / "1_Pooling").mkdir()
    (copy / "1_Pooling" / "config.json").write_text(says)
    assert open_checkpoint(str(copy)).pooling == pooling


def test_our_own_word_in_the_config_beats_everything(copy: Path) -> None:
    edit_json(copy / "config.json", mcp_vlsearch={"pooling": "mean"})
    assert open_checkpoint(str(copy)).pooling == "mean"


def test_storybook_is_the_folder_in_the_package(
    make: MakeEncoder, embedding: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "files", lambda _: tmp_path)
    with pytest.raises(CheckpointError, match="storybook is missing: reinstall mcp-vlsearch"):
        make("storybook")
    shutil.copytree(embedding, tmp_path / "checkpoint")
    assert make("storybook").fingerprint == make(embedding).fingerprint
