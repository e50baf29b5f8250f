"""Contract suites that a plugin author runs against their own plugin.

    from mcp_vlsearch.testing import check_index

    def test_my_index_keeps_the_contract() -> None:
        check_index(lambda space: MyIndex(Settings(library=Path()), space))

Every check is plain assertions, so pytest or anything else can run it; a message says which promise
of :mod:`mcp_vlsearch.contracts` is broken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
from PIL import Image

from mcp_vlsearch.contracts import (
    Encoder,
    ExplainingEncoder,
    PreparingEncoder,
    Query,
    Space,
    VectorIndex,
)
from mcp_vlsearch.testing.rewriters import check_rewriter

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs, Vectors

__all__ = ["check_encoder", "check_explaining", "check_index", "check_rewriter"]

_Item = TypeVar("_Item")

_DIM: Final = 32
_SPACE = Space("0123456789abcdef", _DIM)
_SCORE_TOLERANCE: Final = 2e-3
"""Half-precision vectors may move a cosine so far; nearer ones count as ties."""


def check_index(make_index: Callable[[Space], VectorIndex], *, recall: float = 1.0) -> None:
    """Check that an index finds what a plain NumPy search finds, number by number.

    ``make_index(space)`` returns a new, empty index. ``recall`` is the least share of right hits: 1
    for an exact index, less for an approximate one, whose scores must be right all the same.
    """
    _check_empty_index(make_index(_SPACE))
    _check_index_grows(make_index(_SPACE), recall)
    _check_index_filters(make_index(_SPACE), recall)
    _check_index_forgets(make_index(_SPACE), recall)


def check_encoder(encoder: Encoder, *, tolerance: float = 5e-3) -> None:
    """Check that an encoder gives unit vectors that depend on nothing but their own input.

    If it prepares pictures ahead, they must have the vectors of those that it does not.
    ``tolerance`` is how far from 1 the cosine of one input's vectors, from different batches, may
    be: low precisions round differently in batches of other sizes.
    """
    _check_encoder_is_known(encoder)
    _check_target_sizes(encoder)
    fingerprint = encoder.fingerprint
    pictures = [
        _picture(seed, size) for seed, size in enumerate(((320, 240), (240, 400), (64, 64)))
    ]
    ready = [p.resize(encoder.target_size(*p.size)) for p in pictures]
    prepared = _prepared(encoder, ready)
    encoder.load()
    encoder.load()
    assert encoder.fingerprint == fingerprint, "load() must not change the fingerprint"
    _check_vectors(encoder.encode_images, ready, encoder.dim, tolerance)
    _check_prepared(encoder, ready, prepared, tolerance)
    queries = [
        Query(text="cat"),
        Query(text="a red bicycle that leans on a wall, in the evening"),
        Query(text="雪地里的一只猫"),
        Query(image=pictures[0]),
        Query(text="the same at night", image=pictures[1]),
    ]
    _check_vectors(encoder.encode_queries, queries, encoder.dim, tolerance)
    assert encoder.encode_queries([Query()]).shape == (1, encoder.dim), (
        "an empty query has a vector"
    )


def check_explaining(encoder: ExplainingEncoder) -> None:
    """Check that an encoder's heat is a map, and hangs on nothing but picture and vector."""
    assert isinstance(encoder, ExplainingEncoder), "an encoder that explains has explain()"
    encoder.load()
    vectors = encoder.encode_queries([Query("cat"), Query("a red bicycle")])
    for seed, size in enumerate(((320, 240), (60, 400), (64, 64))):
        picture = _picture(seed, size)
        for vector in vectors:
            heat = encoder.explain(picture, vector)
            assert heat.ndim == 2, "heat has rows and columns"
            assert heat.dtype == np.float32, "heat is float32"
            assert heat.min() >= 0, "heat is 0 where nothing matches"
            assert heat.max() in (0, 1), "heat is 1 where most matches, or 0 throughout"
            again = encoder.explain(picture, vector)
            assert np.allclose(heat, again, atol=0.05), "the same input has the same heat"


class _PlainSearch:
    """What every index is compared with: all cosines, sorted."""

    def __init__(self) -> None:
        self.rows: dict[int, Vectors] = {}

    def add(self, seqs: Seqs, vectors: Vectors) -> None:
        self.rows.update(zip(seqs.tolist(), vectors, strict=True))

    def remove(self, seqs: Seqs) -> None:
        for seq in seqs.tolist():
            self.rows.pop(seq, None)

    def scores(self, query: Vectors, allowed: Seqs | None) -> dict[int, float]:
        wanted = self.rows.keys() if allowed is None else self.rows.keys() & set(allowed.tolist())
        return {seq: float(self.rows[seq].astype(np.float64) @ query) for seq in wanted}


def _check_empty_index(index: VectorIndex) -> None:
    assert isinstance(index, VectorIndex), "an index has every member of VectorIndex"
    assert index.name, "an index has a name"
    assert index.kind, "an index says how it searches"
    assert len(index) == 0, "a new index is empty"
    assert index.last_seq == 0, "last_seq of an empty index is 0"
    assert index.last_removal == 0, "last_removal of an empty index is 0"
    index.add(_seqs([]), np.empty((0, _DIM), np.float32))
    index.remove(_seqs([1, 2]), 1)
    plain = _PlainSearch()
    _compare(index, plain, _unit(2, seed=1), 3)
    _compare(index, plain, _unit(2, seed=1), 3, _seqs([1, 5]))


def _check_index_grows(index: VectorIndex, recall: float) -> None:
    plain, queries = _PlainSearch(), _unit(5, seed=2)
    last = 0
    for block, size in enumerate((1, 2, 300, 64)):
        seqs = _seqs(last + np.cumsum(np.random.default_rng(block).integers(1, 4, size)))
        vectors = _unit(size, seed=10 + block)
        index.add(seqs, vectors)
        plain.add(seqs, vectors)
        last = int(seqs[-1])
        assert index.last_seq == last, "last_seq is the highest seq that was added"
        assert len(index) == len(plain.rows), "len() counts what can be found"
        for k in (1, 10, len(plain.rows) + 7):
            _compare(index, plain, queries, k, recall=recall)
    _compare(index, plain, vectors[:3], 1, recall=recall)
    assert index.search(queries[:0], 3)[0].shape == (0, 3), "no query, no row"


def _check_index_filters(index: VectorIndex, recall: float) -> None:
    plain, queries = _PlainSearch(), _unit(4, seed=3)
    seqs, vectors = _seqs(np.arange(5, 3005)), _unit(3000, seed=4)
    index.add(seqs, vectors)
    plain.add(seqs, vectors)
    shuffled = np.random.default_rng(5).permutation(seqs)
    for allowed in (shuffled[:0], shuffled[:1], shuffled[:40], shuffled[:2000], shuffled):
        _compare(index, plain, queries, 10, allowed, recall)
    _compare(index, plain, queries, 50, shuffled[:20], recall)
    _compare(index, plain, queries, 5, _seqs([1, 7, 9, 10_000]), recall)


def _check_index_forgets(index: VectorIndex, recall: float) -> None:
    plain, queries = _PlainSearch(), _unit(4, seed=6)
    seqs, vectors = _seqs(np.arange(1, 2501)), _unit(2500, seed=7)
    index.add(seqs, vectors)
    plain.add(seqs, vectors)
    gone_at_once = seqs[:1], seqs[10:20], seqs[::2], seqs[-1:], _seqs([99_999]), seqs[:0]
    for number, gone in enumerate(gone_at_once, start=3):
        index.remove(gone, number)
        plain.remove(gone)
        assert len(index) == len(plain.rows), "removed rows are not counted"
        assert index.last_seq == 2500, "last_seq never falls, or old rows would be read again"
        assert index.last_removal == number, "last_removal is that of the last remove()"
        _compare(index, plain, queries, 10, recall=recall)
    _compare(index, plain, queries, 10, seqs[:300], recall)
    more, vectors = _seqs([2501, 2600]), _unit(2, seed=8)
    index.add(more, vectors)
    plain.add(more, vectors)
    _compare(index, plain, vectors, 3, recall=recall)
    index.remove(_seqs(list(plain.rows)), 20)
    assert len(index) == 0, "an index can be emptied"
    _compare(index, _PlainSearch(), queries, 3)


def _compare(
    index: VectorIndex,
    plain: _PlainSearch,
    queries: Vectors,
    k: int,
    allowed: Seqs | None = None,
    recall: float = 1.0,
) -> None:
    scores, seqs = index.search(queries, k, allowed)
    assert scores.shape == seqs.shape == (len(queries), k), "results have the shape (queries, k)"
    assert scores.dtype == np.float32, "scores are float32"
    assert seqs.dtype == np.int64, "seqs are int64"
    right = wanted = 0
    for query, row_scores, row_seqs in zip(queries, scores, seqs, strict=True):
        truth = plain.scores(query, allowed)
        best = sorted(truth.values(), reverse=True)[:k]
        found = row_seqs[row_seqs >= 0].tolist()
        padding = row_seqs[len(found) :].tolist(), row_scores[len(found) :].tolist()
        missing = k - len(found)
        assert padding == ([-1] * missing, [-np.inf] * missing), "the rest is -1 and -inf"
        assert len(set(found)) == len(found), "a seq is found once"
        assert set(found) <= truth.keys(), "only rows that are there, and allowed, are found"
        assert (np.diff(row_scores[: len(found)]) <= 0).all(), "the best comes first"
        exact = np.array([truth[seq] for seq in found])
        assert np.allclose(row_scores[: len(found)], exact, rtol=0, atol=_SCORE_TOLERANCE), (
            "scores are cosines"
        )
        least = best[-1] - _SCORE_TOLERANCE if best else 0.0
        right += int((exact >= least).sum())
        wanted += len(best)
    assert right >= recall * wanted, f"{right} of the {wanted} nearest rows were found"


def _check_encoder_is_known(encoder: Encoder) -> None:
    assert isinstance(encoder, Encoder), "an encoder has every member of Encoder"
    for name in ("name", "model", "precision", "device", "fingerprint"):
        value = getattr(encoder, name)
        assert isinstance(value, str), f"{name} is text, known before load()"
        assert value, f"{name} is not empty"
    assert encoder.dim >= 1, "dim is known before load()"
    assert encoder.batch_size >= 1, "batch_size is at least 1"


def _check_target_sizes(encoder: Encoder) -> None:
    for size in ((1, 1), (640, 480), (480, 640), (6000, 4000), (3, 9000), (9000, 3)):
        width, height = encoder.target_size(*size)
        assert isinstance(width, int), "target_size returns whole numbers"
        assert isinstance(height, int), "target_size returns whole numbers"
        assert min(width, height) >= 1, f"target_size{size} gave {width} × {height}"
        assert width * height <= 2**26, f"target_size{size} gave {width} × {height}"


def _prepared(encoder: Encoder, images: Sequence[Image.Image]) -> list[Any]:
    """Prepare pictures in threads that do it at once, before the weights are there."""
    if not isinstance(encoder, PreparingEncoder):
        return []
    with ThreadPoolExecutor(len(images)) as pool:
        prepared = list(pool.map(encoder.prepare, images))
    assert all(p.nbytes > 0 for p in prepared), "what prepare() returns says its nbytes"
    return prepared


def _check_prepared(
    encoder: Encoder, images: Sequence[Image.Image], prepared: Sequence[Any], tolerance: float
) -> None:
    if not isinstance(encoder, PreparingEncoder):
        return
    plain = encoder.encode_images(images)
    promise = "a prepared picture has the vector of the picture"
    _same(plain, encoder.encode_images(prepared), tolerance, promise)
    mixed = [prepared[0], *images[1:]]
    _same(plain, encoder.encode_images(mixed), tolerance, f"{promise}, also among others")


def _check_vectors(
    encode: Callable[[Sequence[_Item]], Vectors], items: Sequence[_Item], dim: int, tolerance: float
) -> None:
    together = encode(items)
    assert together.shape == (len(items), dim), "one vector of dim numbers for each input"
    assert together.dtype == np.float32, "vectors are float32"
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-3), "vectors have length 1"
    nothing = encode(())
    assert nothing.shape == (0, dim), "no input, no row"
    backwards = encode(list(reversed(items)))[::-1]
    _same(together, backwards, tolerance, "a vector does not depend on the order")
    alone = np.concatenate([encode([item]) for item in items])
    _same(together, alone, tolerance, "a vector does not depend on the rest of its batch")
    _same(together, encode(items), tolerance, "the same input gives the same vector")
    others = together @ together.T - np.eye(len(items), dtype=np.float32)
    assert others.max() < 1 - 1e-6, "different inputs have different vectors"


def _same(left: Vectors, right: Vectors, tolerance: float, promise: str) -> None:
    assert ((left * right).sum(axis=1) >= 1 - tolerance).all(), promise


def _picture(seed: int, size: tuple[int, int]) -> Image.Image:
    """Soft blotches of colour."""
    blotches = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return Image.fromarray(blotches).resize(size, Image.Resampling.BICUBIC)


def _unit(count: int, seed: int) -> Vectors:
    rows = np.random.default_rng(seed).standard_normal((count, _DIM))
    unit: Vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def _seqs(values: Sequence[int] | Seqs) -> Seqs:
    return np.asarray(values, np.int64)
