"""Retrieval quality: how early the picture comes that a caption was written for."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from mcp_vlsearch.core.progress import Meter, ProgressCallback, silent
from mcp_vlsearch.core.rewriting import OFF
from mcp_vlsearch.errors import QueryError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mcp_vlsearch.contracts import Vectors
    from mcp_vlsearch.core.library import Library

__all__ = ["Comparison", "Evaluation", "compare", "evaluate", "figures", "ranks"]

_BATCH: Final = 64
"""Queries encoded and ranked at a time."""


class Evaluation(BaseModel):
    """Shares of queries whose picture is among the first 1, 5 and 10, and the mean of 1/rank."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, serialize_by_alias=True)

    images: int
    queries: int
    recall_at_1: Annotated[float, Field(alias="recall@1")]
    recall_at_5: Annotated[float, Field(alias="recall@5")]
    recall_at_10: Annotated[float, Field(alias="recall@10")]
    mrr: float


class Comparison(Evaluation):
    """The figures with a rewriter, those ``off``, and the ``gain``, below 0 where it is a loss.

    ``rewritten`` is how many queries got other phrasings; the rest were searched as they are.
    """

    rewrite: str
    rewritten: int
    off: dict[str, float]
    gain: dict[str, float]


@dataclass(frozen=True)
class _Line:
    path: Path
    query: str


def evaluate(
    library: "Library",
    captions: Path,
    field: str = "caption",
    report: ProgressCallback = silent,
    rewrite: str = OFF,
) -> Evaluation:
    """Search for each captioned picture by its caption, among all pictures that the file names.

    ``captions`` is JSON lines with ``image`` (a path, relative to the file) and the text in
    ``field``. Files with the same content are one image, so any of them is right; another picture
    with the same score counts as coming first. Captions are rewritten first if ``rewrite`` names a
    rewriter. Raises :class:`QueryError` naming a bad line, or pictures that are not indexed, and
    :class:`RewriterError`.
    """
    lines = _lines(captions, field)
    ids, vectors = _wanted(library, captions, [line.path for line in lines], report)
    row = {image_id: position for position, image_id in enumerate(dict.fromkeys(ids))}
    right = np.array([row[image_id] for image_id in ids])
    found = []
    meter = Meter(report, len(lines), "searching")
    for start in range(0, len(lines), _BATCH):
        batch = slice(start, start + _BATCH)
        texts = [line.query for line in lines[batch]]
        queries = np.stack(library.query_vectors(texts, report, rewrite))
        found.append(ranks(queries @ vectors.T, right[batch]))
        meter.advance(len(queries))
    values = figures(np.concatenate(found))
    return Evaluation(images=len(row), queries=len(lines), **values)


def compare(
    library: "Library",
    captions: Path,
    rewrite: str,
    field: str = "caption",
    report: ProgressCallback = silent,
) -> Comparison:
    """Evaluate without and with a rewriter; raises as :func:`evaluate`."""
    without = evaluate(library, captions, field, report)
    result = evaluate(library, captions, field, report, rewrite)
    texts = [library.rewritten(line.query, rewrite, report) for line in _lines(captions, field)]
    values, off = result.model_dump(by_alias=True), without.model_dump(by_alias=True)
    for name in ("images", "queries"):
        del off[name]
    return Comparison(
        **values,
        rewrite=rewrite,
        rewritten=sum(len(phrased) > 1 for phrased in texts),
        off=off,
        gain={name: values[name] - off[name] for name in off},
    )


def ranks(scores: "NDArray[np.float32]", right: "NDArray[np.int64]") -> "NDArray[np.int64]":
    """Return at which place, from 1, each query's right picture comes, shape (queries,).

    ``scores`` are of shape (queries, pictures), ``right`` has a column for each query. Ties count
    against the right picture, so that vectors that are all alike score nothing.
    """
    own = scores[np.arange(len(right)), right]
    return np.asarray(np.count_nonzero(scores >= own[:, None], axis=1), np.int64)


def figures(ranks: "NDArray[np.int64]") -> dict[str, float]:
    """Return recall@1, recall@5, recall@10 and mrr, the mean of 1/rank, of :func:`ranks`."""
    recalls = {f"recall@{first}": float(np.mean(ranks <= first)) for first in (1, 5, 10)}
    return recalls | {"mrr": float(np.mean(1 / ranks))}


def _lines(captions: Path, field: str) -> list[_Line]:
    lines = list(_read(captions, field))
    if not lines:
        raise QueryError(f"{captions} has no captions: give a file with at least one line")
    return lines


def _read(captions: Path, field: str) -> Iterator[_Line]:
    if captions.exists() and not captions.is_file():  # a pipe would be waited for
        raise QueryError(f"{captions} is not a regular file: give a file of JSON lines")
    try:
        texts = captions.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise QueryError(
            f"{captions} can't be read ({error}): give a file of JSON lines"
        ) from error
    for number, text in enumerate(texts, 1):
        if text.strip():
            yield _parse(text, field, f"{captions}, line {number}", captions.parent)


def _parse(text: str, field: str, where: str, folder: Path) -> _Line:
    try:
        line = json.loads(text)
    except json.JSONDecodeError as error:
        raise QueryError(f"{where}: not JSON ({error}); mend this line") from error
    for name in ("image", field):
        value = line.get(name) if isinstance(line, dict) else None
        if not isinstance(value, str) or not value.strip():
            raise QueryError(f"{where}: {name!r} must be a text that is not empty: give one")
    return _Line(folder / line["image"], line[field])


def _wanted(
    library: "Library", captions: Path, paths: Sequence[Path], report: ProgressCallback
) -> "tuple[list[str], Vectors]":
    """Return the image id of each path, and one vector per distinct id in order of appearance."""
    known = library.image_vectors(paths, report)
    missing = [path for path in paths if path not in known]
    if missing:
        folder, own = (quote(str(p)) for p in (captions.parent, library.settings.library))
        raise QueryError(
            f"{len(missing)} of {len(paths)} pictures are not indexed, first {missing[0]}: run "
            f"`mcp-vlsearch index {folder} --library {own}` first"
        )
    ids = [known[path][0] for path in paths]
    distinct = dict(known[path] for path in paths)
    return ids, np.stack([distinct[image_id] for image_id in dict.fromkeys(ids)])
