"""What rewriters of queries gain or lose, for each kind of query.

    python -m benchmarks.rewriting
    python -m benchmarks.rewriting --checkpoint Qwen/Qwen3-VL-2B-Instruct    # `model`, too

Queries are captions of drawn scenes, each with an object in a colour that the built-in model never
saw it in: bare nouns, terse ones of one to four words, phrases about a part of a scene, and full
descriptions, in English and Chinese. The model searches among all scenes, once for the query alone
and once for it with the rewriter's phrasings, fused as a search does. A picture is right if all
that the query says is true of it.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks._machine import cores, describe
from benchmarks._tables import RESULTS, Cell, Table, progress, save
from mcp_vlsearch.contracts import Encoder, Query, QueryRewriter
from mcp_vlsearch.core.fuse import fuse
from mcp_vlsearch.core.phrasings import phrasings
from mcp_vlsearch.errors import RewriterError
from mcp_vlsearch.plugins import resolve
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.storybook.captions import Detail, Fact, Language, caption, facts_of
from mcp_vlsearch.storybook.drawing import draw
from mcp_vlsearch.storybook.scene import Scene, sample_scene
from mcp_vlsearch.storybook.vocabulary import OBJECTS

SEED: Final = 2026
LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")
DETAILS: Final[tuple[Detail, ...]] = ("terse", "phrase", "full")
COLUMNS: Final = {
    "queries": "",
    "count": "d",
    "rewritten": "d",
    "first, off": ".3f",
    "first, on": ".3f",
    "first, gain": "+.3f",
    "mrr, off": ".3f",
    "mrr, on": ".3f",
    "mrr, gain": "+.3f",
    "better": "d",
    "worse": "d",
}

Vectors = NDArray[np.float32]


class Asked(NamedTuple):
    """A query, and what must be true of a picture that it asks for."""

    text: str
    facts: frozenset[Fact]


@dataclass(frozen=True)
class Gallery:
    """What is searched: a unit vector per scene, shape (n, dim), and what each scene shows."""

    encoder: Encoder
    pictures: Vectors
    facts: Sequence[frozenset[Fact]]

    def places(self, asked: Asked, texts: Sequence[str]) -> int:
        """Return at which place, from 1, the first right picture comes for some phrasings."""
        query = fuse(self.encoder.encode_queries([Query(text) for text in texts]))
        scores = self.pictures @ query
        right = np.array([asked.facts <= facts for facts in self.facts])
        return 1 + int(np.count_nonzero(scores > scores[right].max()))


def scenes_of(count: int) -> list[Scene]:
    """Return scenes that no training and no gallery has."""
    rng = random.Random(f"storybook rewriting {SEED}")
    return [sample_scene(rng, "held-out") for _ in range(count)]


def queries_of(scenes: Sequence[Scene], language: Language) -> Iterator[tuple[str, list[Asked]]]:
    """Yield the queries of each kind, one per scene; nouns once for each that is in a scene."""
    shown = dict.fromkeys(item.kind for scene in scenes for item in scene.items)
    nouns = {kind: OBJECTS[kind] for kind in shown if kind in OBJECTS}
    yield (
        "noun",
        [
            Asked(noun.one if language == "en" else noun.zh, frozenset({("is", kind)}))
            for kind, noun in nouns.items()
        ],
    )
    for detail in DETAILS:
        rng = random.Random(f"storybook rewriting {SEED} {language} {detail}")
        said = [caption(scene, rng, language, detail) for scene in scenes]
        yield detail, [Asked(c.text, c.facts) for c in said]


def rewritten(rewriter: QueryRewriter, query: str) -> list[str]:
    """Return a rewriter's phrasings; none where it fails, as in a search."""
    try:
        return rewriter.rewrite(query)
    except RewriterError as error:
        progress(str(error))
        return []


def measure(gallery: Gallery, rewriter: QueryRewriter, asked: Sequence[Asked]) -> list[Cell]:
    """Search by each query, without and with its phrasings; return the figures of a row."""
    texts = [phrasings(query.text, (), rewritten(rewriter, query.text)) for query in asked]
    off = np.array([gallery.places(query, [query.text]) for query in asked])
    on = np.array([gallery.places(q, t) for q, t in zip(asked, texts, strict=True)])
    first = float(np.mean(off == 1)), float(np.mean(on == 1))
    mrr = float(np.mean(1 / off)), float(np.mean(1 / on))
    return [
        len(asked),
        sum(len(t) > 1 for t in texts),
        *(*first, first[1] - first[0]),
        *(*mrr, mrr[1] - mrr[0]),
        int(np.count_nonzero(on < off)),
        int(np.count_nonzero(on > off)),
    ]


def settings_for(**given: object) -> Settings:
    """Return settings of a process that has no library."""
    return Settings.model_validate({"library": Path("unused"), "device": "cpu", **given})


def drawn(scenes: Sequence[Scene]) -> Gallery:
    """Draw scenes and let the built-in model look at them."""
    encoder: Encoder = resolve("encoders", "qwen3-vl")(
        settings_for(model="storybook", precision="fp32")
    )
    encoder.load()
    pictures = []
    for start in range(0, len(scenes), 64):
        pictures.append(encoder.encode_images([draw(s) for s in scenes[start : start + 64]]))
        progress(f"{start} of {len(scenes)} scenes drawn")
    return Gallery(encoder, np.concatenate(pictures), [facts_of(scene) for scene in scenes])


def rewriters(options: argparse.Namespace) -> dict[str, QueryRewriter]:
    """Return what is measured, by the title of its table."""
    found: dict[str, QueryRewriter] = {"template": resolve("rewriters", "template")(settings_for())}
    if options.checkpoint:
        given = {"rewrite_model": options.checkpoint, "rewrite_seconds": options.seconds}
        found[f"model, {Path(options.checkpoint).name}"] = resolve("rewriters", "model")(
            settings_for(**given, device=options.device)
        )
    return found


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scenes", type=int, default=1000, help="pictures, and queries of a kind")
    parser.add_argument("--checkpoint", help="for the rewriter `model`; without, it is left out")
    parser.add_argument("--seconds", type=float, default=60, help="that it may take for a query")
    parser.add_argument("--device", default="auto", help="where it runs")
    parser.add_argument("--out", type=Path, default=RESULTS / "rewriting.json")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> None:
    """Measure every rewriter, print the tables and write them."""
    options = arguments(given)
    scenes = scenes_of(options.scenes)
    gallery = drawn(scenes)
    tables = []
    for title, rewriter in rewriters(options).items():
        rows: list[list[Cell]] = []
        for language in LANGUAGES:
            for kind, asked in queries_of(scenes, language):
                progress(f"{title}: {language}, {kind}")
                rows.append([f"{language}, {kind}", *measure(gallery, rewriter, asked)])
        tables.append(Table(title, COLUMNS, rows))
    save(options.out, tables, describe("cpu", cores()), vars(options))


if __name__ == "__main__":
    main()
