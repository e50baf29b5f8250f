"""Every good picture arrives upright, in true colours, at its size; every bad one is one error."""

import logging
import threading
import warnings
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageFile

from mcp_vlsearch.core import decode as module
from mcp_vlsearch.core.decode import decode, open_upright
from mcp_vlsearch.core.metadata import Metadata
from mcp_vlsearch.core.pillow import MAX_DECODED_PIXELS
from mcp_vlsearch.errors import ImageError

from ..pictures import (
    bomb,
    broken_files,
    chunk,
    encoded,
    exif,
    good_files,
    grey_tiff,
    picture,
    pixels,
    png,
)

GOOD, BROKEN = good_files(), broken_files()


def half(width: int, height: int) -> tuple[int, int]:
    return max(1, width // 2), max(1, height // 2)


def difference(left: Any, right: Any) -> float:
    """Return the mean absolute difference of two pictures, in grey levels."""
    return float(np.abs(np.asarray(left, np.float64) - np.asarray(right, np.float64)).mean())


def stored(upright: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Return what a camera held that way stores, by the definition of EXIF's orientations."""
    sideways = upright.swapaxes(0, 1)
    turned = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: sideways,
        6: sideways[::-1],
        7: sideways[::-1, ::-1],
        8: sideways[:, ::-1],
    }
    return np.ascontiguousarray(turned[orientation])


@pytest.mark.parametrize("name", GOOD)
def test_every_good_file_becomes_an_rgb_picture_of_the_target_size(name: str) -> None:
    found = decode(GOOD[name], half)
    assert found.image.mode == "RGB"
    assert found.image.size == half(found.info.width, found.info.height)
    assert found.info.bytes == len(GOOD[name])
    assert found.info.format.isupper()
    assert open_upright(GOOD[name]).size == (found.info.width, found.info.height)


@pytest.mark.parametrize("name", BROKEN)
def test_every_broken_file_is_one_line_that_does_not_name_anything_inside(name: str) -> None:
    for read in (lambda data: decode(data, half), open_upright):
        with pytest.raises(ImageError) as caught:
            read(BROKEN[name])
        message = str(caught.value)
        assert message
        assert "\n" not in message
        assert "BytesIO" not in message
        assert not caught.value.retry


@pytest.mark.parametrize("name", ["a.jpg", "b.png", "c.webp", "d.gif", "f.tif", "g.heic", "h.avif"])
def test_a_file_cut_anywhere_is_an_error_or_the_same_picture(name: str) -> None:
    whole = open_upright(GOOD[name])
    for length in range(0, len(GOOD[name]), max(1, len(GOOD[name]) // 60)):
        try:
            cut = open_upright(GOOD[name][:length])
        except ImageError:
            continue
        assert difference(cut, whole) < 1, f"{length} of {len(GOOD[name])} bytes"


@pytest.mark.parametrize("name", ["a.jpg", "b.png", "c.webp", "d.gif", "f.tif", "cmyk.jpg"])
def test_a_file_with_any_byte_wrong_is_an_error_or_a_picture(name: str) -> None:
    random = np.random.default_rng(0)
    for _ in range(60):
        data = bytearray(GOOD[name])
        for at in random.integers(0, min(len(data), 1000), 3):
            data[at] = random.integers(0, 256)
        try:
            assert open_upright(bytes(data)).mode == "RGB"
        except ImageError:
            continue


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "HEIF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_upright_before_its_size_is_chosen(kind: str, orientation: int) -> None:
    upright = pixels(96, 64)
    tags = exif({ExifTags.Base.Orientation: orientation})
    data = encoded(Image.fromarray(stored(upright, orientation)), kind, exif=tags, quality=95)
    asked: list[tuple[int, int]] = []

    def target(width: int, height: int) -> tuple[int, int]:
        asked.append((width, height))
        return 48, 32

    found = decode(data, target)
    assert asked == [(96, 64)]
    assert (found.info.width, found.info.height) == (96, 64)
    assert difference(open_upright(data), upright) < 3
    expected = Image.fromarray(upright).resize((48, 32), Image.Resampling.BICUBIC)
    assert difference(found.image, expected) < 3


def test_a_lossless_picture_is_resized_exactly_like_pillow_resizes_it() -> None:
    image = picture(301, 203)
    found = decode(encoded(image), lambda *_: (96, 64)).image
    expected = image.resize((96, 64), Image.Resampling.BICUBIC)
    assert np.array_equal(np.asarray(found), np.asarray(expected))


def test_a_picture_that_has_its_size_already_is_not_changed() -> None:
    found = decode(encoded(picture()), lambda *size: size).image
    assert np.array_equal(np.asarray(found), pixels())


def test_a_large_jpeg_is_decoded_small_but_no_smaller_than_twice_the_target(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = picture(1600, 1200).effect_spread(3)
    data = encoded(image, "JPEG", quality=95)
    sizes: list[tuple[int, int]] = []
    resize = Image.Image.resize

    def watch(self: Image.Image, size: tuple[int, int], *rest: Any) -> Image.Image:
        sizes.append(self.size)
        return resize(self, size, *rest)

    monkeypatch.setattr(Image.Image, "resize", watch)
    found = decode(data, lambda *_: (180, 140))
    assert sizes == [(400, 300)]
    assert (found.info.width, found.info.height) == (1600, 1200)
    expected = resize(open_upright(data), (180, 140), Image.Resampling.BICUBIC)
    assert difference(found.image, expected) < 1.5


def on_white(colours: NDArray[Any], alpha: NDArray[Any]) -> NDArray[np.float64]:
    share = alpha[..., None].astype(np.float64) / 255
    return colours * share + 255 * (1 - share)


@pytest.mark.parametrize("depth", [8, 16])
def test_transparent_pixels_lie_on_white(depth: int) -> None:
    colours, alpha = pixels(seed=1), pixels(seed=2)[..., 0]
    both = np.dstack([colours, alpha])
    data = png(both if depth == 8 else both.astype(np.uint16) * 257, 6)
    assert difference(open_upright(data), on_white(colours, alpha)) < 1


def test_transparent_greys_and_palettes_lie_on_white() -> None:
    grey, alpha = pixels(seed=1)[..., 0], pixels(seed=2)[..., 0]
    white = on_white(np.dstack([grey] * 3), alpha)
    assert difference(open_upright(png(np.dstack([grey, alpha]), 4)), white) < 1
    palette = picture().quantize(8)
    indices, table = np.asarray(palette), np.reshape(palette.getpalette() or [], (-1, 3))
    found = open_upright(encoded(palette, transparency=bytes([0, 128] + [255] * 6)))
    alphas = np.array([0, 128] + [255] * 6)
    assert difference(found, on_white(table[indices], alphas[indices])) < 1


def test_one_colour_of_a_png_may_be_transparent() -> None:
    colours = pixels()
    colours[:10] = (1, 2, 3)
    found = np.asarray(open_upright(png(colours, 2, (b"tRNS", b"\0\1\0\2\0\3"))))
    colours[:10] = 255
    assert np.array_equal(found, colours)


@pytest.mark.parametrize(
    ("size", "levels", "decoded"),
    [
        ((640, 480), 6, (160, 120)),  # a quarter is twice the target; an eighth would be blurred
        ((640, 480), 2, (320, 240)),  # it holds no more than a half
        ((640, 480), 1, (640, 480)),
        ((641, 483), 6, (321, 242)),  # of this one Pillow can't read the quarter
    ],
)
def test_a_jpeg_2000_is_decoded_in_the_smallest_of_its_sizes_that_stays_sharp(
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
    levels: int,
    decoded: tuple[int, int],
) -> None:
    whole = picture(seed=5).resize(size, Image.Resampling.BICUBIC)
    data = encoded(whole, "JPEG2000", num_resolutions=levels)
    sizes: list[tuple[int, int]] = []
    flatten = module._flatten

    def look(file: ImageFile.ImageFile) -> Image.Image:
        sizes.append(file.size)
        return flatten(file)

    monkeypatch.setattr(module, "_flatten", look)
    found = decode(data, lambda *_: (80, 60))
    assert sizes == [decoded]
    assert (found.info.width, found.info.height) == size
    assert difference(found.image, whole.resize((80, 60), Image.Resampling.BICUBIC)) < 2
    assert open_upright(data).size == size


def grey_file(values: NDArray[Any], kind: str) -> bytes:
    return encoded(Image.fromarray(values), kind)


def test_greys_of_16_bits_keep_their_whole_range() -> None:
    ramp = np.linspace(0, 65535, 96 * 64).reshape(64, 96)
    expected = np.dstack([ramp / 257] * 3)
    for data in (
        png(ramp.astype(np.uint16), 0),
        grey_file(ramp.astype(np.uint16), "TIFF"),
        grey_file(ramp.astype(np.int32), "PPM"),
        grey_file(ramp.astype(np.int32), "TIFF"),
    ):
        assert difference(open_upright(data), expected) < 1


def sixteen_bits(values: NDArray[np.uint16]) -> list[bytes]:
    return [
        png(values, 0),
        grey_tiff(values, 16),
        grey_tiff(values, 16, order=">"),
        grey_file(values, "TIFF"),
        grey_file(values, "JPEG2000"),
        grey_file(values.astype(np.int32), "PPM"),
    ]


@pytest.mark.parametrize("highest", [200, 4095, 65535])
@pytest.mark.parametrize("width", [96, 33])
def test_greys_are_scaled_by_the_bit_depth_of_the_file_and_not_by_their_own(
    highest: int, width: int
) -> None:
    values = np.linspace(0, highest, width * 64).reshape(64, width).round().astype(np.uint16)
    files = [(data, 65535) for data in sixteen_bits(values)]
    if highest <= 4095:
        files.append((grey_tiff(values, 12), 4095))
    for data, white in files:
        expected = np.rint(values * (255 / white)).astype(np.uint8)
        np.testing.assert_array_equal(np.asarray(open_upright(data)), np.dstack([expected] * 3))


def test_greys_of_16_bits_that_count_from_white_are_no_negative() -> None:
    values = np.linspace(0, 65535, 96 * 64).reshape(64, 96).round().astype(np.uint16)
    expected = np.dstack([np.rint((65535 - values) / 257)] * 3)
    found = open_upright(grey_tiff(values, 16, white_is_zero=True))
    np.testing.assert_array_equal(np.asarray(found), expected)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 255), (-5, 5), (0, 1e6), (3, 3)])
def test_floating_point_greys_are_scaled_to_what_can_be_seen(low: float, high: float) -> None:
    ramp = np.linspace(0, 1, 96 * 64).reshape(64, 96)
    data = grey_file((low + ramp * (high - low)).astype(np.float32), "TIFF")
    expected = ramp * 255 if low < high else np.full_like(ramp, 3)
    assert difference(open_upright(data), np.dstack([expected] * 3)) < 1


def test_a_floating_point_picture_may_hold_what_is_no_number() -> None:
    values = np.full((64, 96), 0.5, np.float32)
    values[0, :3] = np.nan, np.inf, -np.inf
    found = np.asarray(open_upright(grey_file(values, "TIFF")))
    assert found[0, 0].tolist() == [0, 0, 0]
    assert found[5, 5].tolist() == [128, 128, 128]


def test_cmyk_as_adobe_writes_it_is_not_inverted() -> None:
    colours = pixels()
    for kind in ("JPEG", "TIFF"):
        found = open_upright(encoded(Image.fromarray(colours).convert("CMYK"), kind, quality=95))
        assert difference(found, colours) < 4


def test_the_first_frame_and_the_first_page_are_the_picture() -> None:
    for name in ("animated.png", "animated.webp", "pages.tif"):
        assert np.array_equal(np.asarray(open_upright(GOOD[name])), pixels(seed=40)), name
    for name in ("animated.gif", "last-frame-broken.gif", "several.mpo"):
        assert difference(open_upright(GOOD[name]), pixels(seed=40)) < 12, name


def test_formats_have_the_names_that_people_know() -> None:
    names = {
        "several.mpo": "JPEG",
        "g.heic": "HEIC",
        "h.avif": "AVIF",
        "png-inside.jpg": "PNG",
        "q.qoi": "QOI",
    }
    for name, expected in names.items():
        assert decode(GOOD[name], half).info.format == expected


def swapped_profile() -> bytes:
    """Return a profile that calls red what sRGB calls green, and the other way round."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"####").replace(b"gXYZ", b"rXYZ").replace(b"####", b"gXYZ")
    return swapped.replace("sRGB".encode("utf-16-be"), "odd!".encode("utf-16-be"))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_colours_of_another_profile_are_converted_to_srgb(kind: str) -> None:
    data = encoded(picture(), kind, icc_profile=swapped_profile(), quality=95)
    assert difference(open_upright(data), pixels()[..., [1, 0, 2]]) < 3


def test_lab_colours_are_converted_to_srgb() -> None:
    assert difference(open_upright(GOOD["lab.tif"]), pixels(seed=31)) < 2


@pytest.mark.parametrize("profile", [b"no profile", b"", swapped_profile()[:300]])
def test_a_profile_that_does_not_fit_leaves_the_colours_as_they_are(profile: bytes) -> None:
    found = open_upright(encoded(picture(), icc_profile=profile))
    assert np.array_equal(np.asarray(found), pixels())


def test_an_srgb_profile_changes_nothing() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    found = open_upright(encoded(picture(), icc_profile=srgb))
    assert np.array_equal(np.asarray(found), pixels())


def test_a_picture_that_claims_too_many_pixels_is_refused_by_its_header() -> None:
    with pytest.raises(ImageError, match="has 1200 megapixels, the limit is 250"):
        open_upright(bomb())
    side = int(MAX_DECODED_PIXELS**0.5) + 1
    with pytest.raises(ImageError, match="has 250 megapixels, the limit is 250"):
        open_upright(bomb(side, side))
    with pytest.raises(ImageError, match="damaged"):
        open_upright(bomb(side - 1, 1))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_large_pictures_are_decoded_one_at_a_time_and_small_ones_beside_them(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(module, "_LARGE", 40 * 40)
    large, small = encoded(picture(60, 40), kind), encoded(picture(30, 20), kind)
    inside, together = Counter[bool](), Counter[bool]()
    entered, small_done = threading.Event(), threading.Event()
    original = module._read

    def read(file: ImageFile.ImageFile) -> Metadata:
        is_large = file.width == 60
        inside[is_large] += 1
        together[is_large] = max(together[is_large], inside[is_large])
        if is_large:
            entered.set()
            assert small_done.wait(30)
        try:
            return original(file)
        finally:
            inside[is_large] -= 1

    monkeypatch.setattr(module, "_read", read)
    with ThreadPoolExecutor(4) as pool:
        waiting: list[Future[object]] = [pool.submit(decode, large, half) for _ in range(2)]
        waiting.append(pool.submit(open_upright, large))
        assert entered.wait(30)
        decode(small, half)
        small_done.set()
        for future in waiting:
            future.result()
    assert together == {True: 1, False: 1}


def test_no_other_program_is_started_for_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.check_call", pytest.fail)
    monkeypatch.setattr("subprocess.Popen", pytest.fail)
    with pytest.raises(ImageError, match="not a picture"):
        open_upright(BROKEN["script.jpg"])


def test_running_out_of_memory_is_worth_another_try(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    data = encoded(picture())
    monkeypatch.setattr(Image.Image, "resize", fail)
    with pytest.raises(ImageError, match="memory") as caught:
        decode(data, half)
    assert caught.value.retry


@pytest.mark.parametrize(
    "error", [KeyError("x"), StopIteration(), RecursionError(), OSError("a\nb")]
)
def test_whatever_pillow_raises_is_an_image_error(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    data = encoded(picture())
    monkeypatch.setattr(Image.Image, "resize", fail)
    with pytest.raises(ImageError, match=r"^the picture is damaged: [^\n]+$"):
        decode(data, half)


def test_exif_that_comes_after_the_pixels_turns_the_picture() -> None:
    upright = pixels()
    plain = encoded(Image.fromarray(stored(upright, 6)))
    tags = exif({ExifTags.Base.Orientation: 6}).removeprefix(b"Exif\0\0")
    end = plain.index(b"IEND") - 4
    data = plain[:end] + chunk(b"eXIf", tags) + plain[end:]
    assert np.array_equal(np.asarray(decode(data, lambda *size: size).image), upright)
    with pytest.raises(ImageError):
        open_upright(data[: end // 2])


def test_a_mistake_of_the_encoder_is_not_blamed_on_the_picture() -> None:
    def wrong(*_: int) -> tuple[int, int]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        decode(encoded(picture()), wrong)


def test_what_pillow_warns_of_is_neither_shown_nor_an_error() -> None:
    odd = png(pixels(), 2, (b"acTL", b"\0\0\0\0\0\0\0\0"))  # an animation without frames
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert np.array_equal(np.asarray(open_upright(odd)), pixels())
    assert not caught
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_upright(odd)


def test_many_threads_decode_the_same_as_one(caplog: pytest.LogCaptureFixture) -> None:
    module._srgb_transform.cache_clear()
    files = list(GOOD.values())
    alone = [np.asarray(decode(data, half).image) for data in files]
    with caplog.at_level(logging.WARNING), ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda data: np.asarray(decode(data, half).image), files * 4))
    for index, found in enumerate(together):
        assert np.array_equal(found, alone[index % len(files)])
    assert not caplog.records
