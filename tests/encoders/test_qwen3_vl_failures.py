"""Each checkpoint that can't be used gets one clear line."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen3VLModel

from mcp_vlsearch.contracts import Query
from mcp_vlsearch.encoders.qwen3_vl import quantise
from mcp_vlsearch.encoders.qwen3_vl.checkpoint import open_checkpoint
from mcp_vlsearch.encoders.qwen3_vl.loading import load_model
from mcp_vlsearch.errors import CheckpointError, OutOfMemoryError

from .conftest import MakeEncoder
from .tiny import HIDDEN, edit_json, one_line, photo, save_checkpoint


def test_a_folder_without_config_is_named(make: MakeEncoder, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as error:
        make(tmp_path)
    assert one_line(error).startswith(f"{tmp_path} holds no config.json: give --model")


def test_a_path_that_is_not_there_is_no_hub_id(make: MakeEncoder) -> None:
    for name in ("/no/such/folder", "./model", "../a", "word"):
        with pytest.raises(CheckpointError) as error:
            make(name)
        assert one_line(error).startswith(f"there is no directory {name!r}")


def test_another_kind_of_model_is_named(make: MakeEncoder, copy: Path) -> None:
    edit_json(copy / "config.json", model_type="bert")
    with pytest.raises(CheckpointError) as error:
        make(copy)
    assert "is a checkpoint of type 'bert', not a Qwen3-VL: try --model" in one_line(error)


@pytest.mark.parametrize(
    ("name", "text"),
    [("config.json", "{"), ("config.json", "[]"), ("preprocessor_config.json", "{")],
)
def test_a_file_that_is_no_json_is_named(
    make: MakeEncoder, copy: Path, name: str, text: str
) -> None:
    (copy / name).write_text(text)
    with pytest.raises(CheckpointError) as error:
        make(copy)
    assert f"is damaged ({name}" in one_line(error)


def test_a_config_without_its_parts_is_damaged(make: MakeEncoder, copy: Path) -> None:
    edit_json(copy / "config.json", text_config=None)
    with pytest.raises(CheckpointError, match=r"is damaged \(config.json lacks text_config"):
        make(copy)


def test_missing_weights_are_named(make: MakeEncoder, copy: Path, tmp_path: Path) -> None:
    (copy / "model.safetensors").unlink()
    with pytest.raises(CheckpointError) as error:
        make(copy)
    assert "lacks model.safetensors: copy or download the whole checkpoint" in one_line(error)
    shards = save_checkpoint(tmp_path / "shards", shard_size="200KB")
    gone = sorted(shards.glob("*.safetensors"))[1]
    gone.unlink()
    with pytest.raises(CheckpointError, match=f"lacks {gone.name}"):
        make(shards)


def test_truncated_weights_are_damaged(make: MakeEncoder, copy: Path) -> None:
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(CheckpointError) as error:
        make(copy)
    assert "is damaged (model.safetensors: " in one_line(error)


def test_weights_that_lack_a_tensor_are_refused_not_filled_with_noise(
    make: MakeEncoder, copy: Path
) -> None:
    weights = load_file(copy / "model.safetensors")
    del weights["visual.merger.norm.weight"]
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError) as error:
        make(copy).load()
    assert "(visual.merger.norm.weight is missing or of another shape)" in one_line(error)


def test_weights_of_another_shape_are_refused(make: MakeEncoder, copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    weights["language_model.norm.weight"] = torch.ones(32)
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError) as error:
        make(copy).load()
    assert "(language_model.norm.weight is missing or of another shape)" in one_line(error)


def test_a_damaged_tokenizer_is_refused(make: MakeEncoder, copy: Path) -> None:
    (copy / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointError) as error:
        make(copy).load()
    assert "has a tokenizer that can't be read" in one_line(error)


def test_a_folder_without_tokenizer_is_refused(make: MakeEncoder, copy: Path) -> None:
    (copy / "tokenizer.json").unlink()
    (copy / "tokenizer_config.json").unlink()
    with pytest.raises(CheckpointError) as error:
        make(copy).load()
    assert "tokenizer" in one_line(error)


def test_a_tokenizer_of_another_checkpoint_is_refused(make: MakeEncoder, copy: Path) -> None:
    edit_json(copy / "config.json", image_token_id=3)
    with pytest.raises(CheckpointError) as error:
        make(copy).load()
    assert "has a tokenizer that doesn't fit its config (<|image_pad|> is not 3)" in one_line(error)


@pytest.mark.parametrize(
    "memory",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
    ],
    ids=["python", "cuda", "cpu", "mps"],
)
def test_too_little_memory_says_what_to_make_smaller(
    make: MakeEncoder, embedding: Path, monkeypatch: pytest.MonkeyPatch, memory: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise memory

    encoder = make(embedding)
    encoder.load()
    monkeypatch.setattr(encoder._loaded[1], "_forward", fail)  # type: ignore[index]
    with pytest.raises(OutOfMemoryError) as error:
        encoder.encode_queries([Query("cat")])
    assert "not enough memory to encode a batch: use a smaller --max-pixels" in one_line(error)

    monkeypatch.setattr(Qwen3VLModel, "from_pretrained", fail)
    with pytest.raises(CheckpointError) as load_error:
        make(embedding).load()
    assert "not enough memory for" in one_line(load_error)
    assert one_line(load_error).endswith(
        "in fp32: end other programs that use it, or index again with --precision bf16"
    )


@pytest.mark.parametrize(
    ("where", "precision", "installed", "advice"),
    [
        ("cpu", "bf16", True, "--precision int8"),
        ("cpu", "int8", True, "--precision nf4"),
        ("cpu", "nf4", True, "a smaller checkpoint"),
        ("cpu", "bf16", False, "a smaller checkpoint"),
        ("mps", "fp32", True, "--precision fp16"),
        ("mps", "fp16", True, "a smaller checkpoint"),
    ],
)
def test_what_would_fit_is_what_can_be_done_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    precision: str,
    installed: bool,
    advice: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("out of memory")

    folder = save_checkpoint(tmp_path / "wide", wide=True)
    monkeypatch.setattr(Qwen3VLModel, "from_pretrained", fail)
    monkeypatch.setattr(quantise, "find_spec", lambda _: installed or None)
    with pytest.raises(CheckpointError) as error:
        load_model(open_checkpoint(str(folder)), where, precision)
    assert one_line(error).endswith(f"or index again with {advice}")


def test_a_failed_load_can_be_tried_again(make: MakeEncoder, copy: Path) -> None:
    encoder = make(copy)
    tokenizer = (copy / "tokenizer.json").read_bytes()
    (copy / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointError):
        encoder.load()
    (copy / "tokenizer.json").write_bytes(tokenizer)
    assert encoder.encode_images([photo(1, 64, 64)]).shape == (1, HIDDEN)
