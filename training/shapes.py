"""Teach the vision tower shapes, colours and letters first, on single objects cut out of pictures.

    python -m training.shapes training/runs/pictures training/runs/shapes --minutes 25

A caption says what a picture holds and not where, and a whole picture is mostly background: a tower
that starts there takes hours to tell a cat from a dog. A cut-out costs a sixth of a picture and is
all object. What comes out is a start for ``training.train``; an interrupted run goes on from its
last checkpoint.
"""

import argparse
import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from PIL import Image

from mcp_vlsearch.storybook.drawing import Box, where
from mcp_vlsearch.storybook.scene import Item
from mcp_vlsearch.storybook.vocabulary import COLOURS, OBJECTS, SIGN_WORDS
from training.batches import Drawn, Pictures, grid, patches
from training.checkpoint import make_model, train_tokenizer
from training.scenes import training_pair
from training.speed import speed_up

PAIRS: Final = 64
RATE: Final = 1.5e-3
WARM_UP: Final = 0.03
OBJECT: Final = (64, 64)
SIGN: Final = (96, 64)
"""Width and height of a cut-out, in pixels."""

KINDS: Final = tuple(OBJECTS)
SHADES: Final = tuple(COLOURS)


@dataclass
class CutOuts:
    """Pictures of one object each, (n, height, width, 3), and its kind (or word) and colour."""

    size: tuple[int, int]
    pictures: list[NDArray[np.uint8]] = field(default_factory=list)
    names: list[int] = field(default_factory=list)
    colours: list[int] = field(default_factory=list)

    def add(self, picture: NDArray[np.uint8], box: Box, item: Item, rng: random.Random) -> None:
        """Cut the object in the box (in pixels) out of a picture."""
        self.pictures.append(_cut(picture, box, self.size, rng))
        self.names.append(SIGN_WORDS.index(item.word) if item.word else KINDS.index(item.kind))
        self.colours.append(SHADES.index(item.colour))


def cut_outs(drawn: Drawn, rng: random.Random) -> tuple[CutOuts, CutOuts]:
    """Cut one copy of every item out of a batch of pictures: objects, and signs."""
    objects, signs = CutOuts(OBJECT), CutOuts(SIGN)
    for number, pair in zip(drawn.numbers, drawn.pictures, strict=True):
        for items, picture in zip(_items(number), pair, strict=True):
            high, wide, _ = picture.shape
            for item, boxes in items:
                x, y, width, height = rng.choice(boxes)
                box = (x * wide, y * high, width * wide, height * high)
                (signs if item.word else objects).add(picture, box, item, rng)
    return objects, signs


@cache
def _items(number: int) -> tuple[Sequence[tuple[Item, list[Box]]], ...]:
    pair = training_pair(number)
    return where(pair.scene), where(pair.changed)


def _cut(
    picture: NDArray[np.uint8], box: Box, size: tuple[int, int], rng: random.Random
) -> NDArray[np.uint8]:
    """Cut a window that holds the box anywhere in it: as it is, or made smaller where it must."""
    high, wide, _ = picture.shape
    left, top, width, height = box
    across, down = size
    scale = max(1.0, 1.04 * width / across, 1.04 * height / down)
    scale = min(scale, wide / across, high / down)
    across, down = round(across * scale), round(down * scale)
    x = _start(left, width, across, wide, rng)
    y = _start(top, height, down, high, rng)
    window = picture[y : y + down, x : x + across]
    if scale == 1:
        return window
    return np.asarray(Image.fromarray(window).resize(size, Image.Resampling.BILINEAR))


def _start(start: float, length: float, window: int, whole: int, rng: random.Random) -> int:
    least, most = sorted((start + length - window, start))
    return min(max(round(rng.uniform(least, most)), 0), whole - window)


class Tower(torch.nn.Module):
    """The vision tower with a reader of each kind of label on the mean of its image tokens."""

    def __init__(self) -> None:
        super().__init__()
        model = make_model(train_tokenizer())
        speed_up(model)
        self.visual = model.visual
        width = model.config.vision_config.out_hidden_size
        self.kinds = torch.nn.Linear(width, len(KINDS))
        self.words = torch.nn.Linear(width, len(SIGN_WORDS))
        self.colours = torch.nn.Linear(width, len(SHADES))

    def read(self, cut: CutOuts, names: torch.nn.Linear) -> tuple[torch.Tensor, float]:
        """Return the loss of reading name and colour, and the share of names read right."""
        pictures = np.stack(cut.pictures)
        device = names.weight.device
        with torch.autocast(device.type, torch.bfloat16):
            output = self.visual(patches(pictures).to(device), grid(pictures).to(device))
        tokens = output.pooler_output.float().view(len(pictures), -1, names.in_features).mean(1)
        wanted = torch.tensor(cut.names, device=device)
        scores = names(tokens)
        loss = F.cross_entropy(scores, wanted)
        loss = loss + 0.3 * F.cross_entropy(
            self.colours(tokens), torch.tensor(cut.colours, device=device)
        )
        return loss, (scores.argmax(1) == wanted).float().mean().item()


@dataclass
class Run:
    """Everything that a checkpoint holds."""

    tower: Tower
    optimiser: torch.optim.AdamW
    step: int = 0
    seconds: float = 0.0


def start(folder: Path) -> Run:
    """Make a fresh run, or take up the one in ``folder``."""
    torch.manual_seed(0)
    tower = Tower().to("cuda" if torch.cuda.is_available() else "cpu")
    optimiser = torch.optim.AdamW(tower.parameters(), betas=(0.9, 0.98), weight_decay=0.05)
    run = Run(tower, optimiser)
    if (folder / "state.pt").exists():
        state = torch.load(folder / "state.pt", weights_only=True)
        tower.load_state_dict(state["tower"])
        optimiser.load_state_dict(state["optimiser"])
        run.step, run.seconds = state["step"], state["seconds"]
    return run


def keep(run: Run, folder: Path) -> None:
    """Write state to go on from, and the tower for ``training.train``."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        "tower": run.tower.state_dict(),
        "optimiser": run.optimiser.state_dict(),
        "step": run.step,
        "seconds": run.seconds,
    }
    for name, content in (("state", state), ("visual", run.tower.visual.state_dict())):
        torch.save(content, folder / f"{name}.tmp")
        (folder / f"{name}.tmp").replace(folder / f"{name}.pt")


def step(run: Run, drawn: Drawn, used: float, rng: random.Random) -> tuple[float, float]:
    """Learn from one batch; return the shares of kinds and of words read right."""
    for group in run.optimiser.param_groups:
        group["lr"] = RATE * min(used / WARM_UP, 0.5 + 0.5 * math.cos(math.pi * used)) + 1e-6
    objects, signs = cut_outs(drawn, rng)
    loss, kinds = run.tower.read(objects, run.tower.kinds)
    words = math.nan
    if signs.names:
        more, words = run.tower.read(signs, run.tower.words)
        loss = loss + 0.3 * more
    run.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(run.tower.parameters(), 1.0)
    run.optimiser.step()
    run.step += 1
    return kinds, words


def train(run: Run, batches: Iterator[Drawn], folder: Path, minutes: float, steps: int) -> None:
    """Train until the minutes, or else the steps, are used up; keep a checkpoint now and then."""
    rng = random.Random(run.step)
    began = time.monotonic() - run.seconds
    recent: list[tuple[float, float]] = []
    for drawn in batches:
        run.seconds = time.monotonic() - began
        used = run.seconds / 60 / minutes if minutes else run.step / steps
        if used >= 1:
            break
        recent.append(step(run, drawn, used, rng))
        if run.step % 50 == 0:
            kinds, words = np.nanmean(recent, axis=0)
            right = f"right: kinds {kinds:.3f}, words {words:.3f}"
            print(f"step {run.step}, {run.seconds:.0f} s, {right}", flush=True)
            recent.clear()
        if run.step % 250 == 0:
            keep(run, folder)
    keep(run, folder)


def main() -> None:
    """Read the arguments and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("folder", type=Path)
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--minutes", type=float, default=0.0)
    budget.add_argument("--steps", type=int, default=0)
    arguments = parser.parse_args()
    run = start(arguments.folder)
    batches = Pictures(arguments.pictures).batches(random.Random(run.step), PAIRS)
    train(run, batches, arguments.folder, arguments.minutes, arguments.steps)


if __name__ == "__main__":
    main()
