"""Text layers in 8 and 4 bits give nearly the vectors of fp32, and no noise on the screen."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from bitsandbytes.nn import Linear4bit, Linear8bitLt

from mcp_vlsearch.contracts import Query
from mcp_vlsearch.encoders.qwen3_vl import quantise
from mcp_vlsearch.encoders.qwen3_vl.checkpoint import open_checkpoint
from mcp_vlsearch.encoders.qwen3_vl.loading import load_model
from mcp_vlsearch.errors import MissingExtraError, SettingsError

from .conftest import MakeEncoder
from .tiny import IMAGE, QUERY, Reference, photo, save_checkpoint

SIZES = [(128, 128), (64, 192), (500, 100), (128, 128), (33, 47)]
PICTURES = [photo(seed, *size) for seed, size in enumerate(SIZES)]
TEXTS = ["cat", "a red bicycle beside the sea, at night", "雪地里的一只狗。"]
LEAST = {"int8": 0.99, "nf4": 0.95}


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("models") / "Wide-Embedding", wide=True)


@pytest.fixture(scope="module")
def exact(wide: Path) -> Reference:
    return Reference(wide, "last")


@pytest.mark.parametrize("precision", LEAST)
def test_quantised_vectors_are_near_those_of_fp32(
    make: MakeEncoder, wide: Path, exact: Reference, precision: str
) -> None:
    encoder = make(wide, precision=precision)
    assert encoder.precision == precision
    images = encoder.encode_images(PICTURES)
    texts = encoder.encode_queries([Query(text) for text in TEXTS])
    expected = exact.of_images(PICTURES), np.stack([exact.vector(QUERY, t) for t in TEXTS])
    for ours, theirs in zip((images, texts), expected, strict=True):
        cosines = np.einsum("ij,ij->i", ours, theirs)
        assert cosines.min() >= LEAST[precision]
        assert cosines.max() < 0.999999, "nothing was quantised"
        np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("precision", LEAST)
def test_batches_of_quantised_layers_differ_little_from_single_pictures(
    make: MakeEncoder, wide: Path, precision: str
) -> None:
    together = make(wide, precision=precision).encode_images(PICTURES)
    alone = make(wide, precision=precision, batch_size=1).encode_images(PICTURES)
    assert np.einsum("ij,ij->i", together, alone).min() >= 0.995


@pytest.mark.parametrize(("precision", "kind"), [("int8", Linear8bitLt), ("nf4", Linear4bit)])
def test_all_text_layers_are_quantised_and_nothing_of_the_vision_tower(
    wide: Path, precision: str, kind: type[torch.nn.Module]
) -> None:
    model = load_model(open_checkpoint(str(wide)), "cpu", precision)
    linear = [m for m in model.language_model.modules() if isinstance(m, torch.nn.Linear)]
    assert len(linear) == 7 * len(model.language_model.layers)
    assert all(isinstance(module, kind) for module in linear)
    assert not any(isinstance(m, Linear8bitLt | Linear4bit) for m in model.visual.modules())
    assert model.visual.dtype == torch.bfloat16


@pytest.mark.parametrize("precision", LEAST)
def test_quantised_layers_say_nothing_on_the_screen(wide: Path, precision: str) -> None:
    code = (
        "import sys; from pathlib import Path; from PIL import Image\n"
        "from mcp_vlsearch.encoders.qwen3_vl import Qwen3VLEncoder\n"
        "from mcp_vlsearch.settings import Settings\n"
        "e = Qwen3VLEncoder(Settings(library=Path('.'), model=sys.argv[1], device='cpu', "
        "precision=sys.argv[2]))\n"
        "print(e.encode_images([Image.new('RGB', (64, 64))]).shape)"
    )
    command = [sys.executable, "-c", code, str(wide), precision]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("(1, 256)\n", "")


def test_each_precision_has_a_fingerprint_of_its_own(make: MakeEncoder, wide: Path) -> None:
    made = {make(wide, precision=p).fingerprint for p in ("fp32", "bf16", *LEAST)}
    assert len(made) == 4


def test_quantising_without_bitsandbytes_says_how_to_get_it(
    make: MakeEncoder, wide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantise, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError) as error:
        make(wide, precision="int8")
    assert str(error.value) == (
        "--precision int8 needs the package 'bitsandbytes', which is not installed: "
        "pip install 'mcp-vlsearch[quant]'"
    )


@pytest.mark.parametrize("precision", LEAST)
def test_quantising_on_apples_gpu_is_refused(
    make: MakeEncoder, wide: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(SettingsError, match=f"{precision} runs on cuda and cpu, not on mps: use"):
        make(wide, precision=precision, device="mps")


def test_nf4_of_widths_that_are_no_multiples_of_64_is_refused(
    make: MakeEncoder, embedding: Path
) -> None:
    with pytest.raises(SettingsError, match="one of 96: use --precision int8"):
        make(embedding, precision="nf4")
    images = make(embedding, precision="int8").encode_images(PICTURES[:1])
    assert images @ Reference(embedding, "last").vector(IMAGE, image=PICTURES[0]) >= 0.95
