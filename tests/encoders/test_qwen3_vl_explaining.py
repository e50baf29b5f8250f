"""Which part of a picture matches: parts have transformers' own states, and peaks lie right."""

import random

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mcp_vlsearch.contracts import ExplainingEncoder, Query
from mcp_vlsearch.core.heatmap import peak_of
from mcp_vlsearch.encoders.qwen3_vl import Qwen3VLEncoder
from mcp_vlsearch.encoders.qwen3_vl.explaining import finely, heat_of, windows_of
from mcp_vlsearch.encoders.qwen3_vl.fast import _layout
from mcp_vlsearch.encoders.qwen3_vl.loading import load_model
from mcp_vlsearch.encoders.qwen3_vl.prompt import Prompt
from mcp_vlsearch.storybook.drawing import draw, where
from mcp_vlsearch.storybook.scene import sample_scene
from mcp_vlsearch.storybook.vocabulary import OBJECTS

from .conftest import MakeEncoder
from .stock import pixel_values
from .tiny import photo

SIZES = [(96, 96), (160, 64), (64, 192)]


@pytest.fixture(scope="module")
def storybook(make: MakeEncoder) -> Qwen3VLEncoder:
    encoder = make("storybook")
    encoder.load()
    return encoder


def prompt_of(encoder: Qwen3VLEncoder, size: tuple[int, int]) -> Prompt:
    tokens = encoder._parts().tokens
    picture = encoder.prepare(photo(1, *size))
    count = encoder._pixels.image_tokens(picture)
    ids = tokens(encoder._image_instruction, "", count)
    constant = tokens.constant(encoder._image_instruction, ids, picture=True)
    return Prompt(ids, picture, constant)


def plain_state(
    encoder: Qwen3VLEncoder, prompt: Prompt, part: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Run transformers' own forward, where nobody may look at the tokens that are left out."""
    model = load_model(encoder._checkpoint, "cpu", "fp32")
    assert prompt.picture is not None
    picture, merge = prompt.picture, encoder._pixels.merge
    is_image = prompt.ids == encoder._checkpoint.image_token
    seen = np.ones(len(prompt.ids), np.int64)
    seen[np.delete(np.flatnonzero(is_image), part)] = 0
    rows, columns = picture.rows // merge, picture.columns // merge
    first = int(is_image.argmax())
    layout = _layout(first, rows, columns, len(prompt.ids) - first - rows * columns)
    with torch.no_grad():
        states = model(
            input_ids=torch.from_numpy(prompt.ids)[None],
            attention_mask=torch.from_numpy(seen)[None],
            position_ids=torch.from_numpy(layout)[:, None],
            mm_token_type_ids=torch.from_numpy(is_image)[None].int(),
            pixel_values=pixel_values(torch.from_numpy(picture.values), encoder._pixels),
            image_grid_thw=torch.tensor([[1, picture.rows, picture.columns]]),
            use_cache=False,
        ).last_hidden_state[0]
    pooled = states[-1] if encoder.pooling == "last" else states[seen == 1].mean(0)
    return np.asarray(pooled.numpy())


@pytest.mark.parametrize("size", SIZES)
def test_a_part_alone_has_the_state_that_transformers_gives_it(
    make: MakeEncoder, checkpoint: str, size: tuple[int, int]
) -> None:
    encoder = make(checkpoint)
    prompt = prompt_of(encoder, size)
    count = int((prompt.ids == encoder._checkpoint.image_token).sum())
    parts = [np.arange(count), np.array([0]), np.arange(count)[1::2], np.array([0, count - 1])]
    states = encoder._parts().forward.of_parts(prompt, parts, 4096)
    few = encoder._parts().forward.of_parts(prompt, parts, 1)
    np.testing.assert_allclose(states, few, atol=1e-4)
    for part, state in zip(parts, states, strict=True):
        np.testing.assert_allclose(state, plain_state(encoder, prompt, part), atol=2e-4)


def test_the_whole_as_a_part_has_the_vector_of_the_picture(storybook: Qwen3VLEncoder) -> None:
    prompt = prompt_of(storybook, (160, 160))
    [state] = storybook._parts().forward.of_parts(prompt, [np.arange(25)], 4096)
    [vector] = storybook.encode_images([photo(1, 160, 160)])
    np.testing.assert_allclose(state / np.linalg.norm(state), vector, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 2, 5, 16, 40])
@pytest.mark.parametrize("columns", [1, 3, 16, 33])
def test_windows_cover_every_cell_and_stay_few(rows: int, columns: int) -> None:
    windows = windows_of(rows, columns)
    covered = np.zeros((rows, columns))
    for window in windows:
        covered[window] += 1
        assert covered[window].size == covered[windows[0]].size
    assert covered.min() >= 1
    assert len(windows) <= 256


@pytest.mark.parametrize(("rows", "columns"), [(6, 8), (10, 10), (16, 21), (40, 20)])
def test_heat_is_where_windows_match_better_than_in_the_mean(rows: int, columns: int) -> None:
    windows = windows_of(rows, columns)
    numbers = np.zeros((rows, columns))
    numbers[rows - 3, columns - 2] = 1
    heat = heat_of(
        rows, columns, windows, np.array([numbers[w].max() for w in windows], np.float32)
    )
    down, across = np.argwhere(heat == heat.max()).mean(0)
    assert (down, across) == pytest.approx((rows - 3, columns - 2), abs=1)
    assert heat.max() == 1
    assert heat[0, 0] == 0
    assert not heat_of(rows, columns, windows, np.full(len(windows), 0.3, np.float32)).any()


@pytest.mark.parametrize("size", [(40, 30), (640, 480), (200, 900), (1568, 1568)])
def test_a_picture_of_any_size_is_seen_finely(
    storybook: Qwen3VLEncoder, size: tuple[int, int]
) -> None:
    picture = finely(photo(1, *size), storybook._pixels)
    cells = picture.rows * picture.columns // storybook._pixels.merge**2
    assert 75 <= cells <= 100
    assert picture.columns / picture.rows == pytest.approx(size[0] / size[1], rel=0.2)


def test_the_peak_lies_on_the_object_that_was_asked_for(storybook: Qwen3VLEncoder) -> None:
    assert isinstance(storybook, ExplainingEncoder)
    rng = random.Random("storybook explain tests")
    found: list[bool] = []
    while len(found) < 24:
        scene = sample_scene(rng, "held-out")
        if scene.layout == "single":
            continue
        image = draw(scene)
        for item, boxes in where(scene):
            if item.kind == "sign" or item.count > 1:
                continue
            text = f"a {item.colour} {OBJECTS[item.kind].one}"
            heat = storybook.explain(image, storybook.encode_queries([Query(text)])[0])
            x, y = peak_of(heat, *image.size)
            left, top, width, height = boxes[0]
            found.append(
                left <= x / image.width <= left + width and top <= y / image.height <= top + height
            )
    assert np.mean(found) >= 0.8


@pytest.mark.parametrize("precision", ["bf16", "int8", "nf4"])
def test_low_precisions_explain_alike(
    make: MakeEncoder, storybook: Qwen3VLEncoder, precision: str
) -> None:
    low = make("storybook", precision=precision)
    image = draw(sample_scene(random.Random(4)))
    [vector] = storybook.encode_queries([Query("a red bicycle")])
    heat, other = storybook.explain(image, vector), low.explain(image, vector)
    assert np.corrcoef(heat.ravel(), other.ravel())[0, 1] > 0.8


def test_a_vector_of_fewer_dimensions_is_explained_as_well(
    make: MakeEncoder, storybook: Qwen3VLEncoder
) -> None:
    short = make("storybook", dim=128)
    image = draw(sample_scene(random.Random(4)))
    [vector] = short.encode_queries([Query("a red bicycle")])
    expected = short.explain(image, vector)
    np.testing.assert_allclose(storybook.explain(image, vector), expected, atol=1e-3)
