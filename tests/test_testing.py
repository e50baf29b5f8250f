"""The contract suites pass what keeps the contract and name what breaks it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mcp_vlsearch.contracts import Query, Space
from mcp_vlsearch.testing import (
    check_encoder,
    check_explaining,
    check_index,
    check_rewriter,
)

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs, Vectors


class PlainIndex:
    """An index in a few lines of NumPy."""

    name = "plain"
    kind = "NumPy"

    def __init__(self, space: Space) -> None:
        self.last_seq = self.last_removal = 0
        self.seqs: Seqs = np.empty(0, np.int64)
        self.vectors: Vectors = np.empty((0, space.dim), np.float32)

    def __len__(self) -> int:
        return len(self.seqs)

    def add(self, seqs: Seqs, vectors: Vectors) -> None:
        self.seqs = np.concatenate([self.seqs, seqs])
        self.vectors = np.concatenate([self.vectors, vectors])
        self.last_seq = int(seqs[-1]) if len(seqs) else self.last_seq

    def remove(self, seqs: Seqs, last_removal: int) -> None:
        self.last_removal = last_removal
        keep = ~np.isin(self.seqs, seqs)
        self.seqs, self.vectors = self.seqs[keep], self.vectors[keep]

    def search(self, queries: Vectors, k: int, allowed: Seqs | None = None) -> tuple[Vectors, Seqs]:
        rows = slice(None) if allowed is None else np.isin(self.seqs, allowed)
        cosines = queries @ self.vectors[rows].T
        best = np.argsort(-cosines, axis=1)[:, :k]
        scores = np.full((len(queries), k), -np.inf, np.float32)
        seqs = np.full((len(queries), k), -1, np.int64)
        scores[:, : best.shape[1]] = np.take_along_axis(cosines, best, axis=1)
        seqs[:, : best.shape[1]] = self.seqs[rows][best]
        return scores, seqs


class FiltersAfterwards(PlainIndex):
    def search(self, queries: Vectors, k: int, allowed: Seqs | None = None) -> tuple[Vectors, Seqs]:
        scores, seqs = super().search(queries, k)
        wrong = seqs < 0 if allowed is None else ~np.isin(seqs, allowed)
        scores[wrong], seqs[wrong] = -np.inf, -1
        order = np.argsort(-scores, axis=1, kind="stable")
        return np.take_along_axis(scores, order, 1), np.take_along_axis(seqs, order, 1)


class Distances(PlainIndex):
    def search(self, queries: Vectors, k: int, allowed: Seqs | None = None) -> tuple[Vectors, Seqs]:
        scores, seqs = super().search(queries, k, allowed)
        return np.where(seqs < 0, scores, 2 * scores - 2), seqs


class Forgetful(PlainIndex):
    def remove(self, seqs: Seqs, last_removal: int) -> None:
        super().remove(seqs, last_removal)
        self.last_seq = int(self.seqs.max(initial=0))


class NeverForgets(PlainIndex):
    def remove(self, seqs: Seqs, last_removal: int) -> None: ...


class Misses(PlainIndex):
    def search(self, queries: Vectors, k: int, allowed: Seqs | None = None) -> tuple[Vectors, Seqs]:
        scores, seqs = super().search(queries, k + 1, allowed)
        return scores[:, 1:], seqs[:, 1:]


def test_an_index_that_keeps_the_contract_passes() -> None:
    check_index(PlainIndex)


@pytest.mark.parametrize(
    ("index", "promise"),
    [
        (FiltersAfterwards, "nearest rows were found"),
        (Distances, "scores are cosines"),
        (Forgetful, "last_seq never falls"),
        (NeverForgets, "removed rows are not counted"),
        (Misses, "nearest rows were found"),
    ],
)
def test_an_index_that_breaks_a_promise_is_told_which(
    index: type[PlainIndex], promise: str
) -> None:
    with pytest.raises(AssertionError, match=promise):
        check_index(index)


def test_an_approximate_index_may_miss_its_share_and_no_more() -> None:
    class Approximate(PlainIndex):
        def search(
            self, queries: Vectors, k: int, allowed: Seqs | None = None
        ) -> tuple[Vectors, Seqs]:
            scores, seqs = super().search(queries, k, allowed)
            if k == 10:
                scores, seqs = super().search(queries, 11, allowed)
                return np.delete(scores, 5, axis=1), np.delete(seqs, 5, axis=1)
            return scores, seqs

    check_index(Approximate, recall=0.85)
    with pytest.raises(AssertionError, match="nearest rows were found"):
        check_index(Approximate)


class PlainEncoder:
    """Sees eight by eight pixels, and counts letters."""

    name = "plain"
    model = "pixels"
    precision = "fp32"
    device = "cpu"
    dim = 192
    fingerprint = "plain-1"
    batch_size = 4

    def target_size(self, width: int, height: int) -> tuple[int, int]:
        return max(1, min(width, 64)), max(1, min(height, 64))

    def load(self) -> None: ...

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        return self._unit([self._see(image) for image in images])

    def encode_queries(self, queries: Sequence[Query]) -> Vectors:
        return self._unit([self._read(q.text) + self._see(q.image) for q in queries])

    def _see(self, image: Image.Image | None) -> Any:
        return 0 if image is None else np.asarray(image.resize((8, 8)), np.float32).ravel()

    def _read(self, text: str) -> Any:
        counts = np.zeros(self.dim, np.float32)
        np.add.at(counts, [0, *(ord(letter) % self.dim for letter in text)], 100)
        return counts

    def _unit(self, rows: list[Any]) -> Vectors:
        vectors = np.reshape(rows, (len(rows), self.dim)).astype(np.float32)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


class LongVectors(PlainEncoder):
    def _unit(self, rows: list[Any]) -> Vectors:
        return super()._unit(rows) * 2


class SeesTheBatch(PlainEncoder):
    def _unit(self, rows: list[Any]) -> Vectors:
        return super()._unit([row + np.mean(rows, axis=0) for row in rows])


class IgnoresText(PlainEncoder):
    def _read(self, text: str) -> Any:
        return super()._read(text[:0])


class Forgets(PlainEncoder):
    def load(self) -> None:
        self.fingerprint = "another"


class NoSize(PlainEncoder):
    def target_size(self, width: int, height: int) -> tuple[int, int]:
        return width // 2, height // 2


class Prepares(PlainEncoder):
    """Does its resizing ahead."""

    def prepare(self, image: Image.Image) -> NDArray[np.float32]:
        return np.asarray(image.resize((8, 8)), np.float32)

    def _see(self, image: Any) -> Any:
        return image.ravel() if isinstance(image, np.ndarray) else super()._see(image)


class PreparesAnother(Prepares):
    def prepare(self, image: Image.Image) -> NDArray[np.float32]:
        return super().prepare(image.rotate(180))


class PreparesWithoutASize(Prepares):
    def prepare(self, image: Image.Image) -> NDArray[np.float32]:
        return super().prepare(image)[:0]


@pytest.mark.parametrize("encoder", [PlainEncoder, Prepares])
def test_an_encoder_that_keeps_the_contract_passes(encoder: type[PlainEncoder]) -> None:
    check_encoder(encoder())


@pytest.mark.parametrize(
    ("encoder", "promise"),
    [
        (LongVectors, "vectors have length 1"),
        (SeesTheBatch, "does not depend on the rest of its batch"),
        (IgnoresText, "different inputs have different vectors"),
        (Forgets, "must not change the fingerprint"),
        (NoSize, "target_size"),
        (PreparesAnother, "a prepared picture has the vector of the picture"),
        (PreparesWithoutASize, "says its nbytes"),
    ],
)
def test_an_encoder_that_breaks_a_promise_is_told_which(
    encoder: type[PlainEncoder], promise: str
) -> None:
    with pytest.raises(AssertionError, match=promise):
        check_encoder(encoder())


class Explains(PlainEncoder):
    """Heats up the cells of a grid by their brightness."""

    def explain(self, image: Image.Image, vector: Vectors) -> Vectors:
        del vector
        grey = np.asarray(image.convert("L").resize((4, 3)), np.float32)
        above = grey - grey.min()
        return self._heat(above / above.max())

    def _heat(self, heat: Vectors) -> Vectors:
        return heat


class ExplainsBeyondOne(Explains):
    def _heat(self, heat: Vectors) -> Vectors:
        return 2 * heat


class ExplainsInOneRow(Explains):
    def _heat(self, heat: Vectors) -> Vectors:
        return heat.ravel()


class ExplainsWhatItSawLast(Explains):
    def _heat(self, heat: Vectors) -> Vectors:
        last, self.last = getattr(self, "last", heat[::-1]), heat
        return np.asarray(last)


def test_an_encoder_that_explains_passes() -> None:
    check_explaining(Explains())


@pytest.mark.parametrize(
    ("encoder", "promise"),
    [
        (ExplainsBeyondOne, "heat is 1"),
        (ExplainsInOneRow, "rows and columns"),
        (ExplainsWhatItSawLast, "the same input has the same heat"),
        (PlainEncoder, "has explain"),
    ],
)
def test_an_encoder_that_explains_wrongly_is_told_how(encoder: type[Any], promise: str) -> None:
    with pytest.raises(AssertionError, match=promise):
        check_explaining(encoder())


class Rewriter:
    """Returns what it was made with, for queries in English that are short."""

    name = "plain"

    def __init__(self, *phrasings: str) -> None:
        self.phrasings = phrasings

    def rewrite(self, query: str) -> list[str]:
        is_short = query.strip() and query.isascii() and len(query) < 100
        return [phrasing.format(query) for phrasing in self.phrasings] if is_short else []


class WithModel(Rewriter):
    """Has a fingerprint that a test chooses."""

    fingerprint = "plain-1"

    def load(self) -> None: ...


class NoFingerprint(WithModel):
    fingerprint = ""


class AnotherOnceLoaded(WithModel):
    def load(self) -> None:
        self.fingerprint = "plain-2"


class Slowly(Rewriter):
    def rewrite(self, query: str) -> list[str]:
        until = time.monotonic() + 0.02
        while time.monotonic() < until:
            pass
        return super().rewrite(query)


class AnyLanguage(Rewriter):
    def rewrite(self, query: str) -> list[str]:
        return [phrasing.format(query.translate({29483: "cat"})) for phrasing in self.phrasings]


def test_a_rewriter_that_keeps_the_contract_passes() -> None:
    check_rewriter(Rewriter())
    check_rewriter(Rewriter("a photo of {}", "a drawing of {}"))
    check_rewriter(WithModel("a photo of {}"))


@pytest.mark.parametrize(
    "phrasings",
    [
        *(["{}"], [" {} "], ["a {}", "a {}"], ["a {}", "A  {}"], ["  "], ["一张{}"]),
        [f"{n} {{}}" for n in "0123456789x"],
        ["{}" + "x" * 2000],
    ],
)
def test_a_rewriter_that_breaks_a_promise_is_told_so(phrasings: list[str]) -> None:
    with pytest.raises(AssertionError, match="rewrite"):
        check_rewriter(Rewriter(*phrasings))


@pytest.mark.parametrize(
    ("rewriter", "promise"),
    [
        (NoFingerprint, "has a fingerprint"),
        (AnotherOnceLoaded, "must not change the fingerprint"),
        (Slowly, "took"),
        (AnyLanguage, "not in the query's language"),
    ],
)
def test_a_rewriter_that_breaks_a_promise_is_told_which(
    rewriter: type[Rewriter], promise: str
) -> None:
    with pytest.raises(AssertionError, match=promise):
        check_rewriter(rewriter("a {}"), seconds=0.01 if rewriter is Slowly else 60)
