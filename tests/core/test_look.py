"""Two looks tell a copy from a picture that differs in one thing."""

import io
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mcp_vlsearch.core.look import Look, is_copy, look_of, may_be_copies
from mcp_vlsearch.storybook.changes import change
from mcp_vlsearch.storybook.drawing import draw
from mcp_vlsearch.storybook.scene import Scene, sample_scene
from tests.pictures import picture

PIXELS = 224 * 224


def scenes(count: int, seed: str = "copies") -> list[Scene]:
    rng = random.Random(seed)
    return [sample_scene(rng, "held-out") for _ in range(count)]


def recompressed(image: Image.Image, kind: str, **options: Any) -> Image.Image:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return Image.open(file).convert("RGB")


def cut(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """Cut shares of the sides off."""
    width, height = image.size
    return image.crop(
        (round(left * width), round(top * height),
         round((1 - right) * width), round((1 - bottom) * height))
    )  # fmt: skip


def noisy(image: Image.Image) -> Image.Image:
    noise = np.random.default_rng(1).normal(0, 12, (image.height, image.width, 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "jpeg-95": lambda image: recompressed(image, "JPEG", quality=95),
    "jpeg-30": lambda image: recompressed(image, "JPEG", quality=30),
    "webp-50": lambda image: recompressed(image, "WEBP", quality=50),
    "a-quarter": lambda image: image.resize((image.width // 4, image.height // 4)),
    "three-times": lambda image: image.resize((3 * image.width, 3 * image.height)),
    "stretched": lambda image: image.resize((image.width, round(0.9 * image.height))),
    "noisy": noisy,
    "cut-left": lambda image: cut(image, 0.08, 0, 0, 0),
    "cut-around": lambda image: cut(image, 0.04, 0.05, 0.05, 0.04),
    "cut-small-jpeg": lambda image: recompressed(
        cut(image, 0.02, 0.06, 0.03, 0.01).resize((120, 120)), "JPEG", quality=60
    ),
}


@pytest.fixture(scope="module")
def drawn() -> list[tuple[Scene, Image.Image]]:
    return [(scene, draw(scene, PIXELS)) for scene in scenes(12)]


@pytest.mark.parametrize("kind", COPIES)
def test_a_changed_copy_is_a_copy(drawn: list[tuple[Scene, Image.Image]], kind: str) -> None:
    images = [image for _, image in drawn] + [picture(320, 200, seed) for seed in range(4)]
    looks = [(look_of(image), look_of(COPIES[kind](image))) for image in images]
    both = [is_copy(a, b) and is_copy(b, a) for a, b in looks]
    assert sum(both) >= len(both) - kind.startswith("cut"), [
        i for i, found in enumerate(both) if not found
    ]
    worth = [bool(may_be_copies(a, b[None])[0]) for a, b in looks]
    assert all(worth)


def test_different_pictures_are_no_copies(drawn: list[tuple[Scene, Image.Image]]) -> None:
    looks = [look_of(image) for _, image in drawn]
    found = [
        (i, j) for i, a in enumerate(looks) for j, b in enumerate(looks) if i != j and is_copy(a, b)
    ]
    assert not found


def test_scenes_that_differ_in_one_thing_are_no_copies(
    drawn: list[tuple[Scene, Image.Image]],
) -> None:
    rng = random.Random(3)
    wrong = []
    for scene, image in drawn:
        for _ in range(4):
            changed = change(scene, rng)
            if changed.scene.style != scene.style:
                continue  # which may be no more than a thin outline
            if is_copy(look_of(image), look_of(draw(changed.scene, PIXELS))):
                wrong.append(changed.request["en"])
    assert not wrong


def test_the_same_things_drawn_anew_are_no_copies(drawn: list[tuple[Scene, Image.Image]]) -> None:
    wrong = [
        scene
        for scene, image in drawn
        if is_copy(look_of(image), look_of(draw(replace(scene, seed=scene.seed ^ 1), PIXELS)))
    ]
    assert not wrong


def page(seed: int) -> Image.Image:
    """Lines of words, as a scanned page has."""
    rng = random.Random(seed)
    sheet = Image.new("RGB", (620, 880), "white")
    pen = ImageDraw.Draw(sheet)
    for line in range(60, 820, 22):
        left = 50
        while left < 520:
            width = rng.randint(14, 90)
            pen.rectangle((left, line, left + width, line + 9), (40, 40, 40))
            left += width + 9
    return sheet


def test_pages_of_one_layout_are_no_copies_but_a_rescan_is() -> None:
    first, second = page(1), page(2)
    assert not is_copy(look_of(first), look_of(second))
    again = recompressed(first.resize((500, 710)), "JPEG", quality=50)
    assert is_copy(look_of(first), look_of(again))


def test_plain_pictures_are_copies_where_their_colour_is_the_same() -> None:
    def plain(*colour: int) -> Look:
        return look_of(Image.new("RGB", (50, 40), colour))

    assert is_copy(plain(200, 30, 30), plain(201, 29, 31))
    assert not is_copy(plain(200, 30, 30), plain(30, 30, 200))
    assert may_be_copies(plain(9, 9, 9), plain(9, 9, 9)[None])[0]


def test_a_look_has_the_same_size_for_every_picture() -> None:
    looks = {look_of(picture(*size)).tobytes().__len__() for size in ((1, 1), (7, 900), (400, 30))}
    assert looks == {48 * 48 + 2 * 24 * 24}
