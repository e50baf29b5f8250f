"""Flags that the chosen encoder would ignore are refused; other sources may name them."""

from pathlib import Path
from typing import Any

import pytest

from mcp_vlsearch.errors import SettingsError
from mcp_vlsearch.settings import load_settings

IGNORED = [
    ("qwen3-vl", "encoder_url", "http://127.0.0.1:8766", "--encoder-url needs --encoder remote"),
    ("qwen3-vl", "encoder_token", "secret", "--encoder-token needs --encoder remote"),
    ("remote", "device", "cpu", "--device is up to the server"),
    ("remote", "pooling", "mean", "--pooling is up to the server"),
]


@pytest.mark.parametrize(("encoder", "name", "value", "words"), IGNORED)
def test_a_flag_that_the_encoder_would_ignore_is_refused_in_one_line(
    tmp_path: Path, encoder: str, name: str, value: str, words: str
) -> None:
    flags: dict[str, Any] = {"library": tmp_path, "encoder": encoder, name: value}
    with pytest.raises(SettingsError, match=f"^{words}") as caught:
        load_settings(flags, environment={})
    assert "\n" not in str(caught.value)
    other = "remote" if encoder == "qwen3-vl" else "qwen3-vl"
    assert getattr(load_settings(flags | {"encoder": other}, environment={}), name) == value
    assert load_settings(flags | {"encoder": "another"}, environment={}), "a plugin may use it"


@pytest.mark.parametrize(("encoder", "name", "value", "words"), IGNORED)
def test_environment_and_config_file_may_say_what_this_encoder_ignores(
    tmp_path: Path, encoder: str, name: str, value: str, words: str
) -> None:
    del words
    (tmp_path / "config.toml").write_text(f'{name} = "{value}"\nencoder = "{encoder}"\n')
    assert load_settings({"library": tmp_path}, environment={}).encoder == encoder
    environment = {f"MCP_VLSEARCH_{name.upper()}": value}
    assert load_settings({"library": tmp_path}, environment=environment).encoder == encoder


def test_a_flag_that_asks_for_the_default_is_no_reason_to_stop(tmp_path: Path) -> None:
    flags = {"library": tmp_path, "encoder": "remote", "device": "auto", "pooling": "auto"}
    assert load_settings(flags, environment={}).device == "auto"
