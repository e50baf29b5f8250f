"""Whatever sizes and texts come together, each prompt has the state that it has alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_vlsearch.encoders.qwen3_vl.fast import FastForward

from .stock import StockForward
from .test_qwen3_vl_fast import IMAGE_TOKEN, PIXELS, Pooling, cosines, model, nearest, prompt

# Patches of a picture's side: merging takes two by two.
_SIDES = st.integers(1, 5).map(lambda cells: 2 * cells)
_GRIDS = st.none() | st.tuples(_SIDES, _SIDES)
_MIXES = st.lists(st.tuples(_GRIDS, st.integers(1, 24)), min_size=1, max_size=8)


@pytest.mark.parametrize("pooling", ["last", "mean"])
@given(mix=_MIXES, data=st.data())
@settings(max_examples=15, deadline=None, derandomize=True)
def test_any_mix_of_sizes_in_any_batches_has_transformers_states(
    pooling: Pooling, mix: list[tuple[tuple[int, int] | None, int]], data: st.DataObject
) -> None:
    prompts = [prompt(number, grid, text) for number, (grid, text) in enumerate(mix)]
    stock = StockForward(model(), IMAGE_TOKEN, PIXELS, pooling)
    expected = np.concatenate([stock([one]) for one in prompts])
    order = data.draw(st.permutations(range(len(prompts))))
    cut = data.draw(st.integers(0, len(prompts) - 1))
    forward = FastForward(model(), IMAGE_TOKEN, PIXELS, pooling)
    parts = [forward([prompts[i] for i in rows]) for rows in (order[:cut], order[cut:]) if rows]
    states = np.concatenate(parts)
    assert (cosines(states, expected[order]) >= 0.9999).all()
    assert nearest(states, expected).tolist() == order
