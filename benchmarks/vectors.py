"""How the vectors of the search benchmarks are spread, beside those of a real model.

    python -m benchmarks.vectors

The built-in model encodes scenes and their captions, which takes a minute. The constants of
``_vectors.py`` were chosen so that both columns are alike.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from transformers.utils import logging

from benchmarks._machine import cores, describe
from benchmarks._tables import RESULTS, Cell, Table, progress, save
from benchmarks._vectors import Vectors, World
from mcp_vlsearch.contracts import Query
from mcp_vlsearch.encoders.qwen3_vl import Qwen3VLEncoder
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.storybook import caption, sample_scene
from mcp_vlsearch.storybook.drawing import draw

BATCH: Final = 256
RANKS: Final = (1, 4, 16, 64)


def storybook(count: int, seed: int = 0) -> tuple[Vectors, Vectors]:
    """Return the model's vectors of scenes and of their full captions, each (count, dim)."""
    logging.disable_progress_bar()
    encoder = Qwen3VLEncoder(Settings(library=Path(), model="storybook", device="cpu"))
    encoder.load()
    rng = random.Random(seed)
    pictures, texts = [], []
    for first in range(0, count, BATCH):
        scenes = [sample_scene(rng) for _ in range(min(BATCH, count - first))]
        captions = [caption(scene, rng, "en", "full").text for scene in scenes]
        pictures.append(encoder.encode_images([draw(scene) for scene in scenes]))
        texts.append(encoder.encode_queries([Query(text) for text in captions]))
        progress(f"{first + len(scenes)} of {count} scenes")
    return np.concatenate(pictures), np.concatenate(texts)


def spread(pictures: Vectors, texts: Vectors) -> dict[str, float]:
    """Return what describes how pictures lie, and queries among them; each text has its picture.

    ``variance up to n`` is the share of the n strongest directions.
    """
    mean, text_mean = pictures.mean(0), texts.mean(0)
    variances = np.linalg.eigvalsh(np.cov(pictures.T))[::-1]
    found = {"length of the mean": float(np.linalg.norm(mean))}
    for rank in RANKS:
        found[f"variance up to {rank}"] = float(variances[:rank].sum() / variances.sum())
    found |= _quantiles("pair", pictures, pictures[::-1])
    found |= _quantiles("neighbour", pictures, pictures[_nearest(pictures, pictures)])
    found |= {
        "length of the texts' mean": float(np.linalg.norm(text_mean)),
        "cosine of the means": float(_cosines(mean, text_mean)),
    }
    found |= _quantiles("text to best", texts, pictures[_nearest(texts, pictures)])
    return found


def _quantiles(name: str, left: Vectors, right: Vectors) -> dict[str, float]:
    cosines = np.quantile(_cosines(left, right), (0.1, 0.5, 0.9))
    return {f"{name}, {p} %": float(c) for p, c in zip((10, 50, 90), cosines, strict=True)}


def _cosines(left: Vectors, right: Vectors) -> Vectors:
    lengths = np.linalg.norm(left, axis=-1) * np.linalg.norm(right, axis=-1)
    cosines: Vectors = (left * right).sum(-1) / lengths
    return cosines


def _nearest(queries: Vectors, pictures: Vectors) -> NDArray[np.int64]:
    """Return the nearest picture of each query but its own: a library need not have that."""
    scores = queries @ pictures.T
    np.fill_diagonal(scores, -np.inf)
    nearest: NDArray[np.int64] = scores.argmax(1)
    return nearest


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=4000, help="scenes")
    parser.add_argument("--out", type=Path, default=RESULTS / "vectors.json")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> None:
    """Print both spreads and write them."""
    options = arguments(given)
    machine = describe("cpu", cores())
    real = storybook(options.count)
    columns = {"storybook": spread(*real)}
    for dim in (real[0].shape[1], 512):
        world = World(dim)
        made = world.pictures(options.count), world.queries(options.count, "text")
        columns[f"made, {dim}"] = spread(*made)
    rows: list[list[Cell]] = [
        [name, *(column[name] for column in columns.values())] for name in columns["storybook"]
    ]
    headings = {"figure": "", **dict.fromkeys(columns, ".3f")}
    save(options.out, [Table(f"{options.count} pictures", headings, rows)], machine, vars(options))


if __name__ == "__main__":
    main()
