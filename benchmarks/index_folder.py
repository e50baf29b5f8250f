"""From files to vectors: the popular loop, padded batches, and ours, which also keeps a library.

    python -m benchmarks.index_folder

The model is the built-in storybook. One folder has files of ordinary size, the other JPEGs of a
camera's 12 megapixels; both are made first. Models are loaded before the time counts.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
import torch
from PIL import Image
from transformers.utils import logging

from benchmarks._checkpoints import DTYPES, checkpoint
from benchmarks._columns import Column, Way, rounds, seconds_of, spawned
from benchmarks._machine import cores, describe
from benchmarks._peers import Transformers, Vectors
from benchmarks._pictures import camera, gallery
from benchmarks._tables import RESULTS, Cell, Table, progress, save
from mcp_vlsearch.core.decode import decode
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.encoders.qwen3_vl import Qwen3VLEncoder
from mcp_vlsearch.settings import Settings

LOOP: Final = "one at a time"
PADDED: Final = "padded batches"
OURS: Final = "ours"
AUTO: Final = "ours, precision auto"
WAYS: Final = (LOOP, PADDED, OURS, AUTO)
Folders = Mapping[str, list[Path]]


class Task(NamedTuple):
    """Encode a folder's files, only read and decode them, or give their vectors."""

    folder: str
    kind: Literal["encode", "decode", "vectors"]

    def __str__(self) -> str:
        return f"{self.kind} {self.folder}"


def make(way: str, folders: Folders, options: argparse.Namespace) -> Way:
    """Return what does a :class:`Task` one way; runs in the process that is measured."""
    logging.disable_progress_bar()
    torch.set_num_threads(options.threads)
    if way in (OURS, AUTO):
        return Ours(folders, options.device, "auto" if way == AUTO else options.precision)
    return Peer(folders, options, 1 if way == LOOP else options.batch)


class Peer:
    """Opens ``batch`` files at a time with Pillow and gives them to transformers."""

    def __init__(self, folders: Folders, options: argparse.Namespace, batch: int) -> None:
        folder = checkpoint("storybook", 0, options.precision, options.device, Path())
        self._folders = folders
        self._batch = batch
        self._encode = Transformers(folder, options.device, DTYPES[options.precision], batch)

    def __call__(self, task: Task) -> Callable[[], object]:
        """Return the work of a task."""
        work = self._decoded if task.kind == "decode" else self._encoded
        return partial(work, self._folders[task.folder])

    def _encoded(self, paths: Sequence[Path]) -> Vectors:
        starts = range(0, len(paths), self._batch)
        batches = ([_opened(path) for path in paths[i : i + self._batch]] for i in starts)
        return np.concatenate([self._encode(batch) for batch in batches])

    def _decoded(self, paths: Sequence[Path]) -> int:
        return sum(_opened(path).width for path in paths)


class Ours:
    """Indexes a folder into a new library each time, with one encoder that is loaded."""

    def __init__(self, folders: Folders, device: str, precision: str) -> None:
        given = {"model": "storybook", "device": device, "precision": precision}
        self._settings = Settings.model_validate({"library": Path(), **given})
        self._folders = folders
        self._encoder = Qwen3VLEncoder(self._settings)
        self._encoder.load()

    def __call__(self, task: Task) -> Callable[[], object]:
        """Return the work of a task."""
        paths = self._folders[task.folder]
        if task.kind == "decode":
            return partial(self._decoded, paths)
        return partial(self._indexed, paths, vectors=task.kind == "vectors")

    def _indexed(self, paths: Sequence[Path], *, vectors: bool) -> Vectors | None:
        with (
            tempfile.TemporaryDirectory() as folder,
            Library(
                self._settings.model_copy(update={"library": Path(folder)}),
                lambda _: self._encoder,
            ) as library,
        ):
            library.allow([paths[0].parent])
            report = library.index()
            if report.encoded != len(paths):
                raise RuntimeError(f"{report.encoded} of {len(paths)} files were encoded")
            found = library.image_vectors(paths) if vectors else {}
        return np.stack([found[path][1] for path in paths]) if vectors else None

    def _decoded(self, paths: Sequence[Path]) -> int:
        with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:  # as many as the library has
            return sum(pool.map(self._width, paths))

    def _width(self, path: Path) -> int:
        return decode(path.read_bytes(), self._encoder.target_size).image.width


def _opened(path: Path) -> Image.Image:
    return Image.open(path).convert("RGB")


def measure(columns: Mapping[str, Column], folders: Folders, runs: int, until: float) -> None:
    """Run all ways over all folders in turn."""
    for _ in rounds(runs, until):
        for name, column in columns.items():
            for folder, paths in folders.items():
                column.run(Task(folder, "encode"))
                column.run(Task(folder, "decode"))
                speed = len(paths) / column.seconds[Task(folder, "encode")][-1]
                progress(f"  {name}, {folder}: {speed:.2f} a second")


def table(
    columns: Mapping[str, Column], folder: str, files: int, vectors: Mapping[str, Vectors]
) -> Table:
    """Return what was measured over one folder."""
    headings = {
        "way": "",
        "pictures/s": ".2f",
        "ours": ".2f",
        "decoding alone": ".0%",
        "MiB": ".0f",
        "cosine": ".6f",
    }
    rows: list[list[Cell]] = []
    best = columns[OURS].median(Task(folder, "encode"))
    for name, column in columns.items():
        seconds = column.median(Task(folder, "encode"))
        decoding = column.median(Task(folder, "decode")) / seconds
        cosine = float(np.einsum("ij,ij->i", vectors[name], vectors[LOOP]).min())
        rows.append([name, files / seconds, seconds / best, decoding, column.memory(), cosine])
    return Table(f"{folder}: {files} files", headings, rows)


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=tuple(DTYPES), default="fp32")
    parser.add_argument("--gallery", type=int, default=96, help="files of ordinary size")
    parser.add_argument("--camera", type=int, default=24, help="files of 12 megapixels")
    parser.add_argument("--batch", type=int, default=16, help="pictures in a padded batch")
    parser.add_argument("--runs", type=int, default=5, help="rounds at most")
    parser.add_argument("--minutes", type=float, default=5, help="no round begins that ends later")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--out", type=Path, default=RESULTS / "index_folder.json")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None, start: Callable[[], Executor] = spawned) -> None:
    """Measure every way, print the tables and write them."""
    options = arguments(given)
    until = time.monotonic() + 60 * options.minutes
    machine = describe(options.device, options.threads)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        progress("making the pictures")
        folders = {
            "gallery": gallery(Path(name, "gallery"), options.gallery),
            "camera": camera(Path(name, "camera"), options.camera),
        }
        columns = {}
        for way in WAYS:
            columns[way] = Column(way, partial(make, way, folders, options), options.device, start)
            stack.callback(columns[way].close)
        for column in columns.values():
            column.ready()
        # warms up, too
        vectors = {
            (folder, way): column.run(Task(folder, "vectors"))
            for folder in folders
            for way, column in columns.items()
        }
        measure(columns, folders, options.runs, until)
        made = [
            table(columns, folder, len(paths), {way: vectors[folder, way] for way in WAYS})
            for folder, paths in folders.items()
        ]
    save(options.out, made, machine, vars(options), seconds=seconds_of(columns))


if __name__ == "__main__":
    main()
