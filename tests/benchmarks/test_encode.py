"""Ways to encode are compared fairly: the same pictures and vectors, and figures that are right."""

import importlib.util
import sys
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import Qwen3VLConfig, Qwen3VLModel

from benchmarks import _checkpoints, _rate, encode
from benchmarks._checkpoints import LAYERS_2B, checkpoint, config_2b
from benchmarks._columns import Column
from benchmarks._encode_report import LOOP, OURS, PADDED, SENTENCE, Found, Task
from benchmarks._encode_report import tables as tables_of
from benchmarks._peers import SentenceTransformers, Transformers
from benchmarks._pictures import in_memory
from benchmarks._rate import flops, matmul_rate
from benchmarks._stages import STAGES, stage_seconds
from mcp_vlsearch.encoders.qwen3_vl import Qwen3VLEncoder
from mcp_vlsearch.encoders.qwen3_vl.fast import FastForward
from mcp_vlsearch.settings import Settings

from .conftest import tables

STORYBOOK = checkpoint("storybook", 0, "fp32", "cpu", Path())


@pytest.fixture(scope="module")
def loop() -> Transformers:
    return Transformers(STORYBOOK, "cpu", torch.float32, batch=1)


def run(out: Path, here: Callable[[], Executor], *more: str) -> None:
    sizes = ["--images", "7", "--runs", "1", "--batch", "4", "--threads", "1"]
    encode.main([*sizes, *more, "--out", str(out)], here)


def test_all_ways_give_the_same_vectors_and_their_figures(
    tmp_path: Path, here: Callable[[], Executor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encode, "find_spec", lambda _: None)
    run(tmp_path / "out.json", here, "--precisions", "fp32", "int8", "nf4")
    ways, batches, stages, precisions = tables(tmp_path / "out.json").values()
    absent = ways.pop(f"{SENTENCE} (not installed)")
    assert set(absent.values()) == {f"{SENTENCE} (not installed)", None}
    assert list(ways) == [LOOP, PADDED, OURS]
    for row in ways.values():
        assert row["cosine"] >= 0.9999
        assert row["ours, mixed"] == pytest.approx(ways[OURS]["mixed/s"] / row["mixed/s"])
        assert min(row["same/s"], row["mixed/s"], row["MiB"], row["of matmul"]) > 0
    assert list(batches) == ["1", "4", "all 7"]
    assert list(stages) == list(STAGES)
    assert sum(row["mixed, share"] for row in stages.values()) == pytest.approx(1)
    assert list(precisions) == ["fp32", "int8", "nf4"]
    assert precisions["fp32"]["to first"] == 1
    assert 1 > precisions["int8"]["cosine"] > precisions["nf4"]["cosine"] > 0.99


@pytest.mark.parametrize("package", ["sentence_transformers", "bitsandbytes"])
def test_what_does_not_load_here_is_said_and_stops_nothing(
    tmp_path: Path,
    here: Callable[[], Executor],
    monkeypatch: pytest.MonkeyPatch,
    package: str,
) -> None:
    found = importlib.util.find_spec
    for name in ("benchmarks.encode", "mcp_vlsearch.encoders.qwen3_vl.quantise"):
        finder = lambda asked: None if asked == "bitsandbytes" else found(asked) or asked  # noqa: E731
        monkeypatch.setattr(f"{name}.find_spec", finder)
    monkeypatch.setitem(sys.modules, package, None)
    more = ["--precisions", "int8"] if package == "bitsandbytes" else []
    run(tmp_path / "out.json", here, "--images", "2", *more)
    ways, *_, last = tables(tmp_path / "out.json").values()
    if package == "bitsandbytes":
        assert list(last) == ["int8 (not installed)"]
    else:
        assert any(name.startswith(f"{SENTENCE} (does not load: ") for name in ways)


def test_sentence_transformers_gives_the_vectors_of_the_loop(loop: Transformers) -> None:
    pytest.importorskip("sentence_transformers")
    images = in_memory(7, 160, mixed=True)
    vectors = SentenceTransformers(STORYBOOK, "cpu", torch.float32, batch=4)(images)
    assert np.einsum("ij,ij->i", vectors, loop(images)).min() > 0.9999


def instant(seconds: dict[Task, list[float]]) -> Column:
    """Return a column that has noted these seconds."""
    column = object.__new__(Column)
    column.seconds = seconds
    return column


def test_figures_are_medians_of_what_was_noted() -> None:
    same, mixed = Task("same"), Task("mixed")
    columns = {
        LOOP: instant({same: [4, 100, 4], mixed: [8, 8, 1]}),
        PADDED: instant({same: [2, 2, 2], mixed: [3, 4, 5]}),
        OURS: instant({same: [1, 0.5, 50], mixed: [2, 2, 2], Task("same", 4): [0.5, 0.5, 9]}),
    }
    unit = np.eye(3, dtype=np.float32)
    stage = {"prepare": 0.2, "vision": 1.2, "text": 0.6}
    found = Found(
        columns,
        {SENTENCE: "not installed"},
        images=8,
        flops=1e9,
        rates=[1e10, 3e10, 2e10],
        vectors={(LOOP, "same"): unit, (OURS, "same"): unit[[1, 0, 2]], (PADDED, "same"): unit},
        stages={"same": [stage] * 3, "mixed": [stage] * 3},
        memory={OURS: 100},
    )
    ways, batches, stages, precisions = (t.rows for t in tables_of(found, "fp32", ["fp32", "nf4"]))
    assert ways[0] == [LOOP, 2, 1, 4, 4, None, 0.1, 1]
    assert ways[2] == [PADDED, 4, 2, 2, 2, None, 0.2, 1]
    assert ways[3] == [OURS, 8, 4, 1, 1, 100, 0.4, 0]
    assert batches == [["4", 16], ["all 8", 8]]
    assert stages[1] == pytest.approx(["vision", 150, 0.6, 150, 0.6])
    assert precisions == [["fp32", 8, 1, 100, 0], ["nf4", None, None, None, None]]


def test_the_operations_counted_are_a_lower_bound_that_is_near(loop: Transformers) -> None:
    image = in_memory(1, 160, mixed=False)
    with FlopCounterMode(display=False) as counter:
        loop(image)
    ours = flops(Qwen3VLConfig.from_pretrained(STORYBOOK), tokens=25)
    assert 0.5 < ours / counter.get_total_flops() < 1


def test_the_rate_is_that_of_the_fastest_product(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = iter([1e9, 4e9, 2e9, 3e9])
    monkeypatch.setattr(_rate, "_rate", lambda *_: next(rates))
    config = Qwen3VLConfig.from_pretrained(STORYBOOK)
    assert matmul_rate(config, "cpu", torch.float32) == 4e9
    monkeypatch.undo()
    assert _rate._rate(64, 64, 64, "cpu", torch.float32) > 1e6


def test_stages_add_up_and_the_encoder_is_as_before() -> None:
    settings = Settings(library=Path("unused"), model="storybook", device="cpu", precision="fp32")
    encoder = Qwen3VLEncoder(settings)
    call = FastForward.__call__
    images = in_memory(3, 160, mixed=True)
    seconds = stage_seconds(partial(encoder.encode_images, images), "cpu")
    assert list(seconds) == list(STAGES)
    assert all(value > 0 for value in seconds.values())
    assert FastForward.__call__ is call


def test_the_2b_has_its_published_number_of_weights() -> None:
    small = Qwen3VLConfig.from_pretrained(STORYBOOK)
    with torch.device("meta"):
        model = Qwen3VLModel(config_2b(LAYERS_2B, small))
    assert 2.12e9 < sum(weights.numel() for weights in model.parameters()) < 2.14e9


def test_a_checkpoint_of_the_2bs_kind_is_written_with_its_pixel_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_checkpoints, "config_2b", lambda _, small: small)
    folder = checkpoint("2b", 2, "bf16", "cpu", tmp_path)
    settings = Settings(library=tmp_path, model=str(folder), device="cpu", precision="bf16")
    encoder = Qwen3VLEncoder(settings)
    assert encoder.target_size(2000, 2000) == (320, 320)
    assert encoder.pooling == "last"
    images = in_memory(3, 320, mixed=True)
    peer = Transformers(folder, "cpu", torch.bfloat16, batch=1)
    assert np.einsum("ij,ij->i", encoder.encode_images(images), peer(images)).min() > 0.999


@pytest.mark.parametrize(
    ("given", "layers", "precision"),
    [("storybook cpu", 4, "fp32"), ("2b cpu", 4, "bf16"), ("2b cuda", 28, "bf16")],
)
def test_what_is_not_given_fits_the_device(given: str, layers: int, precision: str) -> None:
    size, device = given.split()
    options = encode.arguments(["--size", size, "--device", device])
    assert (options.layers, options.precision) == (layers, precision)
    assert options.out.name == f"encode-{size}-{device}.json"
    assert all(batch < options.images for batch in options.batches)
    assert encode.arguments(["--images", "2", "--layers", "1"]).layers == 1
