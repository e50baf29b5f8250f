"""What a run of :mod:`benchmarks.encode` found, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from benchmarks._columns import Column
from benchmarks._peers import Vectors
from benchmarks._stages import STAGES
from benchmarks._tables import Cell, Table

__all__ = ["KINDS", "LOOP", "OURS", "PADDED", "SENTENCE", "WAYS", "Found", "Task", "tables"]

LOOP: Final = "one at a time"
SENTENCE: Final = "Sentence Transformers"
PADDED: Final = "padded batches"
OURS: Final = "ours"
WAYS: Final = (LOOP, SENTENCE, PADDED, OURS)

Kind = Literal["same", "mixed"]
KINDS: Final[tuple[Kind, ...]] = ("same", "mixed")


class Task(NamedTuple):
    """Encode pictures of a kind: ``batch`` at a time, or all at once; or time the stages of it."""

    kind: Kind
    batch: int | None = None
    stages: bool = False

    def __str__(self) -> str:
        batch = f", {self.batch} in a call" if self.batch else ""
        return f"{self.kind}{batch}{', stages' if self.stages else ''}"


@dataclass
class Found:
    """Everything that was measured; seconds are in the columns.

    ``columns`` are the ways that ran, ``absent`` why others did not; ``rates`` are in operations a
    second, ``memory`` in MiB.
    """

    columns: dict[str, Column]
    absent: dict[str, str]
    images: int
    flops: float
    rates: list[float] = field(default_factory=list)
    vectors: dict[tuple[str, Kind], Vectors] = field(default_factory=dict)
    stages: dict[Kind, list[dict[str, float]]] = field(
        default_factory=lambda: {kind: [] for kind in KINDS}
    )
    memory: dict[str, float] = field(default_factory=dict)

    def speed(self, name: str, task: Task) -> float | None:
        """Return pictures a second, None where the way was not asked for it."""
        if name not in self.columns or task not in self.columns[name].seconds:
            return None
        return self.images / self.columns[name].median(task)

    def cosine(self, name: str) -> float | None:
        """Return the least cosine of a picture's vector to that of the loop."""
        kinds = [kind for kind in KINDS if (name, kind) in self.vectors]
        pairs = [(self.vectors[name, kind], self.vectors[LOOP, kind]) for kind in kinds]
        return min((float(np.einsum("ij,ij->i", *pair).min()) for pair in pairs), default=None)


def tables(found: Found, precision: str, precisions: Sequence[str]) -> list[Table]:
    """Return the tables; ``precisions`` are to be compared, ``precision`` is that of the rest."""
    made = [_ways(found), _batches(found), _stages(found)]
    return [*made, _precisions(found, precision, precisions)] if precisions else made


def _ways(found: Found) -> Table:
    columns = {
        "way": "",
        "same/s": ".2f",
        "mixed/s": ".2f",
        "ours, same": ".2f",
        "ours, mixed": ".2f",
        "MiB": ".0f",
        "of matmul": ".0%",
        "cosine": ".6f",
    }
    rate = median(found.rates)
    rows = []
    for name in WAYS:
        speeds = [found.speed(name, Task(kind)) for kind in KINDS]
        ratios = [
            _ratio(found.speed(OURS, Task(kind)), found.speed(name, Task(kind))) for kind in KINDS
        ]
        reached = _ratio(speeds[0], rate / found.flops)
        memory, cosine = found.memory.get(name), found.cosine(name)
        label = f"{name} ({found.absent[name]})" if name in found.absent else name
        rows.append([label, *speeds, *ratios, memory, reached, cosine])
    notes = [
        f"Matrix products run at {rate / 1e12:.3g} TFLOP/s; a picture takes "
        f"{found.flops / 1e9:.3g} GFLOP at least."
    ]
    return Table("Pictures a second", columns, rows, notes)


def _batches(found: Found) -> Table:
    tasks = [task for task in found.columns[OURS].seconds if task.batch]
    rows: list[list[Cell]] = [[str(task.batch), found.speed(OURS, task)] for task in tasks]
    rows.append([f"all {found.images}", found.speed(OURS, Task("same"))])
    return Table("Ours by pictures in a call", {"pictures": "", "same/s": ".2f"}, rows)


def _stages(found: Found) -> Table:
    columns = {"stage": ""}
    for kind in KINDS:
        columns |= {f"{kind}, ms a picture": ".2f", f"{kind}, share": ".0%"}
    rows: list[list[Cell]] = [[stage] for stage in STAGES]
    for kind in KINDS:
        seconds = [median(each[stage] for each in found.stages[kind]) for stage in STAGES]
        for row, value in zip(rows, seconds, strict=True):
            row += [1000 * value / found.images, value / sum(seconds)]
    return Table("Stages of ours", columns, rows)


def _precisions(found: Found, precision: str, precisions: Sequence[str]) -> Table:
    columns = {"precision": "", "same/s": ".2f", "to first": ".2f", "MiB": ".0f", "cosine": ".6f"}
    names = {p: OURS if p == precision else f"{OURS} {p}" for p in precisions}
    speeds = {p: found.speed(name, Task("same")) for p, name in names.items()}
    rows: list[list[Any]] = []
    for each, name in names.items():
        label = f"{each} ({found.absent[name]})" if name in found.absent else each
        ratio = _ratio(speeds[each], speeds[precisions[0]])
        rows.append([label, speeds[each], ratio, found.memory.get(name), found.cosine(name)])
    return Table("Precisions of ours", columns, rows)


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above and below else None
