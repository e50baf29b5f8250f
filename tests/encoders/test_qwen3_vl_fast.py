"""The fast forward gives the stock forward's states, whatever goes together in a batch."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import Qwen3VLModel

from mcp_vlsearch.contracts import Query
from mcp_vlsearch.encoders.qwen3_vl import products
from mcp_vlsearch.encoders.qwen3_vl.batching import Batches
from mcp_vlsearch.encoders.qwen3_vl.fast import FastForward
from mcp_vlsearch.encoders.qwen3_vl.packing import rounded, to_device
from mcp_vlsearch.encoders.qwen3_vl.pixels import Patches, PixelFormat
from mcp_vlsearch.encoders.qwen3_vl.prompt import Prompt
from mcp_vlsearch.encoders.qwen3_vl.vision import VisionTower

from .conftest import MakeEncoder
from .stock import StockForward
from .tiny import QUERY, Reference, photo, tiny_config, tiny_tokenizer

PIXELS = PixelFormat(
    patch=16,
    merge=2,
    temporal=2,
    min_pixels=4096,
    max_pixels=128 * 128,
    mean=(0.48, 0.46, 0.41),
    std=(0.27, 0.26, 0.28),
    resample=3,
)
IMAGE_TOKEN = tiny_tokenizer().convert_tokens_to_ids("<|image_pad|>")
GRIDS = [(4, 4), (2, 8), (8, 2), (4, 6), (4, 4), (8, 8), (2, 2), (6, 4)]
CONSTANT = 9

Pooling = Literal["last", "mean"]


@functools.cache
def model(dtype: torch.dtype = torch.float32) -> Qwen3VLModel:
    """Three text layers, of which two get features of the vision tower's inner layers."""
    torch.manual_seed(3)
    config = tiny_config(tiny_tokenizer())
    config.text_config.num_hidden_layers = 3
    config.text_config.layer_types = ["full_attention"] * 3
    config.vision_config.depth = 3
    config.vision_config.deepstack_visual_indexes = [2, 0]
    return Qwen3VLModel(config).to(dtype).eval()


def prompt(number: int, grid: tuple[int, int] | None, text: int = 5) -> Prompt:
    """A prompt with other words and another picture for every number."""
    rng = np.random.default_rng(number)
    patches = None if grid is None else grid[0] * grid[1]
    ids = np.concatenate(
        [
            np.arange(CONSTANT),
            np.full(0 if patches is None else patches // 4, IMAGE_TOKEN),
            rng.integers(20, 200, text),
        ]
    )
    if patches is None or grid is None:
        return Prompt(ids, None, CONSTANT)
    values = rng.integers(0, 256, (patches, 3, 16, 16), dtype=np.uint8)
    return Prompt(ids, Patches(values, *grid), CONSTANT)


PROMPTS = [
    *[prompt(n, grid, 4) for n, grid in enumerate(GRIDS)],
    *[prompt(20 + n, grid, 3 + 2 * n) for n, grid in enumerate(GRIDS[:4])],
    *[prompt(40 + n, None, length) for n, length in enumerate([1, 7, 7, 30])],
]


@functools.cache
def alone(pooling: Pooling, dtype: torch.dtype = torch.float32) -> NDArray[np.float32]:
    """Transformers' own states, of every prompt by itself."""
    stock = StockForward(model(dtype), IMAGE_TOKEN, PIXELS, pooling)
    return np.concatenate([stock([one]) for one in PROMPTS])


def fast(pooling: Pooling, dtype: torch.dtype = torch.float32) -> FastForward:
    return FastForward(model(dtype), IMAGE_TOKEN, PIXELS, pooling)


def cosines(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    cosine: NDArray[np.float32] = np.einsum("ij,ij->i", ours, theirs) / lengths
    return cosine


def nearest(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> NDArray[np.int64]:
    """Which of their states each of ours is nearest to: its own, or it was paired wrongly."""
    unit = theirs / np.linalg.norm(theirs, axis=1, keepdims=True)
    found: NDArray[np.int64] = (ours @ unit.T).argmax(axis=1)
    return found


@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("size", [1, 2, 5, len(PROMPTS)])
def test_any_batch_in_any_order_has_transformers_states(pooling: Pooling, size: int) -> None:
    expected = alone(pooling)
    forward = fast(pooling)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(PROMPTS))
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            states = forward([PROMPTS[i] for i in rows])
            assert states.dtype == np.float32
            assert (cosines(states, expected[rows]) >= 0.99999).all()
            np.testing.assert_allclose(states, expected[rows], atol=2e-4)


@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("size", [1, 2, 5, len(PROMPTS)])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_any_batch_in_any_order_is_near_transformers_states_in_half_precision(
    pooling: Pooling, size: int, dtype: torch.dtype
) -> None:
    expected = alone(pooling, dtype)
    forward = fast(pooling, dtype)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(PROMPTS))
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            states = forward([PROMPTS[i] for i in rows])
            assert (cosines(states, expected[rows]) >= 0.999).all()
            assert (nearest(states, expected) == rows).all()


@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_as_near_to_transformers_as_transformers_to_itself(
    pooling: Pooling, dtype: torch.dtype
) -> None:
    expected = alone(pooling)
    stock = StockForward(model(dtype), IMAGE_TOKEN, PIXELS, pooling)(PROMPTS)
    states = fast(pooling, dtype)(PROMPTS)
    assert (cosines(states, stock) >= 0.999).all()
    assert cosines(states, expected).min() >= cosines(stock, expected).min() - 5e-4


def test_the_prompts_differ_enough_to_be_told_apart() -> None:
    for pooling in ("last", "mean"):
        states = alone(pooling)
        unit = states / np.linalg.norm(states, axis=1, keepdims=True)
        assert (unit @ unit.T - np.eye(len(unit))).max() < 0.999


def test_states_are_the_same_with_and_without_a_shared_beginning() -> None:
    forward = fast("last")
    whole = forward([Prompt(p.ids, p.picture) for p in PROMPTS])
    np.testing.assert_allclose(forward(PROMPTS), whole, atol=1e-4)


def test_beginnings_of_several_instructions_go_together() -> None:
    others = [Prompt(np.r_[3, p.ids], p.picture, CONSTANT + 1) for p in PROMPTS]
    stock = StockForward(model(), IMAGE_TOKEN, PIXELS, "last")
    expected = np.concatenate([stock([one]) for one in others])
    states = fast("last")([*others, *PROMPTS])
    np.testing.assert_allclose(states, np.concatenate([expected, alone("last")]), atol=2e-4)


def test_a_shared_beginning_runs_through_the_layers_once(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = fast("last")
    computed: list[int] = []
    keys_and_values = forward._text.keys_and_values

    def counting(states: torch.Tensor, positions: torch.Tensor) -> object:
        computed.append(len(states))
        return keys_and_values(states, positions)

    monkeypatch.setattr(forward._text, "keys_and_values", counting)
    for _ in range(3):
        forward(PROMPTS)
    assert computed == [CONSTANT]


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_a_picture_that_prompts_have_in_common_is_seen_once(
    pooling: Pooling, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = fast(pooling)
    seen: list[int] = []
    see = forward._vision.__call__

    def counting(pictures: Sequence[Patches]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        seen.append(len(pictures))
        return see(pictures)

    monkeypatch.setattr(forward, "_vision", counting)
    apart = [prompt(n, grid, n + 1) for n, grid in enumerate(GRIDS[:3])]
    shared = [
        Prompt(np.append(one.ids, extra), one.picture, CONSTANT)
        for one in apart[:2]
        for extra in ([21], [22, 23], [24])
    ]
    prompts = [shared[0], apart[2], *shared[1:], PROMPTS[-1]]
    stock = StockForward(model(), IMAGE_TOKEN, PIXELS, pooling)
    expected = np.concatenate([stock([one]) for one in prompts])
    np.testing.assert_allclose(forward(prompts), expected, atol=2e-4)
    assert seen == [3]


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_products_meet_few_numbers_of_rows_whatever_goes_together(
    pooling: Pooling, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: set[int] = set()

    class Counted(products._Packed):
        def forward(self, states: torch.Tensor) -> torch.Tensor:
            rows.add(len(states))
            return super().forward(states)

    monkeypatch.setattr(products, "_Packed", Counted)
    torch.manual_seed(3)
    forward = FastForward(
        Qwen3VLModel(tiny_config(tiny_tokenizer())).eval(), IMAGE_TOKEN, PIXELS, pooling
    )
    forward([prompt(0, None, 40)])  # the beginning that all share, at its own length
    rows.clear()
    for length in range(1, 60):
        forward([prompt(length, None, length)])
    assert rows == {16, 32, 48, 64, 80} - (set() if pooling == "mean" else {80})
    for count in range(1, len(PROMPTS)):
        forward(PROMPTS[:count])
    assert all(number % 16 == 0 for number in rows)


def test_rows_are_rounded_up_by_a_sixteenth_at_most_and_not_on_a_gpu() -> None:
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    for rows in (*range(1, 700), 1000, 4097, 100_000):
        found = rounded(rows, cpu)
        assert rows <= found <= max(rows + 15, rows * 17 / 16)
        assert rounded(found, cpu) == found
        assert rounded(rows, cuda) == rows
    assert len({rounded(rows, cpu) for rows in range(1, 4097)}) == 80


def test_positions_of_a_grid_are_computed_once() -> None:
    tower = VisionTower(model().visual, PIXELS)
    pictures = [p.picture for p in PROMPTS if p.picture is not None]
    for _ in range(3):
        tower(pictures)
    info = tower._positions.cache_info()
    assert info.misses == len(set(GRIDS))
    assert info.maxsize is not None


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Remembers what torch is asked to do."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(
        self,
        operation: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        del types
        self.names.add(str(operation.overloadpacket))
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_a_batch_asks_the_device_for_nothing_before_its_states_are_there(pooling: Pooling) -> None:
    forward = fast(pooling)
    forward(PROMPTS)
    with Operations() as operations:
        forward(PROMPTS)
    assert {"aten.index_copy_", "aten.embedding"} <= operations.names
    # what makes the host wait for a GPU: numbers, and results whose size depends on numbers
    waiting = {"_local_scalar_dense", "equal", "is_nonzero", "nonzero", "masked_select", "unique"}
    assert not operations.names & {f"aten.{name}" for name in waiting}


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_arrays_get_to_a_gpu_from_locked_memory_and_nobody_waits(
    monkeypatch: pytest.MonkeyPatch, axis: int, dtype: type[np.generic]
) -> None:
    made: list[bool] = []
    copied: list[tuple[str, bool]] = []
    empty = torch.empty

    def ordinary(shape: Sequence[int], *, dtype: torch.dtype, pin_memory: bool) -> torch.Tensor:
        made.append(pin_memory)
        return empty(shape, dtype=dtype)

    def stays(
        tensor: torch.Tensor, device: torch.device, *, non_blocking: bool = False
    ) -> torch.Tensor:
        copied.append((device.type, non_blocking))
        return tensor

    parts = [np.arange(6).reshape(2, 3).astype(dtype), np.arange(6, 12).reshape(2, 3).astype(dtype)]
    expected = to_device(parts, torch.device("cpu"), axis)
    monkeypatch.setattr(torch, "empty", ordinary)
    monkeypatch.setattr(torch.Tensor, "to", stays)
    moved = to_device(parts, torch.device("cuda"), axis)
    assert (made, copied) == ([True], [("cuda", True)])
    assert moved.dtype == expected.dtype
    np.testing.assert_array_equal(moved.numpy(), np.concatenate(parts, axis))
    np.testing.assert_array_equal(expected.numpy(), np.concatenate(parts, axis))


@pytest.mark.parametrize(("precision", "least"), [("fp32", 0.9999), ("bf16", 0.99)])
def test_an_encoders_mixed_queries_have_their_own_vectors(
    make: MakeEncoder, checkpoint: Path, reference: Reference, precision: str, least: float
) -> None:
    sizes = [(128, 128), (64, 192), (128, 128), (33, 47)]
    queries = [
        *[Query("", photo(n, *size)) for n, size in enumerate(sizes)],
        *[Query("a cat" * (n + 1), photo(9 - n, *size)) for n, size in enumerate(sizes)],
        Query("cat"),
        Query("dog"),
        Query("a long walk by the sea"),
    ]
    expected = np.stack([reference.vector(QUERY, q.text, q.image) for q in queries])
    vectors = make(checkpoint, precision=precision).encode_queries(queries)
    assert (cosines(vectors, expected) >= least).all()
    assert ((vectors @ expected.T).argmax(axis=1) == np.arange(len(queries))).all()


def test_a_picture_that_queries_have_in_common_is_prepared_once(
    make: MakeEncoder,
    checkpoint: Path,
    reference: Reference,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoder, picture = make(checkpoint, precision="fp32"), photo(1, 128, 96)
    prepared: list[object] = []
    prepare = encoder.prepare

    def counting(image: Image.Image) -> Patches:
        prepared.append(image)
        return prepare(image)

    monkeypatch.setattr(encoder, "prepare", counting)
    queries = [
        Query("at night", picture),
        Query("", picture),
        Query("dog"),
        Query("a", photo(2, 64, 64)),
    ]
    expected = np.stack([reference.vector(QUERY, q.text, q.image) for q in queries])
    assert (cosines(encoder.encode_queries(queries), expected) >= 0.9999).all()
    assert prepared == [picture, queries[-1].image]


class Limited:
    """A forward with memory for so many prompts, which notes the sizes that were tried."""

    def __init__(self, most: int, error: Exception) -> None:
        self.most, self.error = most, error
        self.tried: list[int] = []

    def __call__(self, prompts: Sequence[Prompt]) -> NDArray[np.float32]:
        self.tried.append(len(prompts))
        if len(prompts) > self.most:
            raise self.error
        return np.array([[p.ids[-1], len(p.ids)] for p in prompts], np.float32)


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"),
    MemoryError(),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=["cuda", "cpu", "python"])
def test_a_batch_too_large_for_memory_is_halved_and_goes_on(error: Exception) -> None:
    forward = Limited(3, error)
    states = Batches(forward, 10_000).run(PROMPTS)
    np.testing.assert_array_equal(states, Limited(99, error)(PROMPTS))
    assert forward.tried[:4] == [16, 8, 4, 2]


def batches(tried: Batches, count: int, tokens: int) -> Iterator[int]:
    made = [prompt(n, None, tokens - CONSTANT) for n in range(count)]
    for rows in tried.cut([tokens] * count):
        tried.run([made[i] for i in rows])
        yield len(rows)


def test_after_memory_ran_out_batches_stay_small() -> None:
    forward = Limited(4, OUT_OF_MEMORY[0])
    list(batches(Batches(forward, 160), 48, 20))
    assert forward.tried == [8, 4, 4] + [4] * 10


def test_a_single_prompt_too_large_for_memory_is_an_error() -> None:
    for error in OUT_OF_MEMORY:
        with pytest.raises(type(error)):
            Batches(Limited(0, error), 100).run(PROMPTS)


def test_another_error_is_not_tried_again() -> None:
    forward = Limited(0, RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"):
        Batches(forward, 100).run(PROMPTS)
    assert forward.tried == [len(PROMPTS)]


def test_batches_hold_the_budget_of_tokens_and_of_pictures() -> None:
    tokens = [5, 5, 5, 9, 9, 30, 1]
    assert [len(b) for b in Batches(Limited(9, MemoryError()), 18).cut(tokens)] == [3, 2, 1, 1]
    assert [len(b) for b in Batches(Limited(9, MemoryError()), 99, 2).cut(tokens)] == [2, 2, 2, 1]
    assert list(Batches(Limited(9, MemoryError()), 18).cut([])) == []


def test_an_encoder_short_of_memory_gives_the_same_vectors(
    make: MakeEncoder, embedding: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = [photo(n, 128, 64 + 32 * (n % 3)) for n in range(9)]
    expected = make(embedding).encode_images(pictures)
    encoder = make(embedding)
    encoder.load()
    assert encoder._loaded is not None
    batch = encoder._loaded[1]
    forward = batch._forward

    def short(prompts: Sequence[Prompt]) -> NDArray[np.float32]:
        if len(prompts) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(prompts)

    monkeypatch.setattr(batch, "_forward", short)
    np.testing.assert_allclose(encoder.encode_images(pictures), expected, atol=1e-5)
