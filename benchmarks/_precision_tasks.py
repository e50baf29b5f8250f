"""What one process does in one precision: encode, weigh itself, and search a captioned gallery."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal, NamedTuple

import torch
from PIL import Image
from transformers.utils import logging

from benchmarks._columns import Way
from benchmarks._cut import Cut, Vectors
from mcp_vlsearch.contracts import Encoder, Query
from mcp_vlsearch.core.evaluation import evaluate
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.encoders.qwen3_vl import Qwen3VLEncoder
from mcp_vlsearch.encoders.qwen3_vl.checkpoint import open_checkpoint
from mcp_vlsearch.encoders.qwen3_vl.loading import load_model
from mcp_vlsearch.settings import Settings

__all__ = ["FIELDS", "PARTS", "Recall", "Task", "Work", "make"]

PARTS: Final = (1, 2, 4, 8, 16)
"""What the full dimension is divided by."""
FIELDS: Final = ("caption", "caption_zh")

Task = Literal["images", "queries", "vectors", "weights", "recall"]


class Recall(NamedTuple):
    """Shares of full captions whose picture comes first, or among the first five."""

    english_1: float
    english_5: float
    chinese_1: float
    chinese_5: float


@dataclass(frozen=True)
class Work:
    """A checkpoint, and what is encoded with it, the first ``timed`` of each against the clock.

    ``captions`` names a gallery to search.
    """

    folder: Path
    pictures: Sequence[Image.Image]
    texts: Sequence[str]
    timed: int
    captions: Path


def make(work: Work, precision: str, options: argparse.Namespace) -> Way:
    """Return what does a :class:`Task`; runs in the process that is measured."""
    logging.disable_progress_bar()
    torch.set_num_threads(options.threads)
    given = {"library": Path(), "model": str(work.folder), "device": options.device}
    settings = Settings.model_validate({**given, "precision": precision})
    encoder = Qwen3VLEncoder(settings)
    encoder.load()
    queries = [Query(text) for text in work.texts]
    pictures, searches = work.pictures[: work.timed], queries[: work.timed]
    tasks: dict[Task, Callable[[], object]] = {
        "images": lambda: len(encoder.encode_images(pictures)),
        "queries": lambda: sum(len(encoder.encode_queries([query])) for query in searches),
        "vectors": lambda: (encoder.encode_images(work.pictures), encoder.encode_queries(queries)),
        "weights": partial(weight_bytes, settings),
        "recall": partial(recalls, encoder, settings, work.captions),
    }
    return tasks.__getitem__


def weight_bytes(settings: Settings) -> int:
    """Return the bytes of all weights, with the scales that quantised ones have."""
    model = load_model(open_checkpoint(settings.model), settings.device, settings.precision)
    state = model.state_dict().values()
    return sum(value.nbytes for value in state if isinstance(value, torch.Tensor))


def recalls(encoder: Qwen3VLEncoder, settings: Settings, captions: Path) -> list[Recall]:
    """Return what the library finds at each of :data:`PARTS` of the dimension.

    Each has a library of its own; pictures and texts are encoded once for all.
    """
    known: dict[Hashable, Vectors] = {}
    cuts = [Cut(encoder, encoder.dim // part, known) for part in PARTS]
    return [recall(shorter, settings, captions) for shorter in cuts]


def recall(encoder: Encoder, settings: Settings, captions: Path) -> Recall:
    """Index a gallery into a new library and search for each picture by its captions."""
    with tempfile.TemporaryDirectory() as folder:
        there = settings.model_copy(update={"library": Path(folder)})
        with Library(there, lambda _: encoder) as library:
            library.allow([captions.parent])
            library.index()
            english, chinese = (evaluate(library, captions, name) for name in FIELDS)
    return Recall(
        english.recall_at_1, english.recall_at_5, chinese.recall_at_1, chinese.recall_at_5
    )
