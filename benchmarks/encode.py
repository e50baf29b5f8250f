"""Pictures per second and memory: the popular loop, Sentence Transformers, padded batches, ours.

    python -m benchmarks.encode --size storybook
    python -m benchmarks.encode --size 2b
    python -m benchmarks.encode --size 2b --device cuda

Every way runs in a process of its own and begins with PIL pictures in memory. benchmarks/README.md
says what the figures mean.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image
from transformers import Qwen3VLConfig
from transformers.utils import logging

from benchmarks._checkpoints import DTYPES, LAYERS_2B, SIZES, checkpoint
from benchmarks._columns import Column, Way, rounds, seconds_of, spawned
from benchmarks._encode_report import KINDS, LOOP, OURS, SENTENCE, WAYS, Found, Task, tables
from benchmarks._machine import cores, describe
from benchmarks._peers import Encode, SentenceTransformers, Transformers, Vectors
from benchmarks._pictures import in_memory
from benchmarks._rate import flops, matmul_rate
from benchmarks._stages import stage_seconds
from benchmarks._tables import RESULTS, progress, save
from mcp_vlsearch.encoders.qwen3_vl import Qwen3VLEncoder
from mcp_vlsearch.encoders.qwen3_vl.quantise import QUANTISED
from mcp_vlsearch.errors import MissingExtraError
from mcp_vlsearch.settings import Settings

BATCHES: Final = (1, 4, 16, 64)
"""Pictures in a call of ours, as far as there are more."""
PRECISIONS: Final = ("bf16", "int8", "nf4")
CELL: Final = 32
"""Side in pixels of what becomes one token."""


def load(way: str, precision: str, folder: Path, options: argparse.Namespace) -> Encode:
    """Return a way to encode, with its weights loaded."""
    device = options.device
    if way == OURS:
        given = {"model": str(folder), "device": device, "precision": precision}
        ours = Qwen3VLEncoder(Settings.model_validate({"library": folder, **given}))
        ours.load()
        return ours.encode_images
    peer = SentenceTransformers if way == SENTENCE else Transformers
    return peer(folder, device, DTYPES[precision], 1 if way == LOOP else options.batch)


def make(way: str, precision: str, folder: Path, options: argparse.Namespace) -> Way:
    """Return what does a :class:`Task` one way; runs in the process that is measured."""
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    torch.set_num_threads(options.threads)
    encode = load(way, precision, folder, options)
    side = SIZES[options.size].side
    encode(in_memory(2, side, mixed=True))  # the first call has more to do
    pictures = {
        "same": in_memory(options.images, side, mixed=False),
        "mixed": in_memory(options.images, side, mixed=True),
    }

    def do(task: Task) -> Callable[[], object]:
        images = pictures[task.kind]
        work = partial(in_batches, encode, images, task.batch or len(images))
        return partial(stage_seconds, work, options.device) if task.stages else work

    return do


def in_batches(encode: Encode, images: Sequence[Image.Image], batch: int) -> Vectors:
    """Encode so many pictures in each call."""
    return np.concatenate([encode(images[i : i + batch]) for i in range(0, len(images), batch)])


def begin(
    folder: Path, options: argparse.Namespace, start: Callable[[], Executor], stack: ExitStack
) -> tuple[dict[str, Column], dict[str, str]]:
    """Return the columns, ready, and why others are absent."""
    wanted = {name: (name, options.precision) for name in WAYS}
    wanted |= {f"{OURS} {p}": (OURS, p) for p in options.precisions if p != options.precision}
    columns, absent = {}, {}
    if find_spec("sentence_transformers") is None:
        absent[SENTENCE] = "not installed"
        del wanted[SENTENCE]
    for name, (way, precision) in wanted.items():
        making = partial(make, way, precision, folder, options)
        columns[name] = Column(name, making, options.device, start)
        stack.callback(columns[name].close)
    for name, column in columns.items():
        try:
            column.ready()
        except MissingExtraError:
            absent[name] = "not installed"
        except Exception as error:
            if name != SENTENCE:  # which depends on packages that nobody has pinned here
                raise
            reason = str(error).splitlines() or [type(error).__name__]
            absent[name] = f"does not load: {reason[0][:80]}"
    return {name: column for name, column in columns.items() if name not in absent}, absent


def measure(found: Found, config: Qwen3VLConfig, options: argparse.Namespace, until: float) -> None:
    """Run all columns in turn, round after round, and note what comes out."""
    columns = found.columns
    for number in rounds(options.runs, until):
        found.rates.append(matmul_rate(config, options.device, DTYPES[options.precision]))
        for name, column in columns.items():
            for kind in KINDS if name in WAYS else KINDS[:1]:
                found.vectors[name, kind] = column.run(Task(kind))
                speed = options.images / column.seconds[Task(kind)][-1]
                progress(f"  {number} {name}, {kind}: {speed:.2f} a second")
        for batch in options.batches:
            columns[OURS].run(Task("same", batch))
        for kind in KINDS:
            found.stages[kind].append(columns[OURS].run(Task(kind, stages=True)))
    found.memory = {name: column.memory() for name, column in columns.items()}


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; what is not given depends on size and device."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", choices=tuple(SIZES), default="storybook")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--layers", type=int, help="text and vision layers of the 2b")
    parser.add_argument("--precision", choices=tuple(DTYPES))
    parser.add_argument(
        "--precisions", nargs="*", choices=(*DTYPES, *QUANTISED), help="of ours, to compare"
    )
    parser.add_argument("--images", type=int, help="pictures of each kind")
    parser.add_argument("--batch", type=int, help="pictures in a batch of the peers")
    parser.add_argument("--runs", type=int, default=5, help="rounds at most")
    parser.add_argument("--minutes", type=float, default=5, help="no round begins that ends later")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--out", type=Path, help="a .json; a .md is written beside it")
    options = parser.parse_args(given)
    for name, value in defaults(options.size, options.device).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    options.batches = [batch for batch in BATCHES if batch < options.images]
    return options


def defaults(size: str, device: str) -> dict[str, object]:
    """Return what makes a run of a few minutes on two cores, or on one GPU."""
    large, gpu = size == "2b", device == "cuda"
    return {
        "layers": LAYERS_2B if gpu else 4,
        "precision": "bf16" if gpu else SIZES[size].precision,
        "precisions": PRECISIONS if large else (),
        "images": 128 if gpu else 14 if large else 64,
        "batch": 32 if gpu else 16,
        "out": RESULTS / f"encode-{size}-{device}.json",
    }


def main(given: Sequence[str] | None = None, start: Callable[[], Executor] = spawned) -> None:
    """Measure every way, print the tables and write them."""
    options = arguments(given)
    until = time.monotonic() + 60 * options.minutes
    machine = describe(options.device, options.threads)
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        progress("making the checkpoint")
        folder = checkpoint(
            options.size, options.layers, options.precision, options.device, Path(name)
        )
        config = Qwen3VLConfig.from_pretrained(folder)
        columns, absent = begin(folder, options, start, stack)
        tokens = (SIZES[options.size].side // CELL) ** 2
        found = Found(columns, absent, options.images, flops(config, tokens))
        measure(found, config, options, until)
    made = tables(found, options.precision, options.precisions)
    raw = {"seconds": seconds_of(columns), "rates": found.rates}
    save(options.out, made, machine, vars(options), **raw)


if __name__ == "__main__":
    main()
