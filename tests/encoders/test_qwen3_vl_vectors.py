"""Every vector is the one that transformers gives for that item alone."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from mcp_vlsearch.contracts import Encoder, PreparingEncoder, Query
from mcp_vlsearch.encoders.qwen3_vl import loading
from mcp_vlsearch.encoders.qwen3_vl.pixels import PixelFormat
from mcp_vlsearch.errors import EncoderError

from .conftest import MakeEncoder
from .tiny import HIDDEN, QUERY, Reference, photo, save_checkpoint

SIZES = [(128, 128), (64, 192), (500, 100), (128, 128), (33, 47), (300, 200), (64, 192), (96, 64)]
PICTURES = [photo(seed, *size) for seed, size in enumerate(SIZES)]
TEXTS = ["cat", "a red bicycle beside the sea, at night", "雪地里的一只狗。", "ÄÖ?"]


def same(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> None:
    assert ours.shape == theirs.shape
    assert ours.dtype == np.float32
    assert ours.flags.c_contiguous
    assert (np.einsum("ij,ij->i", ours, theirs) > 0.99999).all()
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_the_tiny_model_tells_these_pictures_apart(reference: Reference) -> None:
    vectors = reference.of_images(PICTURES)
    assert (vectors @ vectors.T - np.eye(len(vectors))).max() < 0.999


@pytest.mark.parametrize("batch_size", [1, 2, 5, None])
def test_pictures_of_mixed_sizes_get_their_single_item_vectors(
    make: MakeEncoder, checkpoint: Path, reference: Reference, batch_size: int | None
) -> None:
    encoder = make(checkpoint, batch_size=batch_size)
    same(encoder.encode_images(PICTURES), reference.of_images(PICTURES))


@pytest.mark.parametrize("side", ["left", "right"])
def test_vectors_equal_a_padded_batch_of_transformers_in_either_direction(
    make: MakeEncoder, checkpoint: Path, reference: Reference, side: Literal["left", "right"]
) -> None:
    encoder = make(checkpoint, batch_size=len(PICTURES))
    same(encoder.encode_images(PICTURES), reference.of_padded(PICTURES, side))


def test_no_order_pairs_a_picture_with_another_ones_vector(
    make: MakeEncoder, embedding: Path
) -> None:
    encoder = make(embedding, batch_size=3)
    vectors = encoder.encode_images(PICTURES)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(PICTURES))
        shuffled = encoder.encode_images([PICTURES[i] for i in order])
        assert ((shuffled @ vectors.T).argmax(axis=1) == order).all()
        np.testing.assert_allclose(shuffled, vectors[order], atol=1e-5)


def test_a_picture_resized_to_its_target_ahead_has_the_same_vector(
    make: MakeEncoder, embedding: Path
) -> None:
    encoder = make(embedding)
    resized = [p.resize(encoder.target_size(*p.size), 3) for p in PICTURES]
    np.testing.assert_array_equal(encoder.encode_images(resized), encoder.encode_images(PICTURES))


def test_a_picture_that_was_prepared_is_not_touched_again_and_has_the_same_vector(
    make: MakeEncoder, embedding: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = make(embedding)
    expected = encoder.encode_images(PICTURES)
    prepared = [encoder.prepare(picture) for picture in PICTURES]
    mixed = [p if n % 2 else prepared[n] for n, p in enumerate(PICTURES)]
    np.testing.assert_array_equal(encoder.encode_images(mixed), expected)
    monkeypatch.setattr(PixelFormat, "patches", None)
    np.testing.assert_array_equal(encoder.encode_images(prepared), expected)


def test_queries_of_text_picture_and_both_get_their_single_item_vectors(
    make: MakeEncoder, checkpoint: Path, reference: Reference
) -> None:
    queries = [
        Query(),
        *[Query(text) for text in TEXTS],
        *[Query("", picture) for picture in PICTURES[:3]],
        *[Query(text, p) for text, p in zip(TEXTS, PICTURES, strict=False)],
    ]
    expected = [
        reference.vector(QUERY, q.text or ("" if q.image else "NULL"), q.image) for q in queries
    ]
    for batch_size in (1, 3, 32):
        encoder = make(checkpoint, batch_size=batch_size)
        same(encoder.encode_queries(queries), np.stack(expected))


def test_instructions_can_be_set_for_pictures_and_queries(
    make: MakeEncoder, embedding: Path
) -> None:
    reference = Reference(embedding, "last")
    encoder = make(embedding, query_instruction="Find it", image_instruction="Say what it is!")
    query = encoder.encode_queries([Query("cat")])[0]
    image = encoder.encode_images(PICTURES[:1])[0]
    np.testing.assert_allclose(query, reference.vector("Find it.", "cat"), atol=1e-4)
    expected = reference.vector("Say what it is!", "", PICTURES[0])
    np.testing.assert_allclose(image, expected, atol=1e-4)


def test_a_tokenizer_that_appends_an_end_token_is_pooled_there(
    make: MakeEncoder, tmp_path: Path
) -> None:
    folder = save_checkpoint(tmp_path / "end-embedding", appends_end=True)
    reference = Reference(folder, "last")
    assert reference.inputs(QUERY, "cat", None)["input_ids"][0, -1] == 256
    expected = np.stack([reference.vector(QUERY, text) for text in TEXTS])
    same(make(folder).encode_queries([Query(text) for text in TEXTS]), expected)


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_pooling_can_be_set_against_the_checkpoint(
    make: MakeEncoder, embedding: Path, pooling: Literal["last", "mean"]
) -> None:
    encoder = make(embedding, pooling=pooling)
    expected = Reference(embedding, pooling).of_images(PICTURES)
    same(encoder.encode_images(PICTURES), expected)


def test_a_smaller_dim_is_the_head_of_the_vector_at_unit_length(
    make: MakeEncoder, embedding: Path
) -> None:
    full = make(embedding).encode_images(PICTURES)
    short = make(embedding, dim=16).encode_images(PICTURES)
    head = full[:, :16]
    same(short, head / np.linalg.norm(head, axis=1, keepdims=True))


def test_nothing_to_encode_gives_an_empty_array(make: MakeEncoder, embedding: Path) -> None:
    encoder = make(embedding, dim=32)
    assert encoder.encode_images([]).shape == (0, 32)
    assert encoder.encode_queries([]).shape == (0, 32)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_stays_close_to_full(
    make: MakeEncoder, checkpoint: Path, reference: Reference, precision: str
) -> None:
    vectors = make(checkpoint, precision=precision).encode_images(PICTURES)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert (np.einsum("ij,ij->i", vectors, reference.of_images(PICTURES)) >= 0.99).all()


def test_a_checkpoint_saved_in_bf16_is_computed_in_the_precision_asked_for(
    make: MakeEncoder, tmp_path: Path
) -> None:
    folder = save_checkpoint(tmp_path / "half-embedding", dtype=torch.bfloat16)
    expected = Reference(folder, "last").of_images(PICTURES)
    same(make(folder, precision="fp32").encode_images(PICTURES), expected)


def test_a_checkpoint_in_shards_is_read(make: MakeEncoder, tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path / "shards-embedding", shard_size="200KB")
    assert len(list(folder.glob("*.safetensors"))) > 1
    expected = Reference(folder, "last").of_images(PICTURES[:2])
    same(make(folder).encode_images(PICTURES[:2]), expected)


def test_numbers_too_large_for_fp16_are_an_error_that_says_so(
    make: MakeEncoder, tmp_path: Path
) -> None:
    folder = save_checkpoint(tmp_path / "wide-embedding")
    edit_weights(folder, "language_model.layers.0.mlp.down_proj.weight", 1e6)
    with pytest.raises(EncoderError, match="fp16 is too narrow for it; use --precision bf16"):
        make(folder, precision="fp16").encode_images(PICTURES[:1])
    assert np.isfinite(make(folder, precision="bf16").encode_images(PICTURES[:1])).all()


def test_damaged_numbers_are_an_error_in_every_precision(make: MakeEncoder, tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path / "nan-embedding")
    edit_weights(folder, "language_model.norm.weight", float("nan"))
    with pytest.raises(EncoderError, match="no numbers in fp32: its weights are damaged"):
        make(folder).encode_queries([Query("cat")])


def edit_weights(folder: Path, name: str, factor: float) -> None:
    weights = load_file(folder / "model.safetensors")
    weights[name] = weights[name] * factor
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def test_many_threads_load_the_weights_once(
    make: MakeEncoder, embedding: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = make(embedding)
    loads = []
    load_model = loading.load_model

    def counting(*args: object) -> object:
        loads.append(args)
        return load_model(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(loading, "load_model", counting)
    threads = [threading.Thread(target=encoder.load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1


def test_encoders_that_load_at_the_same_time_get_their_own_number_formats(
    make: MakeEncoder, embedding: Path
) -> None:
    precisions = ("fp32", "bf16", "fp16", "int8")
    expected = {p: make(embedding, precision=p).encode_images(PICTURES[:2]) for p in precisions}
    together = threading.Barrier(8)

    def encode(precision: str) -> NDArray[np.float32]:
        encoder = make(embedding, precision=precision)
        together.wait(60)
        return encoder.encode_images(PICTURES[:2])

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(encode, 2 * precisions))
    for precision, vectors in zip(2 * precisions, found, strict=True):
        np.testing.assert_allclose(vectors, expected[precision], atol=1e-5)


def test_attributes_are_known_before_the_weights_are_read(
    make: MakeEncoder, embedding: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "load_model", None)
    encoder = make(embedding)
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder, PreparingEncoder)
    known = (encoder.name, encoder.model, encoder.precision, encoder.device, encoder.dim)
    assert known == ("qwen3-vl", str(embedding), "fp32", "cpu", HIDDEN)
    assert encoder.batch_size == 32


def test_loading_says_nothing_and_keeps_transformers_settings(
    make: MakeEncoder, instruct: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from transformers.utils import logging

    logging.set_verbosity_warning()
    logging.enable_progress_bar()
    make(instruct).encode_queries([Query("cat")])
    assert capfd.readouterr() == ("", "")
    assert logging.get_verbosity() == logging.WARNING
    assert logging.is_progress_bar_enabled()


def test_choosing_the_encoder_imports_neither_transformers_nor_torchvision() -> None:
    code = (
        "import sys, mcp_vlsearch.encoders.qwen3_vl as q; "
        "print([m for m in ('transformers', 'torchvision') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_encoding_imports_no_torchvision(embedding: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from PIL import Image\n"
        "from mcp_vlsearch.encoders.qwen3_vl import Qwen3VLEncoder\n"
        "from mcp_vlsearch.settings import Settings\n"
        "e = Qwen3VLEncoder(Settings(library=Path('.'), model=sys.argv[1], device='cpu'))\n"
        "e.encode_images([Image.new('RGB', (64, 64))])\n"
        "print('torchvision' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(embedding)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_64_pictures_take_seconds_at_most(make: MakeEncoder, embedding: Path) -> None:
    encoder = make(embedding, max_pixels=160 * 160)
    encoder.load()
    started = time.monotonic()
    encoder.encode_images([photo(seed, 160, 160) for seed in range(64)])
    assert time.monotonic() - started < 20
