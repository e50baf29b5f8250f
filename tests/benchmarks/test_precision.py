"""The table of precisions has what the library finds and what the encoder gives at every dim."""

import json
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks import precision
from benchmarks._cut import Cut, Vectors, cut
from benchmarks._precision_report import BEGIN, END, put_between_marks
from benchmarks._precision_tasks import recall, weight_bytes
from mcp_vlsearch.contracts import Query
from mcp_vlsearch.encoders.qwen3_vl import Qwen3VLEncoder, quantise
from mcp_vlsearch.encoders.qwen3_vl.checkpoint import open_checkpoint
from mcp_vlsearch.encoders.qwen3_vl.pixels import Patches
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.storybook import draw_gallery
from tests.encoders.tiny import photo, save_checkpoint

pytestmark = pytest.mark.usefixtures("here")

PICTURES = [photo(seed, 64 + 32 * (seed % 3), 96) for seed in range(7)]
QUERIES = [Query(text) for text in ("cat", "two red apples above a blue car", "雪地里的一只狗")]


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of 256 dimensions that every precision can run."""
    return save_checkpoint(tmp_path_factory.mktemp("models") / "Wide-Embedding", wide=True)


def settings_of(model: Path | str, precision: str, **flags: Any) -> Settings:
    given = {"library": Path("unused"), "model": str(model), "device": "cpu", **flags}
    return Settings.model_validate({**given, "precision": precision})


@pytest.mark.parametrize("name", precision.PRECISIONS)
def test_full_vectors_that_are_cut_are_those_of_an_encoder_of_that_dim(
    wide: Path, name: str
) -> None:
    full = Qwen3VLEncoder(settings_of(wide, name))
    images, texts = full.encode_images(PICTURES), full.encode_queries(QUERIES)
    for dim in (256, 128, 16):
        shorter = Qwen3VLEncoder(settings_of(wide, name, dim=dim))
        np.testing.assert_allclose(cut(images, dim), shorter.encode_images(PICTURES), atol=1e-6)
        np.testing.assert_allclose(cut(texts, dim), shorter.encode_queries(QUERIES), atol=1e-6)


class Counting(Qwen3VLEncoder):
    """Counts what it encodes."""

    encoded = 0

    def encode_images(self, images: Sequence[Image.Image | Patches]) -> Vectors:
        self.encoded += len(images)
        return super().encode_images(images)

    def encode_queries(self, queries: Sequence[Query]) -> Vectors:
        self.encoded += len(queries)
        return super().encode_queries(queries)


def test_pictures_and_texts_are_encoded_once_for_all_dims(wide: Path) -> None:
    encoder = Counting(settings_of(wide, "fp32"))
    known: dict[Hashable, Vectors] = {}
    for dim in (256, 64):
        shorter = Cut(encoder, dim, known)
        for rows in ([0, 1, 2, 3, 4, 5, 6], [6, 2], [3]):
            images = shorter.encode_images([PICTURES[row] for row in rows])
            expected = Qwen3VLEncoder(settings_of(wide, "fp32", dim=dim)).encode_images(PICTURES)
            np.testing.assert_allclose(images, expected[rows], atol=1e-5)
        assert shorter.encode_queries(QUERIES).shape == (len(QUERIES), dim)
    assert encoder.encoded == len(PICTURES) + len(QUERIES)


def test_weights_count_what_quantised_ones_need_besides(wide: Path) -> None:
    parameters = open_checkpoint(str(wide)).parameters
    sizes = {name: weight_bytes(settings_of(wide, name)) for name in precision.PRECISIONS}
    assert sizes["fp32"] == 4 * parameters
    assert sizes["bf16"] == sizes["fp16"] == 2 * parameters
    layers = 2 * (256 * (256 + 128 + 128 + 256) + 3 * 256 * 512)
    scales = 2 * 4 * (256 + 128 + 128 + 256 + 512 + 512 + 256)
    assert sizes["int8"] == pytest.approx(2 * parameters - layers + scales, abs=200)
    assert sizes["nf4"] > 2 * parameters - 1.5 * layers, "packed weights and their scales"
    assert sizes["nf4"] < sizes["int8"]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    page = tmp_path / "page.md"
    page.write_text(f"# Before\n\n{BEGIN}\nold\n{END}\n\nAfter.\n")
    return page


Run = Callable[..., Any]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, wide: Path, tmp_path: Path) -> Run:
    """Return a function that runs the benchmark at tiny sizes and gives what it wrote."""

    def checkpoint(size: str, *_: object) -> Path:
        return wide if size == "2b" else open_checkpoint("storybook").folder

    monkeypatch.setattr(precision, "checkpoint", checkpoint)
    out = tmp_path / "results" / "precision.json"
    sizes = ["--gallery", "8", "--pictures", "3", "--timed", "2", "--runs", "1", "--threads", "1"]

    def main(*flags: str) -> Any:
        precision.main([*sizes, *flags, "--out", str(out)], partial(ThreadPoolExecutor, 1))
        return json.loads(out.read_text())

    return main


def test_every_precision_and_dim_is_measured_and_put_into_the_page(run: Run, page: Path) -> None:
    written = run("--precisions", "fp32", "nf4", "--docs", str(page))
    cost_2b, cost, quality = (table["rows"] for table in written["tables"])
    assert {len(s) for m in written["seconds"].values() for s in m["nf4"].values()} == {1}
    for row in (*cost_2b, *cost):
        assert all(row[name] > 0 for name in row if name != "precision")
    assert [(row["precision"], row["dim"]) for row in quality] == [
        (name, share) for name in ("fp32", "nf4") for share in ("full", "1/2", "1/4", "1/8", "1/16")
    ]
    exact, rough = quality[:5], quality[5:]
    for row in exact:
        assert [row["pictures min"], row["texts min"]] == pytest.approx([1, 1], abs=1e-6)
    for row in rough:
        assert 0.5 < row["pictures min"] <= row["pictures mean"] < 0.999999
    text = page.read_text()
    assert text.startswith("# Before\n")
    assert text.endswith(f"{END}\n\nAfter.\n")
    assert "old" not in text
    assert text.count("| nf4") == 7


def test_recall_is_that_of_a_library_with_an_encoder_of_that_dim(run: Run, tmp_path: Path) -> None:
    *_, quality = run("--precisions", "fp32")["tables"]
    captions = draw_gallery(tmp_path / "gallery", 8, precision.SEED)
    for row in quality["rows"]:
        settings = settings_of("storybook", "fp32", dim=int(row["dim storybook"]))
        expected = recall(Qwen3VLEncoder(settings), settings, captions)
        assert (row["en @1"], row["en @5"], row["zh @1"], row["zh @5"]) == expected


def test_a_precision_that_cannot_be_had_is_listed_with_the_reason(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantise, "find_spec", lambda _: None)
    made = run("--precisions", "fp32", "int8")["tables"]
    for table in made:
        assert table["notes"] == [
            "- int8 is not measured: --precision int8 needs the package 'bitsandbytes', which is "
            "not installed: pip install 'mcp-vlsearch[quant]'"
        ]
        row = next(row for row in table["rows"] if row["precision"] == "int8")
        assert set(row.values()) - {"int8", "full", "256"} == {None}


def test_a_page_without_its_marks_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    for text in ("nothing", BEGIN, END, f"{END} {BEGIN}"):
        page.write_text(text)
        with pytest.raises(ValueError, match="has no <!-- precision table --> with an"):
            put_between_marks(page, "table")
        assert page.read_text() == text
