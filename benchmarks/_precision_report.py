"""What was measured of every precision, as tables, and their place in a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks._cut import Vectors, cut
from benchmarks._precision_tasks import PARTS, Recall
from benchmarks._tables import Cell, Table

__all__ = ["BEGIN", "END", "Measured", "put_between_marks", "tables"]

BEGIN: Final = "<!-- precision table -->"
END: Final = "<!-- end -->"
EXACT: Final = "fp32"


@dataclass
class Measured:
    """What was measured of one model, by precision; ``absent`` says why others are not.

    ``vectors`` are those of pictures and of texts at the full dimension, ``seconds`` all that was
    timed.
    """

    title: str
    absent: dict[str, str] = field(default_factory=dict)
    weights: dict[str, int] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    images: dict[str, float] = field(default_factory=dict)
    queries: dict[str, float] = field(default_factory=dict)
    vectors: dict[str, tuple[Vectors, Vectors]] = field(default_factory=dict)
    recalls: dict[str, list[Recall]] = field(default_factory=dict)
    seconds: dict[str, dict[str, list[float]]] = field(default_factory=dict)


def tables(precisions: Sequence[str], small: Measured, wide: Measured) -> list[Table]:
    """Return a table of memory and speed for each model, and one of quality.

    ``small`` has recalls, and ``wide`` the widths at which vectors are compared with fp32.
    """
    return [
        *(_cost(precisions, model) for model in (wide, small)),
        _quality(precisions, small, wide),
    ]


def put_between_marks(page: Path, text: str) -> None:
    """Write a text into a page, in place of what stands between the two marks.

    Raises ValueError if they are not there.
    """
    before, begin, rest = page.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no {BEGIN} with an {END} after it")
    page.write_text(f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{after}", "utf-8")


def _cost(precisions: Sequence[str], model: Measured) -> Table:
    columns = {
        "precision": "",
        "weights MiB": ".1f",
        "process MiB": ".0f",
        "images/s": ".2f",
        "queries/s": ".2f",
    }
    rows: list[list[Cell]] = []
    for name in precisions:
        weights = model.weights.get(name)
        mebibytes = None if weights is None else weights / 2**20
        figures = (model.memory.get(name), model.images.get(name), model.queries.get(name))
        rows.append([name, mebibytes, *figures])
    return Table(f"Memory and speed: {model.title}", columns, rows, _reasons(model.absent))


def _quality(precisions: Sequence[str], small: Measured, wide: Measured) -> Table:
    columns = {"precision": "", "dim": "", "dim 2B": "", "dim storybook": ""}
    columns |= dict.fromkeys(("en @1", "en @5", "zh @1", "zh @5"), ".3f")
    columns |= dict.fromkeys(("pictures mean", "pictures min", "texts mean", "texts min"), ".5f")
    rows: list[list[Cell]] = []
    for name in precisions:
        for number, part in enumerate(PARTS):
            found = small.recalls.get(name)
            recall: Sequence[Cell] = found[number] if found else [None] * 4
            widths = [_dim(wide, part), _dim(small, part)]
            share = "full" if part == 1 else f"1/{part}"
            rows.append([name, share, *widths, *recall, *_nearness(wide, name, part)])
    notes = _reasons(small.absent | wide.absent)
    return Table(
        "Quality: recall of storybook, and cosine to fp32 at the 2B's widths", columns, rows, notes
    )


def _dim(model: Measured, part: int) -> str | None:
    pictures = next((vectors[0] for vectors in model.vectors.values()), None)
    return None if pictures is None else str(pictures.shape[1] // part)


def _nearness(model: Measured, name: str, part: int) -> list[Cell]:
    """Return mean and least cosine to fp32 of pictures and of texts, both cut alike."""
    if name not in model.vectors or EXACT not in model.vectors:
        return [None] * 4
    found: list[Cell] = []
    for ours, exact in zip(model.vectors[name], model.vectors[EXACT], strict=True):
        dim = exact.shape[1] // part
        cosines = np.einsum("ij,ij->i", cut(ours, dim), cut(exact, dim))
        found += [float(cosines.mean()), float(cosines.min())]
    return found


def _reasons(absent: Mapping[str, str]) -> list[str]:
    return [f"- {name} is not measured: {reason}" for name, reason in absent.items()]
