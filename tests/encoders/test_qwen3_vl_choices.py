"""Pixel budget, dim, device and precision fit checkpoint and machine."""

from pathlib import Path

import pytest
import torch
from transformers import Qwen3VLModel

from mcp_vlsearch.encoders.qwen3_vl import device
from mcp_vlsearch.encoders.qwen3_vl.checkpoint import open_checkpoint
from mcp_vlsearch.errors import SettingsError

from .conftest import MakeEncoder
from .tiny import HIDDEN, MAX_PIXELS, edit_json


def test_the_checkpoints_pixel_budget_is_kept_and_a_larger_one_capped(copy: Path) -> None:
    assert open_checkpoint(str(copy)).pixel_format(None).max_pixels == MAX_PIXELS
    assert open_checkpoint(str(copy)).pixel_format(10_000).max_pixels == 10_000
    edit_json(copy / "preprocessor_config.json", size={"longest_edge": 10**7, "shortest_edge": 1})
    assert open_checkpoint(str(copy)).pixel_format(None).max_pixels == 512 * 512
    assert open_checkpoint(str(copy)).pixel_format(10**6).max_pixels == 10**6


def test_processors_saved_in_one_file_or_not_at_all_are_understood(copy: Path) -> None:
    (copy / "preprocessor_config.json").unlink()
    default = open_checkpoint(str(copy)).pixel_format(None)
    assert (default.min_pixels, default.max_pixels) == (256 * 256, 512 * 512)
    assert default.mean == default.std == (0.5, 0.5, 0.5)
    (copy / "processor_config.json").write_text(
        '{"image_processor": {"max_pixels": 9999, "image_mean": [0.1, 0.2, 0.3], "size": null}}'
    )
    given = open_checkpoint(str(copy)).pixel_format(None)
    assert (given.max_pixels, given.mean) == (9999, (0.1, 0.2, 0.3))


def test_a_dim_beyond_the_models_is_refused_with_the_range(
    make: MakeEncoder, embedding: Path
) -> None:
    with pytest.raises(SettingsError, match=f"give 8 to {HIDDEN}"):
        make(embedding, dim=HIDDEN + 1)
    assert make(embedding, dim=HIDDEN).dim == HIDDEN


def test_a_device_that_is_not_there_is_refused(
    make: MakeEncoder, embedding: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(SettingsError, match="--device cuda: torch finds none here; there is: cpu"):
        make(embedding, device="cuda")
    assert make(embedding, device="auto").device == "cpu"


def test_auto_takes_cuda_before_mps_before_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert device.choose_device("auto") == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device.choose_device("auto") == "cuda"
    assert device.choose_device("cpu") == "cpu"


@pytest.mark.parametrize(
    ("where", "parameters", "has_bf16", "precision"),
    [
        ("cuda", 2 * 10**9, True, "bf16"),
        ("cuda", 2 * 10**9, False, "fp16"),
        ("mps", 10**6, False, "fp16"),
        ("cpu", 10**9, False, "fp32"),
        ("cpu", 10**9, True, "bf16"),
        ("cpu", 2 * 10**9, False, "bf16"),
    ],
)
def test_auto_precision_fits_device_and_size(
    monkeypatch: pytest.MonkeyPatch, where: str, parameters: int, has_bf16: bool, precision: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: has_bf16)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": has_bf16})
    monkeypatch.setattr(device, "free_memory", lambda _: None)
    assert device.choose_precision("auto", where, parameters, {}) == precision
    assert device.choose_precision("fp32", where, parameters, {}) == "fp32"


def test_parameters_are_counted_from_the_heads_of_the_files(embedding: Path) -> None:
    model = Qwen3VLModel.from_pretrained(embedding)
    assert open_checkpoint(str(embedding)).parameters == model.num_parameters()
