"""Measure a storybook checkpoint on scenes that no training saw.

    python -m training.evaluate training/runs/model/checkpoint --out training/results

Full captions have one right picture each: recall. A terse caption or a phrase is true of several:
there, the share of queries whose first hit it is true of. Bare nouns ("cat") are asked once each,
in both languages. Composed queries ask, with a picture and "but at night", for the near miss among
both scenes of every pair. Writes ``figures.json``, and the curve of the training as ``curve.jsonl``
and as a picture.
"""

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mcp_vlsearch.contracts import Query
from mcp_vlsearch.core.evaluation import figures, ranks
from mcp_vlsearch.encoders.qwen3_vl import Qwen3VLEncoder
from mcp_vlsearch.settings import load_settings
from mcp_vlsearch.storybook.captions import Caption, Detail, Language, caption, facts_of
from mcp_vlsearch.storybook.changes import change
from mcp_vlsearch.storybook.drawing import draw
from mcp_vlsearch.storybook.scene import Pairs, Scene, sample_scene
from mcp_vlsearch.storybook.vocabulary import OBJECTS

Figures = dict[str, float]
LANGUAGES: tuple[Language, ...] = ("en", "zh")


def encode_texts(encoder: Qwen3VLEncoder, captions: Sequence[Caption]) -> NDArray[np.float32]:
    """Encode captions as queries, shape (n, dim)."""
    return encoder.encode_queries([Query(c.text) for c in captions])


def evaluate_captions(
    encoder: Qwen3VLEncoder, count: int, pairs: Pairs, seed: int
) -> dict[str, Figures]:
    """Search ``count`` unseen scenes by captions of every length in both languages."""
    rng = random.Random(f"storybook evaluation {pairs} {seed}")
    scenes = [sample_scene(rng, pairs) for _ in range(count)]
    images = encoder.encode_images([draw(scene) for scene in scenes])
    facts = [facts_of(scene) for scene in scenes]
    results: dict[str, Figures] = {}
    details: tuple[Detail, ...] = ("full", "phrase", "terse")
    for language in LANGUAGES:
        for detail in details:
            captions = [caption(scene, rng, language, detail) for scene in scenes]
            scores = encode_texts(encoder, captions) @ images.T
            first = scores.argmax(axis=1)
            right = [c.facts <= facts[i] for c, i in zip(captions, first, strict=True)]
            values = {"first hit right": float(np.mean(right))}
            if detail == "full":
                values |= figures(ranks(scores, np.arange(count)))
            results[f"{pairs} pairs, {language}, {detail}"] = values
    return results


def evaluate_nouns(encoder: Qwen3VLEncoder, count: int, seed: int) -> dict[str, Figures]:
    """Search ``count`` unseen scenes by the bare name of every object that is in one of them."""
    rng = random.Random(f"storybook nouns {seed}")
    scenes = [sample_scene(rng, "training") for _ in range(count)]
    images = encoder.encode_images([draw(scene) for scene in scenes])
    shown = [{item.kind for item in scene.items} for scene in scenes]
    kinds = [kind for kind in OBJECTS if any(kind in kinds for kinds in shown)]
    results: dict[str, Figures] = {}
    for language in LANGUAGES:
        names = [OBJECTS[k].one if language == "en" else OBJECTS[k].zh for k in kinds]
        scores = encoder.encode_queries([Query(name) for name in names]) @ images.T
        right = [k in shown[i] for k, i in zip(kinds, scores.argmax(axis=1), strict=True)]
        results[f"bare nouns, {language}"] = {"first hit right": float(np.mean(right))}
    return results


def evaluate_composed(encoder: Qwen3VLEncoder, count: int, seed: int) -> dict[str, Figures]:
    """Ask for the near miss of each scene with its picture and the words of the change."""
    rng = random.Random(f"storybook composed {seed}")
    scenes: list[Scene] = [sample_scene(rng, "training") for _ in range(count)]
    changes = [change(scene, rng) for scene in scenes]
    pictures = [draw(scene) for scene in scenes]
    images = encoder.encode_images([*pictures, *(draw(c.scene) for c in changes)])
    results: dict[str, Figures] = {}
    for language in LANGUAGES:
        queries = [
            Query(c.request[language], picture)
            for c, picture in zip(changes, pictures, strict=True)
        ]
        scores = encoder.encode_queries(queries) @ images.T
        results[f"composed, {language}"] = figures(ranks(scores, np.arange(count, 2 * count)))
    return results


def plot(curve: Sequence[dict[str, float]], path: Path) -> None:
    """Draw the loss over the steps."""
    width, height, margin = 900, 420, 60
    image = Image.new("RGB", (width, height), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(15)
    last, top = curve[-1]["step"], max(point["loss"] for point in curve)

    def place(step: float, loss: float) -> tuple[float, float]:
        x = margin + (width - 2 * margin) * step / last
        return x, height - margin - (height - 2 * margin) * loss / top

    for loss in range(int(top) + 1):
        pen.line([place(0, loss), place(last, loss)], "#dddddd")
        pen.text((margin - 24, place(0, loss)[1] - 9), str(loss), "black", font)
    pen.line([place(point["step"], point["loss"]) for point in curve], "#2d64d2", 3)
    pen.text((margin, 20), f"training loss over {last:.0f} steps", "black", font)
    image.save(path)


def main() -> None:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    encoder = Qwen3VLEncoder(load_settings({"model": str(arguments.checkpoint)}))
    encoder.load()
    results: dict[str, Figures] = {}
    for pairs in ("training", "held-out"):
        results |= evaluate_captions(encoder, arguments.count, pairs, arguments.seed)
    results |= evaluate_nouns(encoder, arguments.count, arguments.seed)
    results |= evaluate_composed(encoder, arguments.count // 2, arguments.seed)
    for name, values in results.items():
        print(f"{name:32}", "  ".join(f"{key} {value:.3f}" for key, value in values.items()))
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "figures.json").write_text(json.dumps(results, indent=2) + "\n")
        text = (arguments.checkpoint.parent / "curve.jsonl").read_text()
        (arguments.out / "curve.jsonl").write_text(text)
        plot([json.loads(line) for line in text.splitlines()], arguments.out / "curve.png")


if __name__ == "__main__":
    main()
