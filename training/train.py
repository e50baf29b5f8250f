"""Train the storybook model from nothing: contrastive, on drawn scenes, about an hour on two cores.

    python -m training.train training/runs/pictures training/runs/model --minutes 60

The loss is symmetric InfoNCE (van den Oord et al. 2018, as CLIP uses it) with a learned
temperature. A terse caption is true of several pictures of a batch: those are no negatives. Beside
captions, each step has composed queries, picture + "but at night", whose answer is the near miss.
The learning rate follows the time used of ``--minutes`` (or the steps of ``--steps``): warm-up,
then a cosine to zero.
An interrupted run goes on from its last checkpoint.
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
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast, Qwen3VLModel

from training.batches import (
    IMAGE,
    QUERY,
    Pictures,
    as_typed,
    grid,
    patches,
    prompt,
    sample_captions,
    tokens,
    training_pairs,
)
from training.checkpoint import make_model, save, train_tokenizer
from training.speed import speed_up

PAIRS = 48
COMPOSED = 16
RATE = 1e-3
WARM_UP = 0.04


@dataclass
class Run:
    """Everything that a checkpoint holds."""

    model: Qwen3VLModel
    tokenizer: PreTrainedTokenizerFast
    scale: torch.nn.Parameter
    optimiser: torch.optim.AdamW
    step: int = 0
    seconds: float = 0.0
    curve: list[dict[str, float]] = field(default_factory=list)


def start(folder: Path) -> Run:
    """Make a fresh run, or take up the one in ``folder``."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer()
    model = make_model(tokenizer)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device)
    speed_up(model)
    scale = torch.nn.Parameter(torch.tensor(math.log(1 / 0.07), device=device))
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1] + [scale]
    optimiser = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}],
        lr=RATE,
        betas=(0.9, 0.98),
    )
    run = Run(model, tokenizer, scale, optimiser)
    state_file = folder / "state.pt"
    if state_file.exists():
        state = torch.load(state_file, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        scale.data.fill_(state["scale"])
        run.step, run.seconds, run.curve = state["step"], state["seconds"], state["curve"]
    return run


def keep(run: Run, folder: Path) -> None:
    """Write state to go on from, the checkpoint that users load, and the curve."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        "model": run.model.state_dict(),
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


def loss_of(
    run: Run, numbers: list[int], pictures: NDArray[np.uint8], rng: random.Random
) -> torch.Tensor:
    """Return the loss of one batch: captions against pictures, and composed queries."""
    pairs = training_pairs(numbers)
    captions, holds = sample_captions(pairs, rng)
    pixels, grids = patches(pictures), grid(pictures)
    image_tokens = int(grids[0].prod()) // 4
    images = encode(run, [prompt(IMAGE, "", image_tokens)] * len(pictures), pixels, grids)
    texts = encode(run, [prompt(QUERY, as_typed(c.text, rng)) for c in captions])
    scale = run.scale.clamp(max=math.log(100)).exp()
    logits = scale * images @ texts.T
    loss = (contrast(logits, holds) + contrast(logits.T, holds.T)) / 2

    # Composed: the first picture of a pair and a request find the second; an empty request, itself.
    chosen = rng.sample(range(len(pairs)), COMPOSED)
    requests, answers = [], []
    for i in chosen:
        plain = rng.random() < 0.25
        request = "" if plain else as_typed(pairs[i].request[rng.choice(("en", "zh"))], rng)
        requests.append(prompt(QUERY, request, image_tokens))
        answers.append(2 * i if plain else 2 * i + 1)
    rows = [2 * i for i in chosen]
    composed = encode(run, requests, patches(pictures[rows]), grids[rows])
    targets = torch.tensor(answers, device=images.device)
    return loss + 0.25 * F.cross_entropy(scale * composed @ images.T, targets)


def main() -> None:
    """Train until the time or the steps are used up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("folder", type=Path)
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--minutes", type=float)
    budget.add_argument("--steps", type=int)
    arguments = parser.parse_args()
    run = start(arguments.folder)
    rng = random.Random(run.step)
    began = time.monotonic() - run.seconds
    recent: list[float] = []
    for numbers, pictures in Pictures(arguments.pictures).batches(rng, PAIRS):
        run.seconds = time.monotonic() - began
        used = (
            run.step / arguments.steps if arguments.steps else run.seconds / 60 / arguments.minutes
        )
        if used >= 1:
            break
        factor = min(used / WARM_UP, 0.5 + 0.5 * math.cos(math.pi * used)) + 1e-3
        for group in run.optimiser.param_groups:
            group["lr"] = RATE * factor
        loss = loss_of(run, numbers, pictures, rng)
        run.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
        run.optimiser.step()
        run.step += 1
        recent.append(loss.item())
        if run.step % 20 == 0:
            point = {
                "step": run.step,
                "seconds": round(run.seconds, 1),
                "loss": sum(recent) / len(recent),
            }
            run.curve.append(point)
            recent.clear()
            print(json.dumps(point | {"scale": run.scale.exp().item()}), flush=True)
        if run.step % 200 == 0:
            keep(run, arguments.folder)
    keep(run, arguments.folder)


if __name__ == "__main__":
    main()
