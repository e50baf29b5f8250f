"""Memory, speed and quality of every precision and dimension.

    python -m benchmarks.precision
    python -m benchmarks.precision --device cuda
    python -m benchmarks.precision --docs docs/models.md

Each precision runs in a process of its own, all of them in turn. Retrieval is measured with the
built-in storybook on scenes that it never saw, through the library and its evaluation; how near
vectors are to those of fp32, at the widths of Qwen3-VL-Embedding-2B, with random weights in 16
bits. With ``--docs`` the tables go into a page, too.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final, get_args

from PIL import Image

from benchmarks._checkpoints import LAYERS_2B, SIZES, checkpoint
from benchmarks._columns import Column, rounds, seconds_of, spawned
from benchmarks._machine import cores, describe
from benchmarks._pictures import in_memory
from benchmarks._precision_report import Measured, put_between_marks, tables
from benchmarks._precision_tasks import FIELDS, Task, Work, make
from benchmarks._tables import RESULTS, progress, save
from mcp_vlsearch.errors import VLSearchError
from mcp_vlsearch.settings import Precision
from mcp_vlsearch.storybook import draw_gallery

PRECISIONS: Final = tuple(name for name in get_args(Precision) if name != "auto")
SEED: Final = 2024
SMALL: Final = "storybook"
WIDE: Final = "2b"
SMALL_ONES: Final = 64
"""Scenes and texts that the small model is timed with."""


def work_of(size: str, folder: Path, captions: Path, options: argparse.Namespace) -> Work:
    """Return what a model of this size encodes: scenes, or pictures of the 2B's usual size."""
    lines = [json.loads(line) for line in captions.read_text("utf-8").splitlines()]
    texts = [line[name] for line in lines for name in FIELDS]
    # the checkpoints that people have are in 16 bits, so fp32 has the same numbers
    model = checkpoint(size, options.layers, "bf16", options.device, folder)
    if size == WIDE:
        pictures = in_memory(options.pictures, SIZES[size].side, mixed=True)
        return Work(model, pictures, texts[: options.pictures], options.timed, captions)
    files = [captions.parent / line["image"] for line in lines[:SMALL_ONES]]
    pictures = [Image.open(file).convert("RGB") for file in files]
    return Work(model, pictures, texts[:SMALL_ONES], SMALL_ONES, captions)


def begin(
    work: Work,
    options: argparse.Namespace,
    found: Measured,
    start: Callable[[], Executor],
    stack: ExitStack,
) -> dict[str, Column]:
    """Return a column for each precision that can be had here; the others' reasons go to found."""
    columns = {}
    for name in options.precisions:
        columns[name] = Column(name, partial(make, work, name, options), options.device, start)
        stack.callback(columns[name].close)
    for name, column in list(columns.items()):
        try:
            column.ready()
            found.vectors[name] = column.run("vectors")  # warms up, too
        except (VLSearchError, RuntimeError) as error:  # refused here, or unknown to this torch
            progress(f"{name}: {error}")
            found.absent[name] = str(error).splitlines()[0]
            del columns[name]
    return columns


def measure(
    title: str, work: Work, options: argparse.Namespace, start: Callable[[], Executor]
) -> Measured:
    """Run all precisions in turn, round after round, then what needs no clock."""
    found = Measured(title)
    until = time.monotonic() + 60 * options.minutes
    with ExitStack() as stack:
        columns = begin(work, options, found, start, stack)
        for _ in rounds(options.runs, until):
            for name, column in columns.items():
                column.run("images")
                column.run("queries")
                progress(f"  {name}: {_speed(column, 'images', work):.2f} images a second")
        found.seconds = seconds_of(columns)
        for name, column in columns.items():
            found.images[name] = _speed(column, "images", work)
            found.queries[name] = _speed(column, "queries", work)
            found.memory[name] = column.memory()
            found.weights[name] = column.run("weights")
            if title == SMALL:
                progress(f"{name}: searching the gallery at every dimension")
                found.recalls[name] = column.run("recall")
    return found


def _speed(column: Column, task: Task, work: Work) -> float:
    items: Sequence[object] = work.pictures if task == "images" else work.texts
    return len(items[: work.timed]) / float(column.median(task))


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--layers", type=int, help="of the 2B: 4 on a CPU, on a GPU all")
    parser.add_argument("--gallery", type=int, default=300, help="scenes to search among")
    parser.add_argument(
        "--pictures", type=int, default=12, help="pictures, and texts, at the 2B's widths"
    )
    parser.add_argument("--timed", type=int, default=8, help="how many of these are timed")
    parser.add_argument("--runs", type=int, default=3, help="rounds at most")
    parser.add_argument("--minutes", type=float, default=2.5, help="for the rounds of each model")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--out", type=Path, default=RESULTS / "precision.json")
    parser.add_argument("--docs", type=Path, help="a page with a marked place for the tables")
    options = parser.parse_args(given)
    options.layers = options.layers or (LAYERS_2B if options.device == "cuda" else 4)
    return options


def main(given: Sequence[str] | None = None, start: Callable[[], Executor] = spawned) -> None:
    """Measure both models, print the tables and write them."""
    options = arguments(given)
    found = {}
    with tempfile.TemporaryDirectory() as name:
        progress(f"drawing {options.gallery} scenes")
        captions = draw_gallery(Path(name, "gallery"), options.gallery, SEED, workers=cores())
        for size, title in ((SMALL, SMALL), (WIDE, _title(options.layers))):
            progress(title)
            folder = Path(name, size)
            found[size] = measure(title, work_of(size, folder, captions, options), options, start)
    made = tables(options.precisions, found[SMALL], found[WIDE])
    machine = describe(options.device, options.threads)
    seconds = {size: model.seconds for size, model in found.items()}
    save(options.out, made, machine, vars(options), seconds=seconds)
    if options.docs:
        text = "\n".join([_where(machine, options), "", *(table.markdown() for table in made)])
        put_between_marks(options.docs, text)


def _title(layers: int) -> str:
    of = "" if layers >= LAYERS_2B else f", {layers} of its {LAYERS_2B} text layers"
    return f"the 2B's widths{of}"


def _where(machine: Mapping[str, object], options: argparse.Namespace) -> str:
    on = machine.get("gpu") or f"{machine['cpu']}, {options.threads} threads"
    packages = ", ".join(f"{name} {machine[name]}" for name in ("torch", "transformers"))
    return f"On {on}, with {packages}; {options.gallery} scenes."


if __name__ == "__main__":
    main()
