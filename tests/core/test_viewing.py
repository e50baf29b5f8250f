"""Pictures to look at: on a numbered sheet or one by one, small enough, below the roots."""

import io
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.sheet import MAX_BYTES, MAX_EDGE, Cell, draw_grid, fitting_jpeg
from mcp_vlsearch.core.thumbnails import FOLDER, SIZES, Thumbnails
from mcp_vlsearch.errors import CancelledError, ImageError, QueryError
from tests.pictures import picture

GONE = "0123456789abcdef"


def decoded(jpeg: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(jpeg))
    assert image.format == "JPEG"
    image.load()
    return image


def noise(size: int, seed: int = 0) -> Image.Image:
    """Return the picture that takes the most bytes."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8))


def difference(one: Image.Image, other: Image.Image) -> float:
    """Return how far pixels are apart on average, from 0 to 255."""
    first, second = (np.asarray(image.convert("RGB"), np.float32) for image in (one, other))
    return float(np.abs(first - second).mean())


def ids(library: Library) -> list[str]:
    """Return the ids of all images, by their paths."""
    hits = library.search_by_image(next(iter(library._catalog.known(root(library)))), top_k=50).hits
    return [hit.image_id for hit in sorted(hits, key=lambda hit: hit.path)]


def root(library: Library) -> str:
    return library._catalog.roots()[0]


@pytest.fixture
def indexed(library: Library) -> Library:
    library.index()
    return library


def kept(library: Library) -> list[Path]:
    return sorted((library.settings.library / FOLDER).glob("*/*"))


def test_a_sheet_holds_every_picture_in_its_cell_in_the_order_given() -> None:
    colours = [(200, 30, 30), (30, 160, 40), (40, 60, 200), (220, 200, 40), (120, 40, 160)]
    cells = [Cell(n, f"{n}.png", Image.new("RGB", (900, 600), c)) for n, c in enumerate(colours, 1)]
    sheet = np.asarray(draw_grid(cells)).astype(int)
    middles = []
    for colour in colours:
        rows, columns = np.nonzero((np.abs(sheet - colour) < 8).all(-1))
        assert len(rows) > 100_000, "pictures take most of the sheet"
        middles.append((round(rows.mean(), -2), columns.mean()))
    assert middles == sorted(middles), "row by row, from the left"


@pytest.mark.parametrize("count", [1, 2, 3, 7, 12, 50])
@pytest.mark.parametrize("size", [(64, 64), (640, 360), (400, 1600)])
def test_sheets_of_any_number_are_within_their_bounds(count: int, size: tuple[int, int]) -> None:
    sheet = draw_grid([Cell(n, "name", Image.new("RGB", size)) for n in range(1, count + 1)])
    assert max(sheet.size) <= MAX_EDGE
    if size == (640, 360) and count == 50:
        assert max(sheet.size) > 0.9 * MAX_EDGE, "the room is used"


def test_captions_that_are_too_long_and_letters_without_a_font_do_no_harm() -> None:
    names = ["a" * 255 + ".jpg", "雪地里的猫.jpg", "\U0001f600.png", "", "a b\tc"]
    sheet = draw_grid([Cell(n, name, None, "no " * 90) for n, name in enumerate(names, 1)])
    assert sheet.width <= MAX_EDGE


def test_numbers_and_names_can_be_read_in_the_smallest_cells() -> None:
    blank, named = (
        draw_grid([Cell(n, name, Image.new("RGB", (320, 240))) for n in range(1, 51)])
        for name in ("", "IMG_0042.jpg")
    )
    rows, _ = np.nonzero(np.asarray(blank.convert("L")) != np.asarray(named.convert("L")))
    first = rows[rows < rows.min() + 60]
    assert 9 <= first.max() - first.min() <= 30, "letters have ten pixels and more"


@pytest.mark.parametrize("limit", [900_000, 50_000, 4_000])
def test_a_jpeg_is_as_large_as_fits(limit: int) -> None:
    fitted = fitting_jpeg(noise(700), limit)
    assert limit / 4 < len(fitted) <= limit


@pytest.mark.parametrize("size", [(3, 3000), (3000, 3)])
def test_a_picture_that_is_thinner_than_a_pixel_when_small_keeps_none_from_being_shown(
    size: tuple[int, int],
) -> None:
    thin = picture(*size)
    sheet = draw_grid([Cell(1, "thin", thin), Cell(2, "usual", picture(60, 40))])
    assert max(sheet.size) <= MAX_EDGE
    assert min(decoded(fitting_jpeg(thin, MAX_BYTES, 300)).size) == 1


def test_images_are_shown_by_id_and_by_path_in_the_order_given(
    indexed: Library, photos: Path
) -> None:
    first, second = ids(indexed)[:2]
    path = photos / "4.png"
    view = indexed.view([second, str(path), first], layout="single")
    assert view.sheet == b""
    assert [image.position for image in view.images] == [1, 2, 3]
    for image in view.images:
        source = Image.open(next(photos.rglob(image.name)))
        assert difference(decoded(image.jpeg), source) < 6
    assert view.images[1].name == "4.png"


def test_a_file_below_a_root_is_shown_though_it_is_not_indexed(
    library: Library, photos: Path
) -> None:
    assert library.view([str(photos / "2.png")], layout="single").images[0].jpeg


def test_pictures_are_shown_upright(library: Library, photos: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    lying = picture(120, 80)
    lying.save(photos / "lying.jpg", quality=95, exif=exif)
    [image] = library.view([str(photos / "lying.jpg")], layout="single").images
    assert difference(decoded(image.jpeg), lying.transpose(Image.Transpose.ROTATE_270)) < 4


def test_one_that_cannot_be_shown_is_an_empty_cell_or_a_line(
    indexed: Library, photos: Path, tmp_path: Path
) -> None:
    (photos / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "secret.png").write_bytes((photos / "0.png").read_bytes())
    images = [
        ids(indexed)[0], GONE, str(photos / "broken.jpg"), str(photos / "gone.png"),
        str(tmp_path / "secret.png"), "https://example.com/a.png",
    ]  # fmt: skip
    view = indexed.view(images, layout="single")
    reasons = ["", "no image", "not a picture", "can't be read", "outside the", "not opened"]
    for image, reason in zip(view.images, reasons, strict=True):
        assert reason in image.error
        assert bool(image.jpeg) is (reason == "")
    sheet = indexed.view(images)
    assert [image.error for image in sheet.images] == [image.error for image in view.images]
    assert decoded(sheet.sheet).width > 300


def test_where_none_can_be_shown_the_error_says_why(indexed: Library) -> None:
    with pytest.raises(ImageError, match=f"^no image {GONE} in this library: search"):
        indexed.view([GONE])
    with pytest.raises(
        ImageError, match=r"none of the 2 images can be shown; search again: 1. .*; 2. .*outside"
    ):
        indexed.view([GONE, "/etc/hostname"], layout="single")


@pytest.mark.parametrize("count", [0, 51])
def test_a_number_of_images_that_is_not_given_is_refused(indexed: Library, count: int) -> None:
    with pytest.raises(QueryError, match=f"{count} images given: give 1 to 50"):
        indexed.view([GONE] * count)


def test_what_comes_fits_into_a_clients_megabyte(library: Library, photos: Path) -> None:
    for seed in range(8):
        noise(900, seed).save(photos / f"noise-{seed}.png")
    images = [str(photos / f"noise-{seed}.png") for seed in range(8)] * 2
    view = library.view(images, layout="single")
    assert MAX_BYTES / 3 < sum(len(image.jpeg) for image in view.images) <= MAX_BYTES
    assert len(library.view(images).sheet) <= MAX_BYTES
    assert MAX_BYTES * 4 / 3 < 950_000, "in base64"


def test_a_single_picture_is_large_and_never_enlarged(library: Library, photos: Path) -> None:
    picture(4000, 3000).save(photos / "large.jpg")
    [large] = library.view([str(photos / "large.jpg")], layout="single").images
    assert decoded(large.jpeg).size == (MAX_EDGE, 1176)
    [small] = library.view(
        [str(photos / "1.png").replace("1.png", "0.png")], layout="single"
    ).images
    assert decoded(small.jpeg).size == (64, 64)


def test_small_copies_are_kept_and_used(indexed: Library, photos: Path) -> None:
    some = ids(indexed)
    shown = indexed.view(some).sheet
    assert {file.name for file in kept(indexed)} == {f"{i}-{SIZES[1]}.small" for i in some}
    for file in photos.rglob("*.png"):
        file.rename(file.with_suffix(".away"))
    again = decoded(indexed.view(some).sheet)
    assert difference(decoded(shown), again) < 3, "also while its files are away"


def test_a_library_that_lies_below_a_root_does_not_index_its_small_copies(photos: Path) -> None:
    with Library.open(photos / "library", encoder="mosaic") as library:
        library.allow([photos])
        before = library.index().total_images
        library.view([str(path) for path in photos.rglob("*.png")])
        assert kept(library)
        assert library.index().total_images == before


def test_an_image_is_not_shown_for_another_that_its_file_holds_now(
    indexed: Library, photos: Path
) -> None:
    digest = ids(indexed)[0]
    name = indexed.view([digest], layout="single").images[0].name
    picture(seed=9).save(photos / name)
    for size in SIZES:
        indexed._thumbnails.remove([digest])
        with pytest.raises(ImageError, match="no file that can be read holds"):
            indexed.view([digest] * (1 if size == SIZES[1] else 30))
    assert kept(indexed) == []
    changed = decoded(indexed.view([str(photos / name)], layout="single").images[0].jpeg)
    assert difference(changed, picture(seed=9)) < 6


def test_a_library_with_roots_of_its_own_shows_no_images_outside_them(
    photos: Path, tmp_path: Path
) -> None:
    """Another server has indexed them, and even kept small copies."""
    flags = {"encoder": "mosaic", "model": "colours"}
    folder = tmp_path / "shared"
    with Library.open(folder, roots=(photos,), **flags) as other:
        other.index()
        every = [h.image_id for h in other.search_by_image(str(photos / "0.png"), top_k=20).hits]
        assert other.view(every)
    assert len(list((folder / FOLDER).glob("*/*"))) == len(every)
    with Library.open(folder, roots=(photos / "trip",), **flags) as fenced:
        view = fenced.view(every, layout="single")
    shown = {image.name for image in view.images if image.jpeg}
    assert shown == {f"{seed}.png" for seed in range(1, 10, 2)}
    assert {image.error for image in view.images if not image.jpeg} == {
        f"no image {digest} in this library: search for it again"
        for digest, image in zip(every, view.images, strict=True)
        if not image.jpeg
    }


def test_a_forgotten_image_is_not_shown(indexed: Library, photos: Path) -> None:
    digest = ids(indexed)[0]
    indexed.view([digest] * 7)
    indexed.remove([photos])
    with pytest.raises(ImageError, match="no image"):
        indexed.view([digest] * 7)


def test_nothing_is_written_by_a_read_only_library(indexed: Library) -> None:
    some = ids(indexed)
    with Library.open(indexed.settings.library, read_only=True) as reader:
        assert reader.view(some).sheet
    assert not (indexed.settings.library / FOLDER).exists()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user whom modes hold")
def test_a_folder_that_cannot_be_written_does_no_harm_to_a_user(indexed: Library) -> None:
    indexed.settings.library.chmod(0o500)
    try:
        assert indexed.view(ids(indexed)).sheet
    finally:
        indexed.settings.library.chmod(0o700)


def test_copies_that_cannot_be_written_or_are_damaged_do_no_harm(indexed: Library) -> None:
    some = ids(indexed)
    (indexed.settings.library / FOLDER).write_bytes(b"a file is in the way")
    assert indexed.view(some).sheet
    (indexed.settings.library / FOLDER).unlink()
    indexed.view(some)
    for file in kept(indexed):
        file.write_bytes(file.read_bytes()[:100])
    assert indexed.view(some).sheet


def test_the_call_can_be_stopped(indexed: Library) -> None:
    def stop(_: object) -> None:
        raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        indexed.view(ids(indexed), report=stop)


def test_copies_stay_below_their_bound_and_the_used_ones_stay(tmp_path: Path) -> None:
    copies = Thumbnails(tmp_path, max_bytes=400_000)
    size = SIZES[0]
    for number in range(40):
        copies.put(f"{number:016x}", size, noise(160, number))
        file = tmp_path / FOLDER / "00" / f"{number:016x}-{size}.small"
        os.utime(file, (number, number))
        assert copies.get("0" * 16, size), "it is used, so it is new"
    total = sum(file.stat().st_size for file in (tmp_path / FOLDER).glob("*/*"))
    one = file.stat().st_size
    assert 200_000 < total <= 400_000 + 400_000 / 16 + one
    assert f"{39:016x}" in copies.images()
    assert f"{1:016x}" not in copies.images()


def test_many_threads_may_keep_and_bound_copies_at_once(tmp_path: Path) -> None:
    failures: list[object] = []

    def work(seed: int) -> None:
        copies = Thumbnails(tmp_path, max_bytes=100_000)
        try:
            for number in range(20):
                copies.put(f"{number:016x}", SIZES[0], noise(90, seed))
                small = copies.get(f"{number % 5:016x}", SIZES[0])
                assert small is None or small.size == (90, 90)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert all(file.suffix == ".small" for file in (tmp_path / FOLDER).glob("*/*"))


def test_pruning_takes_the_copies_of_images_without_files_or_all(
    indexed: Library, photos: Path
) -> None:
    some = ids(indexed)
    indexed.view(some)
    indexed.remove([photos / "trip"])
    planned = indexed.cache.prune(unused=True, dry_run=True)
    assert (planned.thumbnails, len(kept(indexed))) == (5, 10)
    assert planned.freed > 0
    assert indexed.cache.prune().thumbnails == 0
    assert indexed.cache.prune(unused=True).thumbnails == 5
    assert len(kept(indexed)) == 5
    assert indexed.cache.prune(thumbnails=True).thumbnails == 5
    assert kept(indexed) == []
