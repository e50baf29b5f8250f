"""A PDF or a video is one file with several images: they come, go and are found like others."""

import base64
import io
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mcp_vlsearch.core import parted, scan
from mcp_vlsearch.core.digest import image_id, part_id
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.picture import open_known
from mcp_vlsearch.core.progress import Progress
from mcp_vlsearch.errors import CancelledError, ImageError, MissingExtraError, QueryError
from mcp_vlsearch.types import Filters, Hit, IndexReport
from tests.core.mosaic import MosaicEncoder, vector_of
from tests.core.test_indexing import REPOSITORY, changes
from tests.parted_files import BLUE, GREEN, LOCKED, RED, scene, write_pdf, write_video

pytestmark = pytest.mark.end_to_end

PAGES = (RED, GREEN, BLUE)


def found(library: Library, colour: tuple[int, int, int], **options: object) -> list[Hit]:
    """Return what a search for a picture of a colour finds."""
    data = io.BytesIO()
    Image.new("RGB", (64, 32), colour).save(data, "PNG")
    uri = f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"
    return library.search_by_image(uri, **options).hits  # type: ignore[arg-type]


def first(library: Library, colour: tuple[int, int, int]) -> tuple[str, str | None]:
    hit = found(library, colour)[0]
    return Path(hit.path).name, hit.part


def is_consistent(library: Library) -> bool:
    """Say whether what is counted is what is there."""
    with library._database.read() as connection:
        held = connection.execute(
            "SELECT COUNT(*) FROM images WHERE source IN (SELECT image_id FROM files)"
        ).fetchone()[0]
        entries = connection.execute("SELECT COUNT(*) FROM entries").fetchone()[0]
    return (held, entries) == (library._catalog.counts().images,) * 2


def names(report: IndexReport) -> dict[str, str]:
    return {Path(failure.path).name: failure.error for failure in report.failures}


def test_pages_are_images_of_their_own_and_the_file_is_one(library: Library, photos: Path) -> None:
    write_pdf(photos / "book.pdf", PAGES)
    report = library.index()
    assert changes(report) == {"added": 11, "encoded": 13}
    assert (report.scanned, report.total_images) == (11, 13)
    status = library.status()
    assert (status.files, status.images, status.failed) == (11, 13, 0)
    for number, colour in enumerate(PAGES, 1):
        hit = found(library, colour)[0]
        assert (Path(hit.path).name, hit.part, hit.format) == ("book.pdf", f"page={number}", "PDF")
        source = image_id((photos / "book.pdf").read_bytes())
        assert hit.image_id == part_id(source, f"page={number}")
        assert (hit.width, hit.height) == (417, 208)
        assert hit.score > 0.99
    assert is_consistent(library)


def test_moments_of_a_video_are_found_with_their_time(library: Library, photos: Path) -> None:
    scenes = [scene(seed) for seed in (50, 51, 52)]
    write_video(photos / "film.mp4", [(picture, 3.0) for picture in scenes])
    assert changes(library.index()) == {"added": 11, "encoded": 13}
    scenes[1].save(photos.parent / "wanted.png")
    library.allow([photos.parent / "wanted.png"])
    hit = library.search_by_image(str(photos.parent / "wanted.png")).hits[0]
    assert (Path(hit.path).name, hit.format) == ("film.mp4", "MP4")
    assert 3 <= float(str(hit.part).removeprefix("t=")) < 5
    assert hit.score > 0.98


def test_a_second_run_reads_nothing(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pdf(photos / "book.pdf", PAGES)
    write_video(photos / "film.mp4", [(scene(1), 1.0)])
    library.index()

    def refuse(path: str) -> object:
        raise AssertionError(f"{path} was opened")

    monkeypatch.setattr(parted, "open_file", refuse)
    assert changes(library.index()) == {"unchanged": 12}


def test_a_renamed_pdf_takes_its_pages_along(library: Library, photos: Path) -> None:
    write_pdf(photos / "book.pdf", PAGES)
    library.index()
    (photos / "book.pdf").rename(photos / "trip" / "novel.pdf")
    assert changes(library.index()) == {"moved": 1, "unchanged": 10, "from_cache": 3}
    assert first(library, GREEN) == ("novel.pdf", "page=2")
    assert sum(MosaicEncoder.encoded) == 13
    assert is_consistent(library)


def test_a_removed_pdf_takes_its_pages_along_and_costs_nothing_when_it_is_back(
    library: Library, photos: Path
) -> None:
    path = write_pdf(photos / "book.pdf", PAGES)
    library.index()
    data = path.read_bytes()
    path.unlink()
    assert changes(library.index()) == {"removed": 1, "unchanged": 10}
    assert library.status().images == 10
    assert not [hit for hit in found(library, RED) if hit.part]
    path.write_bytes(data)
    assert changes(library.index()) == {"added": 1, "unchanged": 10, "from_cache": 3}
    assert first(library, RED) == ("book.pdf", "page=1")
    assert library.remove([path]).total_images == 10
    assert is_consistent(library)


def test_a_changed_pdf_has_its_new_pages_only(library: Library, photos: Path) -> None:
    write_pdf(photos / "book.pdf", PAGES)
    library.index()
    write_pdf(photos / "book.pdf", [BLUE, BLUE, RED, GREEN])
    assert changes(library.index()) == {"updated": 1, "unchanged": 10, "encoded": 4}
    assert library.status().images == 14
    assert first(library, RED) == ("book.pdf", "page=3")
    assert is_consistent(library)


def test_two_equal_pdfs_are_one_set_of_images(library: Library, photos: Path) -> None:
    write_pdf(photos / "a.pdf", PAGES)
    shutil.copy(photos / "a.pdf", photos / "trip" / "b.pdf")
    assert changes(library.index()) == {"added": 12, "encoded": 13}
    hit = found(library, RED)[0]
    assert (Path(hit.path).name, [Path(p).name for p in hit.other_paths]) == ("a.pdf", ["b.pdf"])
    (photos / "a.pdf").unlink()
    library.index()
    assert library.status().images == 13
    assert first(library, RED) == ("b.pdf", "page=1")
    assert is_consistent(library)


def test_broken_and_locked_files_are_told_and_stop_nothing(library: Library, photos: Path) -> None:
    write_pdf(photos / "locked.pdf", [RED], encrypt=LOCKED)
    (photos / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    (photos / "broken.mp4").write_bytes(b"no video at all" * 99)
    report = library.index()
    assert changes(report) == {"added": 10, "failed": 3, "encoded": 10}
    said = names(report)
    assert said["locked.pdf"] == "the PDF needs a password: save a copy without one"
    assert said["broken.pdf"].startswith("the PDF is damaged")
    assert said["broken.mp4"].startswith("the file is not a video that can be read")
    again = library.index()
    assert (changes(again), names(again)) == ({"unchanged": 10, "failed": 3}, said)


def test_a_pdf_with_a_broken_page_keeps_the_others_and_names_it(
    library: Library, photos: Path
) -> None:
    write_pdf(photos / "torn.pdf", [RED, None, BLUE])
    report = library.index()
    assert changes(report) == {"added": 11, "encoded": 12}
    assert names(report) == {"torn.pdf": "page=2: the page is damaged: export the PDF again"}
    assert first(library, BLUE) == ("torn.pdf", "page=3")
    again = library.index()
    assert changes(again) == {"unchanged": 11}
    assert names(again) == names(report)
    assert again.scanned == 11
    assert (library.status().failed, is_consistent(library)) == (0, True)
    shutil.copy(photos / "torn.pdf", photos / "copy.pdf")
    assert names(library.index()) == {
        **names(report),
        "copy.pdf": "page=2: the page is damaged: export the PDF again",
    }


def test_filters_and_roots_hold_for_pages(library: Library, photos: Path, tmp_path: Path) -> None:
    write_pdf(photos / "trip" / "book.pdf", PAGES, info="/CreationDate (D:20240506070809Z)")
    with Library.open(tmp_path / "fenced", encoder="mosaic", roots=(photos,)) as whole:
        whole.index()
    library.index()
    inside = found(library, RED, filters=Filters(folder=str(photos / "trip")), top_k=50)
    assert len(inside) == 5 + 3
    assert len(found(library, RED, filters=Filters(format="pdf"), top_k=50)) == 3
    taken = Filters.model_validate({"taken_after": "2024-05-01", "taken_before": "2024-06-01"})
    assert len(found(library, RED, filters=taken, top_k=50)) == 3
    with Library.open(tmp_path / "fenced", encoder="mosaic", roots=(photos / "trip",)) as fenced:
        assert len(found(fenced, RED, top_k=50)) == 5 + 3
        assert fenced.status().images == 5 + 3
        assert fenced.status().index.vectors == 5 + 3


def test_a_search_grouped_by_file_gives_as_many_files_as_asked_for(
    library: Library, photos: Path
) -> None:
    shades = [(255 - n, n, 0) for n in range(40)]
    write_pdf(photos / "red.pdf", shades)
    library.index()
    plain = found(library, RED, top_k=5)
    assert [hit.part is not None for hit in plain] == [True] * 5
    grouped = found(library, RED, top_k=5, group_by_file=True)
    assert len({hit.path for hit in grouped}) == len(grouped) == 5
    assert [hit.rank for hit in grouped] == [1, 2, 3, 4, 5]
    assert grouped[0] == plain[0]
    assert len(found(library, RED, top_k=50, group_by_file=True)) == 11


def test_a_known_part_is_seen_again_and_searched_with(library: Library, photos: Path) -> None:
    path = write_pdf(photos / "book.pdf", PAGES)
    library.index()
    hit = found(library, BLUE)[0]
    image = open_known(hit.image_id, library._roots(), library._catalog)
    assert (image.mode, image.size) == ("RGB", (hit.width, hit.height))
    assert image.getpixel((9, 9)) == BLUE
    assert library.search_by_image(hit.image_id).hits[0].image_id == hit.image_id
    composed = library.search_by_image(hit.image_id, text="blue", top_k=50, group_by_file=True)
    assert hit.image_id not in {other.image_id for other in composed.hits}
    assert len(composed.hits) == 11
    assert library.search_by_image(str(path)).hits[0].part == "page=1"
    path.unlink()
    with pytest.raises(ImageError, match="or index its folder again"):
        open_known(hit.image_id, library._roots(), library._catalog)


def test_a_picture_is_opened_by_its_id_as_before(library: Library, photos: Path) -> None:
    library.index()
    digest = image_id((photos / "0.png").read_bytes())
    seen = open_known(digest, library._roots(), library._catalog)
    assert seen.tobytes() == Image.open(photos / "0.png").tobytes()


def test_a_picture_is_opened_by_its_id_from_a_file_that_still_holds_it(
    library: Library, photos: Path
) -> None:
    shutil.copy(photos / "0.png", photos / "00.png")
    library.index()
    digest = image_id((photos / "0.png").read_bytes())
    Image.new("RGB", (40, 30), BLUE).save(photos / "0.png")
    seen = open_known(digest, library._roots(), library._catalog)
    assert seen.tobytes() == Image.open(photos / "00.png").tobytes()
    (photos / "00.png").unlink()
    with pytest.raises(ImageError, match="no file that can be read holds image"):
        open_known(digest, library._roots(), library._catalog)


def test_a_pdf_that_is_not_indexed_says_so_when_searched_with(
    library: Library, photos: Path
) -> None:
    library.index()
    path = write_pdf(photos / "new.pdf", PAGES)
    with pytest.raises(QueryError, match="is not indexed: index it"):
        library.search_by_image(str(path))


@pytest.mark.parametrize("is_known", [True, False])
def test_a_locked_pdf_says_so_when_searched_with(
    library: Library, photos: Path, is_known: bool
) -> None:
    if not is_known:
        library.index()
    path = write_pdf(photos / "locked.pdf", [RED], encrypt=LOCKED)
    if is_known:
        library.index()
    with pytest.raises(ImageError, match="needs a password: save a copy without one"):
        library.search_by_image(str(path))


def test_a_long_pdf_comes_in_batches_and_goes_on_where_it_was_stopped(
    library: Library, photos: Path
) -> None:
    shades = [(255 - 5 * n, 5 * n, 0) for n in range(40)]
    write_pdf(photos / "a long one.pdf", shades)

    def stop(_: Progress) -> None:
        if sum(MosaicEncoder.encoded) >= 24:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        library.index(report=stop)
    assert max(MosaicEncoder.encoded) == 4
    assert library.status().images == 5  # those before it; of itself nothing is found yet
    assert is_consistent(library)
    before = sum(MosaicEncoder.encoded)
    report = library.index()
    expected = {"added": 6, "unchanged": 5, "encoded": 50 - before, "from_cache": before - 5}
    assert changes(report) == expected
    assert library.status().images == 50
    assert is_consistent(library)


def test_a_process_that_is_killed_in_the_middle_of_a_pdf_leaves_no_half_of_it(
    library: Library, photos: Path
) -> None:
    write_pdf(photos / "a long one.pdf", [(255 - 5 * n, 5 * n, 0) for n in range(40)])
    library.index([photos / "0.png"])
    folder = library.settings.library
    program = f"""
from mcp_vlsearch.plugins import BUILT_IN
BUILT_IN["encoders"]["mosaic"] = "tests.core.mosaic:MosaicEncoder"
from mcp_vlsearch.core.library import Library
with Library.open({str(folder)!r}, encoder="mosaic", model="dies:6") as library:
    library.index()
"""
    killed = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert is_consistent(library)
    assert not [hit for hit in found(library, RED, top_k=50) if hit.part]
    report = library.index()
    assert report.from_cache >= 12
    assert (report.total_images, is_consistent(library)) == (50, True)


def test_the_number_of_pages_and_moments_is_bounded_by_settings(
    library: Library, photos: Path
) -> None:
    write_pdf(photos / "book.pdf", [RED, GREEN, BLUE, RED, GREEN])
    write_video(photos / "film.mp4", [(scene(seed), 1.5) for seed in range(20, 26)])
    library.index()
    assert library.status().images == 10 + 5 + 6
    with Library.open(
        library.settings.library,
        encoder="mosaic", model="colours", pdf_pages=2, video_moments=3,
    ) as bounded:  # fmt: skip
        assert changes(bounded.index()) == {"unchanged": 12}
        bounded.index(force=True)
        assert bounded.status().images == 10 + 2 + 3
        assert is_consistent(bounded)


def test_a_file_with_some_parts_that_the_encoder_refuses_keeps_the_others(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pdf(photos / "book.pdf", [RED] * 3 + [GREEN] + [BLUE] * 9)
    encode = MosaicEncoder.encode_images

    def refuse_green(self: MosaicEncoder, images: list[Image.Image]) -> object:
        if any(image.getpixel((5, 5)) == GREEN for image in images):
            raise ValueError("no green")
        return encode(self, images)

    with monkeypatch.context() as patch:
        patch.setattr(MosaicEncoder, "encode_images", refuse_green)
        report = library.index()
    assert changes(report) == {"added": 11, "encoded": 22}
    [(name, error)] = names(report).items()
    assert name == "book.pdf"
    assert error.startswith("1 of 13 parts: the encoder fails on this picture")
    assert is_consistent(library)
    assert changes(library.index()) == {"unchanged": 11, "encoded": 1, "from_cache": 12}
    assert first(library, GREEN) == ("book.pdf", "page=4")


def test_a_change_of_model_waits_for_all_pages(library: Library, photos: Path) -> None:
    write_pdf(photos / "book.pdf", PAGES)
    library.index()
    with Library.open(library.settings.library, encoder="mosaic", max_pixels=5000) as other:
        assert changes(other.index()) == {"unchanged": 11, "encoded": 13}
        states = {space.state: space.vectors for space in other.status().spaces}
    assert states == {"searched": 13, "old": 13}


def test_vectors_of_pages_move_to_another_machine(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    write_pdf(photos / "book.pdf", PAGES)
    library.index()
    library.cache.export(tmp_path / "vectors.parquet")
    with Library.open(tmp_path / "other", encoder="mosaic", model="colours") as other:
        other.cache.import_file(tmp_path / "vectors.parquet")
        other.allow([photos])
        assert changes(other.index()) == {"added": 11, "from_cache": 13}
        assert first(other, GREEN) == ("book.pdf", "page=2")


def test_unused_vectors_of_pages_are_pruned_and_used_ones_are_not(
    library: Library, photos: Path
) -> None:
    path = write_pdf(photos / "book.pdf", PAGES)
    library.index()
    assert library.cache.prune(unused=True).unused == 0
    path.unlink()
    library.index()
    assert library.cache.prune(unused=True).unused == 3
    assert library.status().images == 10


@pytest.fixture
def no_extras(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the packages of the extras be missing."""
    with monkeypatch.context() as patch:
        patch.setattr(parted, "_is_there", lambda _: False)
        scan._suffixes.cache_clear()
        yield
    scan._suffixes.cache_clear()


@pytest.mark.usefixtures("no_extras")
def test_without_the_extras_such_files_are_passed_by_and_named_ones_say_what_to_install(
    library: Library, photos: Path
) -> None:
    book = write_pdf(photos / "book.pdf", PAGES)
    film = write_video(photos / "film.mp4", [(scene(1), 1.0)])
    assert changes(library.index()) == {"added": 10, "encoded": 10}
    for path, extra in ((book, "pdf"), (film, "video")):
        with pytest.raises(MissingExtraError, match=rf"pip install 'mcp-vlsearch\[{extra}\]'"):
            library.index([path])
        with pytest.raises(MissingExtraError, match=extra):
            library.allow([path])
    assert library.status().not_read == [
        "PDF pages: pip install 'mcp-vlsearch[pdf]'",
        "moments of videos: pip install 'mcp-vlsearch[video]'",
    ]


def test_pages_stay_where_the_extra_goes(
    library: Library, photos: Path, request: pytest.FixtureRequest
) -> None:
    write_pdf(photos / "book.pdf", PAGES)
    library.index()
    assert library.status().not_read == []
    request.getfixturevalue("no_extras")
    assert changes(library.index()) == {"unchanged": 10}
    assert first(library, RED) == ("book.pdf", "page=1")


def test_pages_and_moments_are_seen_with_their_place(library: Library, photos: Path) -> None:
    book = write_pdf(photos / "book.pdf", PAGES)
    write_video(photos / "film.mp4", [(scene(60), 2.0)])
    library.index()
    page = found(library, BLUE)[0].image_id
    moment = found(library, RED, filters=Filters(format="MP4"))[0].image_id
    for _ in range(2):  # decoded, then from the thumbnails
        view = library.view([page, moment, str(book)], layout="single")
        shown = [Image.open(io.BytesIO(image.jpeg)).convert("RGB") for image in view.images]
        assert [image.name for image in view.images] == [
            "book.pdf (page=3)",
            "film.mp4 (t=0)",
            "book.pdf (page=1)",
        ]
        for picture, colour in zip((shown[0], shown[2]), (BLUE, RED), strict=True):
            assert np.abs(np.asarray(picture).reshape(-1, 3).mean(axis=0) - colour).max() < 8
        assert float(vector_of(shown[1]) @ vector_of(scene(60))) > 0.98
    write_pdf(photos / "book.pdf", [GREEN] * 7)
    shutil.rmtree(library.settings.library / "thumbnails", ignore_errors=True)
    assert "no file that can be read holds" in library.view([page, moment]).images[0].error
    new = write_pdf(photos / "new.pdf", PAGES)
    assert "is not indexed" in library.view([str(new), moment]).images[0].error


def test_small_copies_of_pages_stay_while_their_file_does(library: Library, photos: Path) -> None:
    path = write_pdf(photos / "book.pdf", PAGES)
    library.index()
    library.view([hit.image_id for hit in found(library, RED, top_k=50)])
    assert library.cache.prune(unused=True, dry_run=True).thumbnails == 0
    path.unlink()
    library.index()
    assert library.cache.prune(unused=True).thumbnails == len(PAGES)
