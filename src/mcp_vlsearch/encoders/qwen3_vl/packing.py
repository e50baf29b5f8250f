"""Sequences of many lengths in one tensor: no padding, and attention in few large products.

Everything but attention looks at tokens one by one, so the tokens of all sequences lie end to end.
For attention, neighbours of one length are a ``Run``, which is a batch. Rows of zeros after the
last run belong to nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["Run", "extended", "rotate", "rotation", "rounded", "runs_of", "to_device"]

_STEP: Final = 16
_STEPS: Final = 16
"""From one power of two to the next."""


@dataclass(frozen=True)
class Run:
    """``count`` sequences of ``length`` tokens each, from token ``start`` on."""

    start: int
    count: int
    length: int

    @property
    def stop(self) -> int:
        """The token after the last."""
        return self.start + self.count * self.length

    def by_head(self, states: torch.Tensor) -> torch.Tensor:
        """Return the run's part of (tokens, heads, dim) as (count, heads, length, dim)."""
        part = states[self.start : self.stop]
        return part.view(self.count, self.length, *states.shape[1:]).transpose(1, 2)


def runs_of(lengths: Sequence[int]) -> list[Run]:
    """Return the runs of sequences that lie end to end."""
    runs: list[Run] = []
    for length, same in groupby(lengths):
        runs.append(Run(runs[-1].stop if runs else 0, len(list(same)), length))
    return runs


def rounded(rows: int, device: torch.device) -> int:
    """Return how many rows to compute for some: on a CPU one of few numbers, a sixteenth more.

    oneDNN compiles code for each number of rows that it meets with a layer's shape, which takes
    milliseconds and half a megabyte, and keeps the last thousand.
    """
    if device.type != "cpu":
        return rows
    step = max(_STEP, (1 << rows.bit_length()) // 2 // _STEPS)
    return rows + -rows % step


def extended(states: torch.Tensor, rows: int) -> torch.Tensor:
    """Return states with zeros after them, so many rows in all."""
    missing = rows - len(states)
    if not missing:
        return states
    return torch.cat([states, states.new_zeros(missing, *states.shape[1:])])


def rotation(cos: torch.Tensor, sin: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what :func:`rotate` wants of cosines and sines of shape (tokens, dim)."""
    half = sin.shape[-1] // 2
    return cos.unsqueeze(1), torch.cat((-sin[:, :half], sin[:, half:]), -1).unsqueeze(1)


def rotate(states: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn the halves of (tokens, heads, dim) against each other by their positions' angles.

    The angles should have the states' number format: mixed ones take a CPU several times as long.
    """
    half = states.shape[-1] // 2
    turned = states * cos
    turned[..., :half].addcmul_(states[..., half:], sin[..., :half])
    turned[..., half:].addcmul_(states[..., :half], sin[..., half:])
    return turned


def to_device(parts: Sequence[NDArray[Any]], device: torch.device, axis: int = 0) -> torch.Tensor:
    """Lay arrays end to end on the device.

    They get to a GPU from page-locked memory, so that nobody waits for the copy: what is launched
    after it runs after it.
    """
    if device.type != "cuda":
        return torch.from_numpy(np.concatenate(parts, axis)).to(device)
    shape = list(parts[0].shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    dtype = torch.from_numpy(np.empty(0, parts[0].dtype)).dtype
    # torch keeps such memory, and uses it again only when the copy is done
    locked = torch.empty(shape, dtype=dtype, pin_memory=True)
    np.concatenate(parts, axis, out=locked.numpy())
    return locked.to(device, non_blocking=True)
