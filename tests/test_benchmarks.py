"""The benchmarks run, and what they compare gives the same vectors."""

from pathlib import Path

import pytest
import torch
from benchmarks import encode
from transformers import Qwen3VLConfig


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmark")
    encode.write_checkpoint(folder, "storybook", 4, torch.float32)
    return folder


def test_the_ways_to_encode_give_the_same_vectors_and_a_table(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    threads = str(torch.get_num_threads())
    options = encode.arguments(
        ["--images", "7", "--runs", "1", "--batch", "4", "--threads", threads]
    )
    found = {way: encode.measure(way, folder, options) for way in encode.WAYS}
    encode.report(found, best=100.0)
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["same/s", "mixed/s", "MiB"]
    assert [row.split()[0] for row in rows] == list(encode.WAYS)
    for row in rows:
        _, same, mixed, memory, _, cosine = row.split()
        assert min(float(same), float(mixed), float(memory)) > 0
        assert float(cosine) >= 0.9999


def test_the_fraction_of_the_matmul_rate_counts_the_weights(folder: Path) -> None:
    assert encode.matmul_rate("cpu", torch.float32, "storybook") > 0
    small = encode.flops(Qwen3VLConfig.from_pretrained(folder), 25)
    assert 2e8 < small < 8e8
    assert encode.flops(encode.config_2b(28, Qwen3VLConfig.from_pretrained(folder)), 100) > 2e11
