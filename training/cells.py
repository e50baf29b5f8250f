"""What is where in a picture, cell by cell: a cell is the square that one image token stands for.

Told to the vision tower alone, this teaches it shapes and letters much sooner than captions do,
which say what a picture holds and leave the model to find out where.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray

from mcp_vlsearch.storybook.drawing import Box, where
from mcp_vlsearch.storybook.scene import Item, Scene
from mcp_vlsearch.storybook.vocabulary import COLOURS, OBJECTS, SIGN_WORDS
from training.checkpoint import MERGE, PATCH

CELL: Final = PATCH * MERGE
"""Side of a cell, in pixels."""

NOTHING: Final = -100
"""The label that cross-entropy leaves out."""

KINDS: Final = ("", *OBJECTS, "sign")
_ENOUGH: Final = 0.12
"""An object is told of a cell that it covers this much of, or that holds a third of it."""


@dataclass(frozen=True)
class Cells:
    """Labels of every cell of a batch, in the order of its image tokens: three of shape (n,)."""

    kinds: torch.Tensor
    colours: torch.Tensor
    words: torch.Tensor


def cells(scenes: Sequence[Scene], width: int, height: int) -> Cells:
    """Label the cells of pictures of one size; ``width`` and ``height`` are in pixels."""
    labels = np.stack([_labels(scene, width // CELL, height // CELL) for scene in scenes])
    kinds, colours, words = torch.from_numpy(labels).permute(3, 0, 1, 2).flatten(1)
    return Cells(kinds, colours, words)


def _labels(scene: Scene, columns: int, rows: int) -> NDArray[np.int64]:
    """Return kind, colour and word of each cell, shape (rows, columns, 3)."""
    labels = np.full((rows, columns, 3), NOTHING)
    labels[..., 0] = 0
    most = np.full((rows, columns), _ENOUGH)
    for item, box in _copies(scene, columns, rows):
        left, top, width, height = box
        across = _overlap(left, width, columns)
        covered = _overlap(top, height, rows)[:, None] * across
        covered = np.maximum(covered, np.where(covered > width * height / 3, _ENOUGH, 0))
        here = covered >= most
        most[here] = covered[here]
        labels[here] = _label(item)
    return labels


def _copies(scene: Scene, columns: int, rows: int) -> Iterator[tuple[Item, Box]]:
    """Yield every copy of every item with its box, in cells."""
    for item, boxes in where(scene):
        for left, top, width, height in boxes:
            yield item, (left * columns, top * rows, width * columns, height * rows)


def _overlap(start: float, length: float, count: int) -> NDArray[np.float64]:
    """Return how much of each of ``count`` unit steps an interval covers."""
    edges = np.arange(count, dtype=float)
    end = np.minimum(edges + 1, start + length)
    covered: NDArray[np.float64] = np.clip(end - np.maximum(edges, start), 0, 1)
    return covered


def _label(item: Item) -> tuple[int, int, int]:
    word = SIGN_WORDS.index(item.word) if item.word else NOTHING
    return KINDS.index(item.kind), tuple(COLOURS).index(item.colour), word


class CellReader(torch.nn.Module):
    """Read the labels off the vision tower's output; thrown away after training."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.kinds = torch.nn.Linear(width, len(KINDS))
        self.colours = torch.nn.Linear(width, len(COLOURS))
        self.words = torch.nn.Linear(width, len(SIGN_WORDS))

    def forward(self, tokens: torch.Tensor, labels: Cells) -> torch.Tensor:
        """Return the loss of reading ``labels`` off image tokens (n, width)."""
        loss = _loss(self.kinds(tokens), labels.kinds)
        loss = loss + 0.3 * _loss(self.colours(tokens), labels.colours)
        return loss + 0.3 * _loss(self.words(tokens), labels.words)


def _loss(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy over labelled cells, or 0 where there are none."""
    labels = labels.to(scores.device)
    total = F.cross_entropy(scores, labels, ignore_index=NOTHING, reduction="sum")
    return total / max(int((labels != NOTHING).sum()), 1)
