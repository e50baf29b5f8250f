"""Train the storybook model from nothing: contrastive, on drawn scenes, about an hour on two cores.

    python -m training.shapes training/runs/pictures training/runs/shapes --minutes 25
    python -m training.train training/runs/pictures training/runs/model \\
        --tower training/runs/shapes/visual.pt --minutes 55

The vision tower starts from ``training.shapes``. The loss is symmetric InfoNCE (van den Oord et al.
2018, as CLIP uses it) with a learned temperature. A terse caption is true of several pictures of a
batch: those are no negatives. Three more losses help it: a linear head reads the facts of a scene
off picture and caption vectors, each fact on its own, which ends the plateau at the start early;
another reads what is where off the image tokens; and batches of near misses, with composed queries
(picture + "but at night", whose answer is the near miss), take over more and more as training goes
on.

The learning rate follows the time used of ``--minutes`` (or the steps of ``--steps``): warm-up,
then a cosine to zero. An interrupted run goes on from its last checkpoint.
"""

import argparse
import json
import math
import random
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
import transformers
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast, Qwen3VLModel

from mcp_vlsearch.storybook.captions import facts_of
from mcp_vlsearch.storybook.scene import Scene
from training.batches import (
    IMAGE,
    QUERY,
    Drawn,
    FactList,
    Pictures,
    as_typed,
    grid,
    patches,
    prompt,
    sample_captions,
    tokens,
)
from training.cells import CellReader, cells
from training.checkpoint import LANGUAGES, MERGE, make_model, save, train_tokenizer
from training.scenes import Pair, training_pair
from training.speed import speed_up

BATCH = 64
COMPOSED = 16
FACTS = 0.5
CELLS = 0.5
RATE = 1e-3
WARM_UP = 0.04


@dataclass
class Run:
    """Everything that a checkpoint holds."""

    model: Qwen3VLModel
    tokenizer: PreTrainedTokenizerFast
    scale: torch.nn.Parameter
    facts: FactList
    head: torch.nn.Linear
    reader: CellReader
    optimiser: torch.optim.AdamW
    seen: torch.Tensor | None = None
    """Image tokens of the last batch with pictures, shape (n, 256)."""
    step: int = 0
    seconds: float = 0.0
    curve: list[dict[str, float]] = field(default_factory=list)


def start(folder: Path, tower: Path | None = None) -> Run:
    """Make a fresh run from the weights of a vision tower, or take up the one in ``folder``."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer()
    model = make_model(tokenizer)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if tower:
        model.visual.load_state_dict(torch.load(tower, weights_only=True))
    model.to(device)
    speed_up(model)
    scale = torch.nn.Parameter(torch.tensor(math.log(1 / 0.07), device=device))
    facts = FactList()
    width = model.config.text_config.hidden_size
    reader = CellReader(width).to(device)
    head = torch.nn.Linear(width, len(facts), device=device)
    torch.nn.init.constant_(head.bias, -0.4)  # most facts are false
    weights = [*model.parameters(), *head.parameters(), *reader.parameters()]
    matrices = [p for p in weights if p.ndim > 1]
    vectors = [p for p in weights if p.ndim <= 1] + [scale]
    optimiser = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}],
        lr=RATE,
        betas=(0.9, 0.98),
    )
    run = Run(model, tokenizer, scale, facts, head, reader, optimiser)

    def see(_module: object, _inputs: object, tokens: torch.Tensor) -> None:
        run.seen = tokens

    model.visual.merger.register_forward_hook(see)
    state_file = folder / "state.pt"
    if state_file.exists():
        state = torch.load(state_file, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        head.load_state_dict(state["head"])
        reader.load_state_dict(state["reader"])
        optimiser.load_state_dict(state["optimiser"])
        scale.data.fill_(state["scale"])
        run.step, run.seconds, run.curve = state["step"], state["seconds"], state["curve"]
    return run


def keep(run: Run, folder: Path) -> None:
    """Write state to go on from, the checkpoint that users load, and the curve."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        "model": run.model.state_dict(),
        "head": run.head.state_dict(),
        "reader": run.reader.state_dict(),
        "optimiser": run.optimiser.state_dict(),
        "scale": run.scale.item(),
        "step": run.step,
        "seconds": run.seconds,
        "curve": run.curve,
    }
    torch.save(state, folder / "state.tmp")
    (folder / "state.tmp").replace(folder / "state.pt")
    save(run.model, run.tokenizer, folder / "checkpoint")
    lines = "".join(json.dumps(point) + "\n" for point in run.curve)
    (folder / "curve.jsonl").write_text(lines)


def encode(
    run: Run,
    prompts: list[str],
    pixels: torch.Tensor | None = None,
    grids: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return unit-norm states of each prompt's last token, shape (n, 256)."""
    batch = tokens(run.tokenizer, prompts)
    device = run.scale.device
    ids, mask = batch.ids.to(device), batch.mask.to(device)
    extra = {}
    if pixels is not None and grids is not None:
        extra = {
            "pixel_values": pixels.to(device),
            "image_grid_thw": grids.to(device),
            "mm_token_type_ids": (ids == run.model.config.image_token_id).int(),
        }
    with torch.autocast(device.type, torch.bfloat16):
        states = run.model(input_ids=ids, attention_mask=mask, use_cache=False, **extra)[0]
    last = states[torch.arange(len(ids), device=device), mask.sum(1) - 1]
    return F.normalize(last.float(), dim=-1)


def contrast(logits: torch.Tensor, holds: torch.Tensor) -> torch.Tensor:
    """InfoNCE over rows whose answer is on the diagonal; other true answers are left out."""
    own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    logits = logits.masked_fill(holds.to(logits.device) & ~own, -torch.inf)
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


def read_facts(run: Run, vectors: torch.Tensor, stated: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each fact on its own, summed: a rare fact must not wait for the others."""
    scores = run.head(vectors) * 10
    target = stated.to(scores.device, scores.dtype)
    each = F.binary_cross_entropy_with_logits(scores, target, reduction="none").sum(0)
    return (each * run.facts.weights.to(scores.device)).sum() / len(scores)


def read_cells(run: Run, scenes: list[Scene], pictures: NDArray[np.uint8]) -> torch.Tensor:
    """Return the loss of reading what is where off the image tokens that were just made."""
    assert run.seen is not None
    _, height, width, _ = pictures.shape
    return run.reader(run.seen.float(), cells(scenes, width, height))  # type: ignore[no-any-return]


def match(
    run: Run, scenes: list[Scene], pictures: NDArray[np.uint8], used: float, rng: random.Random
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss of captions against pictures (n, height, width, 3), and the image vectors."""
    captions, holds = sample_captions(scenes, rng)
    grids = grid(pictures)
    prompts = [prompt(IMAGE, "", image_tokens(grids))] * len(pictures)
    images = encode(run, prompts, patches(pictures), grids)
    where = read_cells(run, scenes, pictures)
    texts = encode(run, [prompt(QUERY, as_typed(c.text, rng)) for c in captions])
    logits = temperature(run) * images @ texts.T
    loss = (contrast(logits, holds) + contrast(logits.T, holds.T)) / 2
    true = run.facts.table(facts_of(scene) for scene in scenes)
    told = run.facts.table(c.facts for c in captions)
    facts = read_facts(run, images, true) + read_facts(run, texts, told)
    return loss + FACTS * max(1 - used, 0.2) * facts + CELLS * where, images


def compose(
    run: Run, pairs: list[Pair], drawn: Drawn, images: torch.Tensor, rng: random.Random
) -> torch.Tensor:
    """Return the loss of composed queries: a pair's first picture and a request find the second.

    ``images`` are the vectors of all pictures, pair by pair. An empty request finds the first.
    """
    rows = rng.sample(range(len(pairs)), COMPOSED)
    pictures = drawn.pictures[rows, 0]
    grids = grid(pictures)
    requests, answers = [], []
    for row in rows:
        plain = rng.random() < 0.25
        request = "" if plain else as_typed(pairs[row].request[rng.choice(LANGUAGES)], rng)
        requests.append(prompt(QUERY, request, image_tokens(grids)))
        answers.append(2 * row if plain else 2 * row + 1)
    vectors = encode(run, requests, patches(pictures), grids)
    targets = torch.tensor(answers, device=images.device)
    return F.cross_entropy(temperature(run) * vectors @ images.T, targets)


def loss_of(run: Run, drawn: Drawn, used: float, rng: random.Random) -> torch.Tensor:
    """Return the loss of one batch: single scenes, or, more often later, near misses."""
    pairs = [training_pair(number) for number in drawn.numbers]
    if rng.random() > min(used, 0.6):
        return match(run, [pair.scene for pair in pairs], drawn.pictures[:, 0], used, rng)[0]
    half = len(pairs) // 2
    pairs, drawn = pairs[:half], Drawn(drawn.numbers[:half], drawn.pictures[:half])
    scenes = [scene for pair in pairs for scene in (pair.scene, pair.changed)]
    pictures = drawn.pictures.reshape(-1, *drawn.pictures.shape[2:])
    loss, images = match(run, scenes, pictures, used, rng)
    return loss + 0.25 * compose(run, pairs, drawn, images, rng)


def image_tokens(grids: torch.Tensor) -> int:
    """Return how many tokens each picture of a batch takes."""
    return int(grids[0].prod()) // MERGE**2


def temperature(run: Run) -> torch.Tensor:
    """Return the learned factor of cosines, 100 at most."""
    return run.scale.clamp(max=math.log(100)).exp()


def step(run: Run, drawn: Drawn, used: float, rng: random.Random) -> float:
    """Learn from one batch and return its loss; ``used`` is the share of the budget, 0 to 1."""
    factor = min(used / WARM_UP, 0.5 + 0.5 * math.cos(math.pi * used)) + 1e-3
    for group in run.optimiser.param_groups:
        group["lr"] = RATE * factor
    loss = loss_of(run, drawn, used, rng)
    run.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
    run.optimiser.step()
    run.step += 1
    return loss.item()


def train(run: Run, pictures: Pictures, folder: Path, minutes: float | None, steps: int) -> None:
    """Train until the minutes, or else the steps, are used up; keep a checkpoint now and then."""
    rng = random.Random(run.step)
    began = time.monotonic() - run.seconds
    recent: list[float] = []
    for drawn in pictures.batches(rng, BATCH):
        run.seconds = time.monotonic() - began
        used = run.seconds / 60 / minutes if minutes else run.step / steps
        if used >= 1:
            break
        recent.append(step(run, drawn, used, rng))
        if run.step % 20 == 0:
            loss = sum(recent) / len(recent)
            run.curve.append({"step": run.step, "seconds": round(run.seconds), "loss": loss})
            print(f"step {run.step}, {run.seconds:.0f} s, loss {loss:.3f}", flush=True)
            recent.clear()
        if run.step % 100 == 0:
            keep(run, folder)
    keep(run, folder)


def main() -> None:
    """Read the arguments and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tower", type=Path, help="visual.pt of training.shapes")
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--minutes", type=float)
    budget.add_argument("--steps", type=int, default=0)
    arguments = parser.parse_args()
    transformers.logging.disable_progress_bar()
    run = start(arguments.folder, arguments.tower)
    pictures = Pictures(arguments.pictures)
    train(run, pictures, arguments.folder, arguments.minutes, arguments.steps)


if __name__ == "__main__":
    main()
