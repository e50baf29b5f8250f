"""Which tables of the documentation show measured figures, and where these were kept.

A cell is held to its result with the decimals that it shows; an empty one claims nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

Place = Mapping[str, str]
"""Where a figure is kept: `result` (a JSON file), `table` (a title), `row` (its first cell).

Where one result calls a row otherwise, the row's name is a key with that name.
"""


@dataclass(frozen=True)
class Column:
    """What cells of a column show: text with `{name of a result's column}`; or else the second."""

    shows: str
    place: Place = field(default_factory=dict)
    otherwise: str = ""


@dataclass(frozen=True)
class Measured:
    """A table under a heading of a page; rows are told by their first cell, without emphasis.

    The first cell of the head tells the table, too. ``place`` goes for all its cells, that of a
    row for the row's, that of a column for the column's. Of several rows of the result with one
    first cell, ``only`` tells which.
    """

    page: str
    heading: str
    head: str
    rows: Mapping[str, Place]
    columns: Sequence[Column]
    place: Place
    only: Mapping[str, str] = field(default_factory=dict)


def row(name: str) -> Place:
    return {"row": name}


def columns(*shown: str) -> list[Column]:
    return [Column(text) for text in shown]


_JUDGED: Final = columns("{any strong}", "{any likely}", "{strong}", "{likely or strong}")
_SIZES: Final = {"50": row("50"), "500": row("500"), "5,000": row("5000")}
_FINDS: Final = "{recall@10}, {of texts}"


MEASURED: Final = (
    Measured(
        "docs/search.md",
        "When it helps",
        "Queries",
        {
            f"{language}, {queries}": row(f"{short}, {kind}")
            for language, short in (("English", "en"), ("Chinese", "zh"))
            for queries, kind in (
                ("bare noun", "noun"),
                ("terse", "terse"),
                ("phrase", "phrase"),
                ("full caption", "full"),
            )
        },
        columns(
            "{rewritten} of {count}",
            *("{first, off}", "{first, on}", "{first, gain}"),
            *("{mrr, off}", "{mrr, on}", "{mrr, gain}"),
            *("{better}", "{worse}"),
        ),
        {"result": "benchmarks/results/rewriting", "table": "template"},
    ),
    Measured(
        "docs/search.md",
        "Several phrasings",
        "English, the scene comes",
        {
            "the first phrase alone": row("the first alone"),
            "mean": row("mean"),
            "mean, the first twice": row("mean, the first twice"),
            "reciprocal ranks": row("ranks fused"),
            "best of each, standardised": row("best of each, standardised"),
        },
        columns("{en @1}", "{en @10}", "{en, one wrong @1}", "{en, one wrong @10}"),
        {"result": "benchmarks/results/composed", "table": "Several phrasings"},
    ),
    Measured(
        "docs/search.md",
        "Composed queries",
        "English",
        {
            "text alone": row("text alone"),
            "picture alone": row("picture alone"),
            "mean of both": row("mean of both"),
            'picture + text − "a picture"': row('picture + text - "a picture"'),
            "reciprocal ranks": row("ranks fused"),
            "product, standardised": row("product, standardised"),
            "encoded together": row("encoded together"),
        },
        columns(
            *("{colour @1}", "{setting @1}", "{position @1}"),
            *("{all @1}", "{all @5}", "{@1, given kept}"),
        ),
        {"result": "benchmarks/results/composed", "table": "Composed queries, English"},
    ),
    Measured(
        "docs/search.md",
        "Excluding",
        "",
        {
            "without exclude": row("nothing excluded"),
            "subtracted by half": row("subtracted by half"),
            "projected out": row("projected out"),
            "ordered with a penalty": row("penalty by deviations"),
            "left out": row("left out"),
        },
        columns(
            *("{object shown}", "{object wanted}"),
            *("{setting shown}", "{setting wanted}"),
            *("{colour shown}", "{colour wanted}"),
        ),
        {"result": "benchmarks/results/composed", "table": "Excluding, English"},
    ),
    Measured(
        "docs/search.md",
        "Relevance",
        "pictures",
        _SIZES,
        _JUDGED,
        {"result": "benchmarks/results/relevance", "table": "Storybook"},
        {"query": "all"},
    ),
    Measured(
        "docs/search.md",
        "Relevance",
        "pictures, composed queries",
        _SIZES,
        _JUDGED,
        {"result": "benchmarks/results/relevance", "table": "Storybook, composed"},
        {"query": "all"},
    ),
    Measured(
        "docs/operating.md",
        "Under load",
        "",
        {
            "one at a time": row("one at a time, idle"),
            "all at the same moment": row("all at once, idle"),
            "the same, while pictures are indexed": row("all at once, indexing"),
        },
        columns("{lost}", "{p50, ms}", "{p99, ms}", "{searches/s}"),
        {"result": "benchmarks/results/load", "table": "500 searches by text over HTTP"},
    ),
    Measured(
        "docs/scale.md",
        "Index kinds",
        "images × dimensions",
        {
            **{
                f"{rows} × {dims}": {"table": f"{rows} vectors of {dims} dimensions"}
                for dims in (512, 1024)
                for rows in ("10,000", "100,000", "250,000")
                if (rows, dims) != ("10,000", 1024)
            },
            "1,000,000 × 512": {
                "result": "benchmarks/results/index_kinds",
                "table": "1,000,000 vectors of 512 dimensions",
                "rabitq": "auto",
            },
        },
        [
            Column("{p50, ms}", row("Flat")),
            Column("{p50, ms}", row("exact")),
            Column("{p50, ms}", row("rabitq")),
            Column(_FINDS, row("rabitq")),
            Column("{p50, ms}", row("ivf")),
            Column(_FINDS, row("ivf")),
        ],
        {"result": "benchmarks/results/index_kinds_small"},
    ),
    Measured(
        "docs/scale.md",
        "Beside other engines",
        "",
        {
            "ours": row("ours"),
            "FAISS, the kind that ours has": row("FAISS, same kind"),
            "FAISS Flat": row("FAISS Flat"),
            "USearch (HNSW, f16)": row("USearch"),
            "Chroma (HNSW)": row("Chroma"),
            "LanceDB (IVF_PQ)": row("LanceDB"),
            "Qdrant, local mode": row("Qdrant local"),
            "Milvus Lite (HNSW)": row("Milvus Lite"),
        },
        [
            Column(shown, {"result": result, "table": table}, otherwise)
            for result, of in (
                ("benchmarks/results/search", "100000 × 512"),
                ("benchmarks/results/search_1m", "1000000 × 512"),
            )
            for shown, table, otherwise in (
                ("{p50, ms}", of, "{kind}"),
                (_FINDS, of, ""),
                ("{p50, ms}", f"{of}, 1 % filter", ""),
            )
        ],
        {},
    ),
    Measured(
        "docs/conformance.md",
        "Conformance",
        "protocol",
        {version: row(version) for version in ("2025-11-25", "2026-07-28")},
        columns("{passed} of {scenarios}", "{checks passed}", "{checks kept}"),
        {"result": "tests/conformance/results", "table": "Suite"},
    ),
    Measured(
        "training/README.md",
        "What it reaches",
        "",
        {
            **{
                f"{pairs} pairs, {language}, {kind}": row(f"{pairs} pairs, {language}, {kind}")
                for pairs in ("training", "held-out")
                for language in ("en", "zh")
                for kind in ("full", "phrase", "terse")
            },
            **{
                f"{queries}, {language}": row(f"{queries}, {language}")
                for queries in ("bare nouns", "composed")
                for language in ("en", "zh")
            },
        },
        [
            Column("{recall@1}", otherwise="{first hit right} (first hit right)"),
            *columns("{recall@5}", "{mrr}"),
        ],
        {"result": "training/results/figures"},
    ),
)
PRINTED: Final = {
    "docs/performance.md": ("", 15),
    "docs/quick-start.md": ("", 10),
    "docs/models.md": ("<!-- precision table -->", 35),
}
"""Pages whose tables, from a text on, are as a benchmark printed them, and their least rows."""

CALCULATED: Final = {
    ("docs/scale.md", "What vectors take"),
    ("docs/scale.md", "What encoding takes"),
}
"""Tables that come of formulas beside them."""
