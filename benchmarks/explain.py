"""How often a heat map's peak lies on the object that was asked for.

    python -m benchmarks.explain
    python -m benchmarks.explain --scenes 500 --seed 7

Storybook scenes with two or three kinds of things, each scene with a pair of object and colour that
no training saw; every single object is asked for by its colour and name ("a red bicycle"), in both
languages. The drawing tells where it is. The peak is that of the map as it is drawn.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks._explain_methods import METHODS, Heat, Method, make, text_tokens
from benchmarks._machine import describe
from benchmarks._tables import RESULTS, Cell, Table, progress, save
from mcp_vlsearch.contracts import Query
from mcp_vlsearch.core.heatmap import peak_of, spread
from mcp_vlsearch.encoders.qwen3_vl import Qwen3VLEncoder
from mcp_vlsearch.settings import load_settings
from mcp_vlsearch.storybook.drawing import Box, draw, where
from mcp_vlsearch.storybook.scene import Item, Scene, sample_scene
from mcp_vlsearch.storybook.vocabulary import COLOURS_ZH, OBJECTS

SEED: Final = 2031
AIM: Final = 0.8
GRID_2B: Final = 16
"""Cells along a side of a square picture at the 2B's usual budget of pixels."""


@dataclass(frozen=True)
class Case:
    """A query for one object of a scene; ``box`` is where that is, in shares of the sides."""

    text: str
    box: Box
    language: str


def cases_of(scene: Scene) -> Iterator[Case]:
    """Yield a query in each language for every object that the scene has one of."""
    for item, boxes in where(scene):
        if item.count == 1 and item.kind != "sign":
            yield Case(_english(item), boxes[0], "en")
            yield Case(f"{COLOURS_ZH[item.colour]}的{OBJECTS[item.kind].zh}", boxes[0], "zh")


def _english(item: Item) -> str:
    article = "an" if item.colour[0] in "aeiou" else "a"
    return f"{article} {item.colour} {OBJECTS[item.kind].one}"


def hits(heat: Heat, box: Box, size: tuple[int, int]) -> tuple[bool, float]:
    """Say whether the peak lies in the box, and how much of the heat does."""
    width, height = size
    across, down = peak_of(heat, width, height)
    left, top, wide, high = box[0] * width, box[1] * height, box[2] * width, box[3] * height
    is_in = left <= across + 0.5 <= left + wide and top <= down + 0.5 <= top + high
    hot = spread(heat, width, height)
    rows, columns = np.arange(height) + 0.5, np.arange(width) + 0.5
    inside = np.ix_(
        (rows >= top) & (rows <= top + high), (columns >= left) & (columns <= left + wide)
    )
    return is_in, float(hot[inside].sum() / (hot.sum() or 1))


def scenes_of(count: int, seed: int) -> list[Scene]:
    """Return scenes of several kinds of things, of which one has a held-out colour."""
    rng = random.Random(f"storybook explain {seed}")
    found: list[Scene] = []
    while len(found) < count:
        scene = sample_scene(rng, "held-out")
        if len(scene.items) > 1 and any(cases_of(scene)):
            found.append(scene)
    return found


def measure(
    scenes: Sequence[Scene], methods: dict[str, Method], encoder: Qwen3VLEncoder
) -> tuple[dict[str, NDArray[np.float64]], list[Case]]:
    """Return for each method a row per case: the peak's hit and the share of heat in the box."""
    rows: dict[str, list[tuple[bool, float]]] = {name: [] for name in methods}
    cases: list[Case] = []
    for number, scene in enumerate(scenes):
        image = draw(scene)
        asked = list(cases_of(scene))
        vectors = encoder.encode_queries([Query(case.text) for case in asked])
        for name, method in methods.items():
            mapped = method(image)
            for case, vector in zip(asked, vectors, strict=True):
                rows[name].append(hits(mapped(vector), case.box, image.size))
        cases += asked
        if number % 10 == 0:
            progress(f"{number} of {len(scenes)} scenes")
    return {name: np.array(found, float) for name, found in rows.items()}, cases


def table_of(found: dict[str, NDArray[np.float64]], cases: Sequence[Case]) -> Table:
    """Return a row for each method."""
    english = np.array([case.language == "en" for case in cases])
    area = float(np.mean([case.box[2] * case.box[3] for case in cases]))
    rows: list[list[Cell]] = []
    for name, values in found.items():
        tokens = text_tokens(name, GRID_2B, GRID_2B)
        own = GRID_2B**2
        rows.append(
            [
                name,
                float(values[:, 0].mean()),
                float(values[english, 0].mean()),
                float(values[~english, 0].mean()),
                float(values[:, 1].mean()),
                None if tokens is None else tokens / own,
            ]
        )
    columns = {
        "method": "",
        "peak on the object": ".3f",
        "English": ".3f",
        "Chinese": ".3f",
        "heat on the object": ".3f",
        "text tokens, pictures": ".1f",
    }
    notes = [
        f"{len(cases)} queries; the object takes {area:.3f} of the picture in the mean, which is "
        f"what a random peak would reach. The aim is {AIM}.",
        "Text tokens: what goes through the text layers for one map of a picture of "
        f"{GRID_2B} × {GRID_2B} cells, in multiples of its own tokens.",
    ]
    return Table("Peaks on the object that was asked for", columns, rows, notes)


def main(given: Sequence[str] | None = None) -> None:
    """Measure all methods, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--out", type=Path, default=RESULTS / "explain.json")
    options = parser.parse_args(given)
    settings = load_settings({"model": "storybook", "precision": "fp32", "device": "cpu"})
    encoder = Qwen3VLEncoder(settings)
    encoder.load()
    folder = Path(str(files("mcp_vlsearch.storybook").joinpath("checkpoint")))
    methods = {n: m for n, m in make(encoder, folder).items() if n in options.methods}
    found, cases = measure(scenes_of(options.scenes, options.seed), methods, encoder)
    save(options.out, [table_of(found, cases)], describe(), vars(options))


if __name__ == "__main__":
    main()
