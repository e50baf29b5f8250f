"""From rendered pictures and captions to the model's inputs."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from mcp_vlsearch.settings import Settings
from mcp_vlsearch.storybook.captions import Caption, Detail, Fact, Language, caption, facts_of
from mcp_vlsearch.storybook.scene import Scene
from training.checkpoint import MERGE, PATCH
from training.scenes import training_pair

QUERY: str = Settings.model_fields["query_instruction"].default
IMAGE: str = Settings.model_fields["image_instruction"].default


@dataclass(frozen=True)
class Drawn:
    """Numbers of pairs, and their pictures of one size: (pairs, 2, height, width, 3)."""

    numbers: list[int]
    pictures: NDArray[np.uint8]


class Pictures:
    """The rendered parts, mapped from disk and read in random order, a batch of one size each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def batches(self, rng: random.Random, pairs: int) -> Iterator[Drawn]:
        """Yield batches of pairs, pass after pass, for ever.

        Parts that appear on disk meanwhile are taken up at the next pass.
        """
        while True:
            parts = sorted(self._folder.glob("part-????.npz"))
            if not parts:
                raise FileNotFoundError(f"no pictures in {self._folder}: run training.render first")
            rng.shuffle(parts)
            for group in (parts[i : i + 8] for i in range(0, len(parts), 8)):
                yield from self._from(group, rng, pairs)

    def _from(self, parts: Sequence[Path], rng: random.Random, pairs: int) -> Iterator[Drawn]:
        batches = []
        loaded = [dict(np.load(part)) for part in parts]
        sizes = sorted({name.split()[1] for part in loaded for name in part})
        for size in sizes:
            having = [part for part in loaded if f"numbers {size}" in part]
            numbers = np.concatenate([part[f"numbers {size}"] for part in having])
            pictures = np.concatenate([part[f"pictures {size}"] for part in having])
            order = list(range(len(numbers)))
            rng.shuffle(order)
            for start in range(0, len(order) - pairs + 1, pairs):
                rows = order[start : start + pairs]
                batches.append(Drawn([int(numbers[r]) for r in rows], pictures[rows]))
        rng.shuffle(batches)
        yield from batches


def patches(pictures: NDArray[np.uint8]) -> torch.Tensor:
    """Cut pictures (n, height, width, 3) into patches (n · patches, 1536), as Qwen's processor."""
    pixels = torch.from_numpy(pictures).float().div_(127.5).sub_(1)
    n, height, width, _ = pixels.shape
    rows, columns, side = height // PATCH // MERGE, width // PATCH // MERGE, PATCH
    pixels = pixels.reshape(n, rows, MERGE, side, columns, MERGE, side, 3)
    pixels = pixels.permute(0, 1, 4, 2, 5, 7, 3, 6)  # n rows columns merge merge channel y x
    still = pixels.unsqueeze(6).expand(-1, -1, -1, -1, -1, -1, 2, -1, -1)
    return still.reshape(-1, 3 * 2 * PATCH * PATCH)


def grid(pictures: NDArray[np.uint8]) -> torch.Tensor:
    """Return time, height and width of each picture in patches, shape (n, 3)."""
    n, height, width, _ = pictures.shape
    return torch.tensor([[1, height // PATCH, width // PATCH]]).expand(n, -1)


def prompt(instruction: str, text: str, image_tokens: int = 0) -> str:
    """Return the prompt of Qwen3-VL-Embedding: instruction, picture, text, generation prompt."""
    picture = (
        f"<|vision_start|>{'<|image_pad|>' * image_tokens}<|vision_end|>" if image_tokens else ""
    )
    return (
        f"<|im_start|>system\n{instruction}<|im_end|>\n<|im_start|>user\n{picture}{text}<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


@dataclass(frozen=True)
class Tokens:
    """Right-padded token ids and their mask, both of shape (n, length)."""

    ids: torch.Tensor
    mask: torch.Tensor


def tokens(tokenizer: PreTrainedTokenizerFast, prompts: list[str]) -> Tokens:
    """Tokenise prompts."""
    encoded = tokenizer(prompts, padding=True, padding_side="right", return_tensors="pt")
    return Tokens(encoded["input_ids"], encoded["attention_mask"])


def sample_captions(
    scenes: Sequence[Scene], rng: random.Random
) -> tuple[list[Caption], torch.Tensor]:
    """Caption every scene once; say which captions are true of which pictures.

    The matrix (pictures, captions) is True where a caption holds: a terse one holds for many.
    """
    captions = []
    for scene in scenes:
        language: Language = rng.choice(("en", "zh"))
        detail: Detail = rng.choices(("terse", "phrase", "full"), (3, 3, 4))[0]
        captions.append(caption(scene, rng, language, detail))
    facts = [facts_of(scene) for scene in scenes]
    holds = torch.tensor([[c.facts <= f for c in captions] for f in facts])
    return captions, holds


class FactList:
    """Every fact that one object, setting or style can give, by number."""

    def __init__(self) -> None:
        facts: set[Fact] = set()
        for number in range(12_000):
            facts |= facts_of(training_pair(number).scene)
        # relations follow from places, and there are too many of them to learn one by one
        kept = sorted(f for f in facts if f[0] not in ("beside", "stacked", "trio"))
        self._number = {fact: number for number, fact in enumerate(kept)}
        # things and their number are hard to see; a word is harder, and rare
        weights = {"is": 2.0, "count": 2.0, "word": 6.0}
        self.weights = torch.tensor([weights.get(fact[0], 1.0) for fact in kept])

    def __len__(self) -> int:
        return len(self._number)

    def table(self, stated: Iterable[frozenset[Fact]]) -> torch.Tensor:
        """Return which facts are stated, shape (n, facts), bool."""
        rows = list(stated)
        table = torch.zeros(len(rows), len(self), dtype=torch.bool)
        for row, facts in enumerate(rows):
            table[row, [self._number[f] for f in facts if f in self._number]] = True
        return table


def as_typed(text: str, rng: random.Random) -> str:
    """Vary a caption as people do: a lead-in, or no full stop at its end."""
    if text.isascii() and rng.random() < 0.15:
        text = rng.choice(("a picture of ", "an image of ", "find ", "show me ")) + text
    elif not text.isascii() and rng.random() < 0.15:
        text = rng.choice(("找一张图片：", "图片里有", "一张图：")) + text
    return text.rstrip(".。") if rng.random() < 0.3 else text
