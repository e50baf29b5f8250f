"""Flags that the chosen encoder or index would ignore are refused; others may name them."""

from pathlib import Path
from typing import Any

import pytest

from mcp_vlsearch.errors import SettingsError
from mcp_vlsearch.settings import load_settings

IGNORED = [
    ("encoder=qwen3-vl", "encoder_url", "http://1.2.3.4", "--encoder-url needs --encoder remote"),
    ("encoder=qwen3-vl", "encoder_token", "secret", "--encoder-token needs --encoder remote"),
    ("encoder=remote", "device", "cpu", "--device is up to the server"),
    ("encoder=remote", "pooling", "mean", "--pooling is up to the server"),
    ("index=faiss", "milvus_uri", "http://1.2.3.4", "--milvus-uri needs --index milvus"),
    ("index=faiss", "milvus_token", "secret", "--milvus-token needs --index milvus"),
    ("index=milvus", "index_kind", "hnsw", "--index-kind needs --index faiss"),
]
OTHER = {"qwen3-vl": "remote", "remote": "qwen3-vl", "faiss": "milvus", "milvus": "faiss"}


@pytest.mark.parametrize(("plugin", "name", "value", "words"), IGNORED)
def test_a_flag_that_nobody_would_look_at_is_refused_in_one_line(
    tmp_path: Path, plugin: str, name: str, value: str, words: str
) -> None:
    kind, _, chosen = plugin.partition("=")
    flags: dict[str, Any] = {"library": tmp_path, kind: chosen, name: value}
    with pytest.raises(SettingsError, match=f"^{words}") as caught:
        load_settings(flags, environment={})
    assert "\n" not in str(caught.value)
    assert getattr(load_settings(flags | {kind: OTHER[chosen]}, environment={}), name) == value
    assert load_settings(flags | {kind: "another"}, environment={}), "a plugin may use it"


@pytest.mark.parametrize(("plugin", "name", "value", "words"), IGNORED)
def test_environment_and_config_file_may_say_what_nobody_looks_at(
    tmp_path: Path, plugin: str, name: str, value: str, words: str
) -> None:
    del words
    kind, _, chosen = plugin.partition("=")
    (tmp_path / "config.toml").write_text(f'{name} = "{value}"\n{kind} = "{chosen}"\n')
    assert getattr(load_settings({"library": tmp_path}, environment={}), kind) == chosen
    environment = {f"MCP_VLSEARCH_{name.upper()}": value}
    assert getattr(load_settings({"library": tmp_path}, environment=environment), kind) == chosen


def test_a_flag_that_asks_for_the_default_is_no_reason_to_stop(tmp_path: Path) -> None:
    flags = {"library": tmp_path, "encoder": "remote", "device": "auto", "pooling": "auto"}
    assert load_settings(flags, environment={}).device == "auto"


@pytest.mark.parametrize("model", ["a" * 300, "~no-such-user/checkpoint"])
def test_a_model_that_no_folder_can_be_named_is_one_line(tmp_path: Path, model: str) -> None:
    with pytest.raises(SettingsError, match=r"there is no model .*: give another --model"):
        load_settings({"library": tmp_path, "model": model}, environment={})


def test_the_home_of_a_user_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    for given in (
        {"library": "~no-such-user/x"},
        {"library": tmp_path, "roots": ("~no-such-user",)},
    ):
        with pytest.raises(SettingsError, match="there is no such user: give another path"):
            load_settings(given, environment={})
