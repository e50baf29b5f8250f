"""What the plots of the documentation show, read from benchmarks/results."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["PLOTS", "RESULTS", "Bars", "Line", "Lines", "Plot"]

RESULTS: Final = Path(__file__).parents[1] / "benchmarks" / "results"
DIM: Final = 512
"""Width of the vectors whose searches are shown."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    """Points under one name, in the order in which they are joined; each may have a label."""

    name: str
    points: Sequence[tuple[float, float]]
    labels: Sequence[str] = ()


@dataclass(frozen=True)
class Lines:
    """Lines over one pair of axes, whose names have the unit in them."""

    title: str
    x: str
    y: str
    lines: Sequence[Line]
    log: str = "xy"
    """Which of the axes are logarithmic."""
    least: float | None = None
    """Where the axis of y begins, if the figures do not decide it."""
    ticks: Sequence[tuple[float, str]] = ()
    """What is written along x, if not its numbers."""


@dataclass(frozen=True)
class Bars:
    """A bar for each name, as long as its figure."""

    title: str
    x: str
    bars: Mapping[str, float]


@dataclass(frozen=True)
class Plot:
    """Panels side by side, with the benchmarks that their figures are of."""

    title: str
    panels: Sequence[Lines | Bars]
    sources: Sequence[str]


def tables(*names: str) -> Iterator[tuple[str, Sequence[Row]]]:
    """Yield title and rows of every table of some benchmarks."""
    for name in names:
        kept = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
        for table in kept["tables"]:
            yield table["title"], table["rows"]


def by_size(found: Iterator[tuple[int, str, Row]], column: str, scale: float = 1) -> Sequence[Line]:
    """Join what is known of each name at every size, the smallest first."""
    points: dict[str, list[tuple[float, float]]] = {}
    for size, name, row in found:
        if row[column] is not None:
            points.setdefault(name, []).append((size, row[column] * scale))
    return [Line(name, sorted(line)) for name, line in points.items()]


def searches(*names: str) -> Iterator[tuple[int, str, Row]]:
    """Yield size of the library, way and figures of all searches without a filter."""
    for title, rows in tables(*names):
        size, times, dim = title.partition(" × ")
        if times and dim == str(DIM):
            yield from ((int(size), row["way"], row) for row in rows)


SEARCHES: Final = ("search", "search_1m")


def search() -> Plot:
    """Show ours beside other engines: how long a search takes, and what texts find."""
    images = "images in the library"
    latency = by_size(searches(*SEARCHES), "p50, ms")
    recall = by_size(searches(*SEARCHES), "of texts")
    panels = [
        Lines("Time of a search", images, "p50 of one search, ms", latency),
        Lines("What texts find", images, "recall@10 of texts", recall, log="x", least=0.5),
    ]
    return Plot(f"Searches over {DIM} dimensions, two cores", panels, SEARCHES)


KINDS: Final = {"SQfp16": "exact", "in memory": "Flat, in memory", "RaBitQ": "rabitq", "SQ8": "ivf"}
"""The names of index kinds by what FAISS calls them: `auto` became one of these."""


def kinds(*names: str) -> Iterator[tuple[int, str, Row]]:
    """Yield size, kind and figures of all indexes without a filter."""
    for title, rows in tables(*names):
        size, _, dim = title.partition(" vectors of ")
        if dim == f"{DIM} dimensions":
            for row in rows:
                kind = next(name for part, name in KINDS.items() if part in row["became"])
                yield int(size.replace(",", "")), kind, row


INDEX_KINDS: Final = ("index_kinds_small", "index_kinds")


def index_kinds() -> Plot:
    """Show what kinds of index cost and find as libraries grow."""
    latency = by_size(kinds(*INDEX_KINDS), "p50, ms")
    recall = by_size(kinds(*INDEX_KINDS), "of texts")
    panels = [
        Lines("Time of a search in the index", "vectors", "p50 of one search, ms", latency),
        Lines("What texts find", "vectors", "recall@10 of texts", recall, log="x", least=0.9),
    ]
    return Plot(f"Kinds of index, {DIM} dimensions, two cores", panels, INDEX_KINDS)


GROWING: Final = {
    "rescan": ("rescan, s", 1),
    "add 1,000": ("add 1,000, s", 1),
    "remove 1,000": ("remove 1,000, s", 1),
    "open": ("open, s", 1),
    "search": ("search, ms", 1e-3),
    "status": ("status, ms", 1e-3),
}
"""The lines of time: the column of each, and what makes it seconds."""


def growth() -> Plot:
    """Show how time and memory grow with the library."""
    [(_, rows)] = tables("growth")
    sizes = [
        (int(digits), row) for row in rows if (digits := row["images"].replace(",", "")).isdigit()
    ]
    seconds = [
        Line(name, [(size, row[column] * scale) for size, row in sizes])
        for name, (column, scale) in GROWING.items()
    ]
    resident = [(size, row["resident, MiB"]) for size, row in sizes]
    disk = [(size, row["database, bytes an image"] * size / 2**20) for size, row in sizes]
    room = [Line("memory of the process", resident), Line("database on disk", disk)]
    panels = [
        Lines("Time", "images in the library", "seconds", seconds),
        Lines("Memory and disk", "images in the library", "MiB", room),
    ]
    return Plot(f"From small to large, {DIM} dimensions, two cores", panels, ("growth",))


def index_folder() -> Plot:
    """Show how many pictures a second each way indexes."""
    panels = [
        Bars(title, "pictures a second", {row["way"]: row["pictures/s"] for row in rows})
        for title, rows in tables("index_folder")
    ]
    return Plot("From files to vectors, built-in model, two cores", panels, ("index_folder",))


def part(text: str) -> float:
    """Return the part of its dimensions that a row keeps: `full`, or such as `1/4`."""
    above, _, below = text.replace("full", "1").partition("/")
    return int(above) / int(below or 1)


def precision() -> Plot:
    """Show what is lost by less memory: of weights, and of vectors."""
    found = dict(tables("precision"))
    weights = {row["precision"]: row["weights MiB"] for row in found[next(iter(found))]}
    [rows] = [rows for title, rows in found.items() if title.startswith("Quality")]
    full = {row["precision"]: row for row in rows if row["dim"] == "full"}
    ordered = sorted(full, key=lambda name: weights[name])
    near = [
        Line(
            of,
            [(weights[name], full[name][f"{of} mean"]) for name in ordered],
            ordered if of == "texts" else (),
        )
        for of in ("pictures", "texts")
    ]
    kept = [
        Line(name, [(part(r["dim"]), r["en @1"]) for r in rows if r["precision"] == name])
        for name in full
    ]
    ticks = {part(row["dim"]): row["dim"] for row in rows}
    kept_of, of_memory = "part of the dimensions kept", "memory of the weights, MiB"
    panels = [
        Lines("Weights, at the 2B's widths", of_memory, "mean cosine to fp32", near, log=""),
        Lines("Vectors, built-in model", kept_of, "recall@1", kept, "x", 0, sorted(ticks.items())),
    ]
    return Plot("Precision and dimension against memory", panels, ("precision",))


PLOTS: Final = {
    "search": search,
    "index-kinds": index_kinds,
    "growth": growth,
    "index-folder": index_folder,
    "precision": precision,
}
"""What each plot shows; to add one, add its name and a function that reads its figures."""
