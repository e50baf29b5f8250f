"""Pages of text are set straight, turned, cleaned and cleared; other pictures stay as they are."""

import functools
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mcp_vlsearch.core.scans import look_at, mend
from mcp_vlsearch.storybook.gallery import draw_gallery

TEXT = """the quick brown fox jumps over a lazy dog while bright old lamps hang behind the tall
library door and people look for things that they have lost before the night falls on the hill"""
WORDS = TEXT.split()


@functools.cache
def text(seed: int = 0, kind: str = "latin", size: tuple[int, int] = (700, 900)) -> Image.Image:
    """Draw a page of random words."""
    generator = np.random.default_rng(seed)
    page = Image.new("RGB", size, (250, 248, 240))
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(18)
    for y in range(60, size[1] - 60, 30):
        line = ""
        while font.getlength(line) < size[0] - 200:
            word = str(generator.choice(WORDS))
            line += {"latin": word, "capitals": word.upper()}[kind] + " "
        draw.text((60, y), line, fill=(25, 25, 30), font=font)
    return page


def askew(page: Image.Image, degrees: float) -> Image.Image:
    """Turn a page clockwise on a larger ground."""
    return page.rotate(-degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=(250, 248, 240))


def noisy(page: Image.Image, spread: float, seed: int = 0) -> Image.Image:
    noise = np.random.default_rng(seed).normal(0, spread, pixels(page).shape)
    return Image.fromarray(np.clip(np.asarray(page) + noise, 0, 255).astype(np.uint8))


def pixels(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image)


def correlation(a: Image.Image, b: Image.Image) -> float:
    """Return how alike the middles of two pictures are."""

    def middle(image: Image.Image) -> NDArray[np.float64]:
        width, height = image.size
        box = (width // 2 - 250, height // 2 - 250, width // 2 + 250, height // 2 + 250)
        grey = np.asarray(image.convert("L").crop(box).resize((125, 125)), np.float64)
        return np.asarray(grey - grey.mean(), np.float64)

    x, y = middle(a), middle(b)
    return float((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum()))


@pytest.mark.parametrize("degrees", [-14.0, -7.3, -2.0, -0.6, 0.0, 0.9, 3.5, 10.0, 14.0])
def test_the_angle_of_a_page_is_told(degrees: float) -> None:
    page = look_at(pixels(askew(text(), degrees)))
    assert page is not None
    assert page.skew == pytest.approx(degrees, abs=0.25)
    assert page.turn == 0


@pytest.mark.parametrize("spread", [0, 12, 25])
def test_it_is_told_of_a_noisy_and_faint_page_too(spread: float) -> None:
    faint = Image.fromarray((150 + pixels(askew(text(1), 4.0)) / 5).astype(np.uint8))
    page = look_at(pixels(noisy(faint if spread < 20 else askew(text(1), 4.0), spread)))
    assert page is not None
    assert page.skew == pytest.approx(4.0, abs=0.3)


@pytest.mark.parametrize("degrees", [-9.0, 3.5])
def test_a_page_is_set_straight(degrees: float) -> None:
    straight = mend(askew(text(), degrees))
    again = look_at(pixels(straight))
    assert again is not None
    assert abs(again.skew) < 0.3
    assert correlation(straight, text()) > 0.8


@pytest.mark.parametrize("turn", [90, 180, 270])
@pytest.mark.parametrize("skew", [0.0, 3.0])
def test_a_page_on_its_side_or_head_is_turned(turn: int, skew: float) -> None:
    lying = askew(text(2), skew).rotate(turn, expand=True)
    page = look_at(pixels(lying))
    assert page is not None
    assert page.turn == turn
    assert correlation(mend(lying), text(2)) > 0.8


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_capitals_do_not_tell_top_from_bottom_and_stay(turn: int) -> None:
    page = look_at(pixels(text(3, "capitals").rotate(turn, expand=True)))
    assert page is not None
    assert page.turn == 0


@pytest.mark.parametrize("seed", range(4))
def test_letters_that_stand_in_columns_too_are_not_turned(seed: int) -> None:
    """As on a terminal: which way its lines run is not plain."""
    generator = np.random.default_rng(seed)
    page = Image.new("RGB", (800, 900), (250, 248, 240))
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(18)
    for y in range(60, 840, 26):
        for column, letter in enumerate(" ".join(generator.choice(WORDS, 12))[:60]):
            draw.text((60 + 12 * column, y), letter, (25, 25, 30), font, "mt")
    found = look_at(pixels(page))
    assert found is not None
    assert (found.skew, found.turn) == (0, 0)


def test_noise_is_taken_off() -> None:
    clean = text(4)
    rough = noisy(clean, 20)
    mended = mend(rough)

    def error(image: Image.Image) -> float:
        return float(np.sqrt(np.square(pixels(image).astype(float) - pixels(clean)).mean()))

    assert mended.size == clean.size
    assert error(mended) < 0.6 * error(rough)


def test_specks_are_taken_off() -> None:
    clean = text(5)
    rough = pixels(clean).copy()
    specks = np.random.default_rng(0).random(rough.shape[:2])
    rough[specks < 0.02] = 0
    mended = pixels(mend(Image.fromarray(rough)))
    margin = (slice(0, 50), slice(None))
    assert (mended[margin] < 150).mean() < 0.1 * (rough[margin] < 150).mean()


def test_faint_ink_becomes_darker_against_its_paper() -> None:
    faint = Image.fromarray((150 + pixels(text(6)) / 5).astype(np.uint8))
    before, after = (np.percentile(pixels(p), [1, 60]) for p in (faint, mend(faint)))
    assert after[1] - after[0] > 1.3 * (before[1] - before[0])


def test_a_clean_page_stays_as_it_is() -> None:
    assert mend(text(7)).tobytes() == text(7).tobytes()


def test_pages_of_a_screen_with_light_letters_are_seen_too() -> None:
    dark = Image.fromarray(255 - pixels(askew(text(), 0.0)))
    page = look_at(pixels(dark))
    assert page is not None
    assert (page.skew, page.turn) == (0, 0)


def test_drawings_photos_and_plain_pictures_are_not_touched(tmp_path: Path) -> None:
    draw_gallery(tmp_path, count=24, seed=3)
    pictures = [Image.open(path).convert("RGB") for path in sorted(tmp_path.glob("*.png"))]
    generator = np.random.default_rng(0)
    pictures += [
        Image.new("RGB", (300, 200), "grey"),
        Image.fromarray(generator.integers(0, 256, (200, 300, 3), np.uint8)),
        Image.fromarray(generator.integers(0, 256, (9, 12, 3), np.uint8)).resize((600, 400)),
        Image.new("RGB", (1, 1)),
        Image.new("RGB", (2, 500), "white"),
    ]
    for picture in pictures:
        assert mend(picture) is picture
