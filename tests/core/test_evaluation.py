"""Retrieval figures, against a plain count over all scores."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mcp_vlsearch.core.evaluation import Evaluation, compare, evaluate, figures, ranks
from mcp_vlsearch.errors import QueryError

Vectors = NDArray[np.float32]


class FakeLibrary:
    """Vectors by file name and by caption; files of one id hold one image."""

    settings = SimpleNamespace(library=Path("my library"))

    def __init__(self, images: dict[str, tuple[str, Vectors]], queries: dict[str, Vectors]) -> None:
        self.images = images
        self.queries = queries

    def image_vectors(self, paths: Iterable[Path], _: object) -> dict[Path, tuple[str, Vectors]]:
        return {path: self.images[path.name] for path in paths if path.name in self.images}

    def query_vectors(
        self, queries: Sequence[str], _: object, rewrite: str = "off"
    ) -> list[Vectors]:
        return [self.queries[self.rewritten(query, rewrite, _)[-1]] for query in queries]

    def rewritten(self, query: str, rewrite: str, _: object) -> tuple[str, ...]:
        other = query.upper() if rewrite == "upper" else query
        return (query, other) if other in self.queries and other != query else (query,)


def unit(rows: NDArray[Any]) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def measure(library: Any, captions: Path, **options: Any) -> Evaluation:
    return evaluate(library, captions, **options)


def write(folder: Path, *lines: dict[str, Any] | str) -> Path:
    path = folder / "captions.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts), "utf-8")
    return path


def line(image: str, caption: str) -> dict[str, str]:
    return {"image": image, "caption": caption}


def test_figures_are_those_of_a_plain_count(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = unit(rng.standard_normal((150, 16)))
    queries = unit(pictures + 0.6 * rng.standard_normal((150, 16)))
    library = FakeLibrary(
        {f"{n}.png": (str(n), row) for n, row in enumerate(pictures)},
        {f"query {n}": row for n, row in enumerate(queries)},
    )
    found = measure(library, write(tmp_path, *(line(f"{n}.png", f"query {n}") for n in range(150))))
    ranks = [1 + sum(q @ p > q @ pictures[n] for p in pictures) for n, q in enumerate(queries)]
    assert (found.images, found.queries) == (150, 150)
    assert found.recall_at_1 == sum(rank <= 1 for rank in ranks) / 150
    assert found.recall_at_5 == sum(rank <= 5 for rank in ranks) / 150
    assert found.recall_at_10 == sum(rank <= 10 for rank in ranks) / 150
    assert found.mrr == pytest.approx(sum(1 / rank for rank in ranks) / 150)
    assert 0.1 < found.recall_at_1 < found.recall_at_5 < found.recall_at_10 < 1


def test_a_rewriter_is_compared_with_none(tmp_path: Path) -> None:
    east, north, both = unit(np.array([[1, 0], [0, 1], [1, 1]]))
    library = FakeLibrary(
        {"a.png": ("A", east), "b.png": ("B", north)},
        {"a": north, "b": north, "c": east, "A": east, "B": both},
    )
    lines = [line("a.png", "a"), line("b.png", "b"), line("a.png", "c")]
    found = compare(library, write(tmp_path, *lines), "upper")  # type: ignore[arg-type]
    plain = measure(library, write(tmp_path, *lines))
    values = found.model_dump(by_alias=True)
    assert (found.images, found.queries, found.rewrite, found.rewritten) == (2, 3, "upper", 2)
    assert plain.recall_at_1 == found.recall_at_1 == pytest.approx(2 / 3)
    assert found.off == {k: v for k, v in plain.model_dump(by_alias=True).items() if k in found.off}
    assert list(found.off) == list(found.gain) == ["recall@1", "recall@5", "recall@10", "mrr"]
    assert all(found.gain[name] == values[name] - found.off[name] for name in found.gain)


def test_files_with_the_same_content_are_one_image_and_either_is_right(tmp_path: Path) -> None:
    east, north = np.eye(2, dtype=np.float32)
    library = FakeLibrary(
        {"a.png": ("A", east), "copy.png": ("A", east), "b.png": ("B", north)},
        {"east": east, "north": north},
    )
    captions = write(
        tmp_path, line("a.png", "east"), line("copy.png", "east"), line("b.png", "north")
    )
    found = measure(library, captions)
    assert (found.images, found.queries, found.recall_at_1) == (2, 3, 1.0)


def test_an_encoder_that_gives_everything_one_vector_scores_nothing(tmp_path: Path) -> None:
    same = np.ones(1, np.float32)
    library = FakeLibrary({f"{n}.png": (str(n), same) for n in range(20)}, {"text": same})
    found = measure(library, write(tmp_path, *(line(f"{n}.png", "text") for n in range(20))))
    assert found.recall_at_10 == 0
    assert found.mrr == pytest.approx(1 / 20)


def test_the_field_chooses_the_text(tmp_path: Path) -> None:
    row = np.ones(1, np.float32)
    library = FakeLibrary({"a.png": ("A", row)}, {"猫": row})
    captions = write(tmp_path, {"image": "a.png", "caption": "cat", "caption_zh": "猫"})
    assert measure(library, captions, field="caption_zh").recall_at_1 == 1


def test_a_byte_order_mark_as_windows_editors_write_is_passed_over(tmp_path: Path) -> None:
    library = FakeLibrary({"a.png": ("a", unit(np.eye(2)[:1])[0])}, {"a": unit(np.eye(2)[:1])[0]})
    path = write(tmp_path, line("a.png", "a"))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert measure(library, path).queries == 1


def test_only_line_feeds_part_lines(tmp_path: Path) -> None:
    row = np.ones(1, np.float32)
    library = FakeLibrary({"a.png": ("A", row)}, {"two\u2028lines": row, "one": row})
    captions = tmp_path / "captions.jsonl"
    first = json.dumps(line("a.png", "two\u2028lines"), ensure_ascii=False)
    captions.write_bytes(f"{first}\r\n{json.dumps(line('a.png', 'one'))}\n".encode())
    assert measure(library, captions).queries == 2


def test_a_tie_is_lost() -> None:
    scores = np.array([[0.1, 0.3, 0.3, 0.2], [0.9, 0.3, 0.3, 0.2]], np.float32)
    places = ranks(scores, np.array([1, 0]))
    assert places.tolist() == [2, 1]
    assert figures(places) == {"recall@1": 0.5, "recall@5": 1, "recall@10": 1, "mrr": 0.75}


def test_keys_in_json_are_those_of_the_contract() -> None:
    found = Evaluation(images=1, queries=1, recall_at_1=1, recall_at_5=1, recall_at_10=1, mrr=1)
    keys = ["images", "queries", "recall@1", "recall@5", "recall@10", "mrr"]
    assert list(json.loads(found.model_dump_json())) == keys


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("{", "not JSON"),
        ("[]", "'image'"),
        ('{"caption": "x"}', "'image'"),
        ('{"image": "a.png"}', "'caption'"),
        ('{"image": "a.png", "caption": " "}', "'caption'"),
        ('{"image": "a.png", "caption": 3}', "'caption'"),
    ],
)
def test_a_bad_line_is_named_by_its_number(tmp_path: Path, bad: str, said: str) -> None:
    captions = write(tmp_path, line("a.png", "x"), "", bad)
    with pytest.raises(QueryError, match=rf"captions\.jsonl, line 3: .*{said}"):
        measure(FakeLibrary({}, {}), captions)


def test_pictures_that_are_not_indexed_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    row = np.ones(1, np.float32)
    library = FakeLibrary({"a.png": ("A", row)}, {"x": row})
    captions = write(tmp_path, *(line(name, "x") for name in ("a.png", "b.png", "c.png")))
    with pytest.raises(
        QueryError,
        match=r"2 of 3 pictures .* first .*b\.png.*mcp-vlsearch index .* --library 'my library'`",
    ):
        measure(library, captions)


@pytest.mark.parametrize("content", [None, b"", b"\n\n", b"\xff\xfe"])
def test_a_file_without_captions_is_refused(tmp_path: Path, content: bytes | None) -> None:
    captions = tmp_path / "captions.jsonl"
    if content is not None:
        captions.write_bytes(content)
    with pytest.raises(QueryError, match=r"captions\.jsonl"):
        measure(FakeLibrary({}, {}), captions)
