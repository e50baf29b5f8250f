"""The built-in model finds unseen scenes by their captions, through the same code as any other."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_vlsearch import storybook
from mcp_vlsearch.core.evaluation import evaluate
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.storybook import draw_gallery
from mcp_vlsearch.storybook.scene import Pairs
from mcp_vlsearch.storybook.vocabulary import OBJECTS

CHECKPOINT = Path(storybook.__file__).parent / "checkpoint"
SCENES = 160
SEED = 90_210
"""Any seed will do: training uses none that a gallery can have."""


@pytest.fixture(scope="module", params=["all", "held-out"])
def gallery(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Library, Path, Pairs]]:
    """An indexed gallery of scenes that no training saw."""
    folder = tmp_path_factory.mktemp("gallery")
    pairs: Pairs = request.param
    captions = draw_gallery(folder / "pictures", SCENES, SEED, pairs)
    with Library.open(folder / "library", model="storybook", device="cpu") as library:
        library.allow([folder / "pictures"])
        assert library.index().encoded == SCENES
        yield library, captions, pairs


@pytest.mark.parametrize("field", ["caption", "caption_zh"])
def test_full_captions_find_their_pictures(
    gallery: tuple[Library, Path, Pairs], field: str
) -> None:
    library, captions, pairs = gallery
    figures = evaluate(library, captions, field).model_dump(by_alias=True)
    first, fifth = (0.9, 0.99) if field == "caption" and pairs == "all" else (0.85, 0.97)
    assert figures["recall@1"] >= first
    assert figures["recall@5"] >= fifth


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_single_word_finds_a_picture_of_what_it_names(
    gallery: tuple[Library, Path, Pairs], language: str
) -> None:
    library, captions, _ = gallery
    lines = [json.loads(line) for line in captions.read_text("utf-8").splitlines()]
    right = asked = 0
    for noun in OBJECTS.values():
        names = re.compile(rf"\b({noun.one}|{noun.many})\b")
        shown = {line["image"] for line in lines if names.search(line["caption"].lower())}
        if not shown:
            continue
        query = noun.one if language == "en" else noun.zh
        hits = library.search_by_text(query, top_k=1).hits
        asked += 1
        right += hits[0].name in shown
    assert asked > 40
    assert right >= 0.9 * asked


def test_the_checkpoint_is_small_enough_to_ship() -> None:
    files = [path for path in CHECKPOINT.rglob("*") if path.is_file()]
    assert files
    assert sum(path.stat().st_size for path in files) <= 12_000_000


def test_layer_widths_allow_four_bit_weights() -> None:
    from safetensors import safe_open

    with safe_open(CHECKPOINT / "model.safetensors", "numpy") as weights:
        for name in weights.keys():  # noqa: SIM118 - it is no dictionary
            shape = weights.get_slice(name).get_shape()
            if ".layers." in name and len(shape) == 2:
                assert all(width % 64 == 0 for width in shape), name
