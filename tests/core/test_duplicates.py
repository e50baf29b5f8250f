"""Copies are grouped around the picture to keep, whatever the vectors say of near misses."""

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mcp_vlsearch.core import lookbook
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.look import is_copy, look_of
from mcp_vlsearch.core.progress import Progress
from mcp_vlsearch.errors import CancelledError, QueryError, RootError
from mcp_vlsearch.storybook.changes import change
from mcp_vlsearch.storybook.drawing import draw
from mcp_vlsearch.storybook.scene import sample_scene
from mcp_vlsearch.types import Filters
from mcp_vlsearch.types.copies import NOT_DELETED, DuplicateGroup, DuplicateReport
from tests.core.conftest import paint
from tests.core.mosaic import vector_of
from tests.parted_files import BLUE, GREEN, RED, scene, write_pdf, write_video
from tests.pictures import exif

pytestmark = pytest.mark.end_to_end

PIXELS = 192 * 192
ORIENTATION = 0x112


def save_family(folder: Path, number: int) -> Image.Image:
    """Write a scene, copies of every kind, and near misses of it."""
    rng = random.Random(f"copies {number}")
    scene = sample_scene(rng, "held-out")
    image = draw(scene, PIXELS)
    width, height = image.size
    name = f"{number}"
    image.save(folder / f"{name}.png")
    image.resize((width // 2, height // 2)).save(folder / f"{name}-half.jpg", quality=60)
    image.save(folder / f"{name}-again.jpg", quality=40)
    image.crop((width // 20, 0, width, height - height // 25)).save(folder / f"{name}-cut.webp")
    turned = image.transpose(Image.Transpose.ROTATE_90)
    turned.save(folder / f"{name}-turned.jpg", quality=60, exif=exif({ORIENTATION: 6}))
    for miss in range(2):
        draw(change(scene, rng).scene, PIXELS).save(folder / f"{name}-miss{miss}.png")
    return image


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    for number in range(6):
        save_family(folder, number)
    shutil.copy(folder / "2.png", folder / "2-same.png")
    os.utime(folder / "2.png", (1_600_000_000, 1_600_000_000))
    return folder


@pytest.fixture
def gallery(tmp_path: Path, drawn: Path) -> Path:
    return Path(shutil.copytree(drawn, tmp_path / "gallery"))


@pytest.fixture
def indexed(tmp_path: Path, gallery: Path) -> Iterator[Library]:
    with Library.open(tmp_path / "library", encoder="mosaic", model="colours") as library:
        library.allow([gallery])
        library.index()
        yield library


def names(group: DuplicateGroup) -> list[str]:
    return [Path(file.path).name for file in group.files]


def by_kept(report: DuplicateReport) -> dict[str, set[str]]:
    return {names(group)[0]: set(names(group)[1:]) for group in report.groups}


def test_copies_of_every_kind_are_grouped_and_near_misses_are_not(indexed: Library) -> None:
    report = indexed.duplicates()
    copies = {"half.jpg", "again.jpg", "cut.webp", "turned.jpg"}
    expected = {f"{n}.png": {f"{n}-{copy}" for copy in copies} for n in range(6)}
    expected["2.png"].add("2-same.png")
    assert by_kept(report) == expected
    assert report.total_groups == 6
    assert report.copies == 25
    assert report.searched_images == 42
    assert report.unread == 0


def test_a_group_says_what_each_file_is_and_what_would_be_freed(
    indexed: Library, gallery: Path
) -> None:
    report = indexed.duplicates()
    [group] = [g for g in report.groups if names(g)[0] == "2.png"]
    kinds = {Path(file.path).name: file.kind for file in group.files}
    assert kinds.pop("2.png") == "kept"
    assert kinds.pop("2-same.png") == "exact"
    assert set(kinds.values()) == {"near"}
    for file in group.files:
        with Image.open(file.path) as image:
            upright = image.size[::-1] if "turned" in file.path else image.size
        assert (file.width, file.height) == upright
        assert file.bytes == Path(file.path).stat().st_size
        vectors = [
            vector_of(Image.open(gallery / name)) for name in ("2.png", Path(file.path).name)
        ]
        if "turned" not in file.path:
            assert file.similarity == pytest.approx(float(vectors[0] @ vectors[1]), abs=0.02)
    assert [f.similarity for f in group.files[:2]] == [1, 1]
    assert group.copies == 5
    assert group.bytes_freed == sum(file.bytes for file in group.files[1:])
    assert report.bytes_freed == sum(g.bytes_freed for g in report.groups)
    freed = [g.bytes_freed for g in report.groups]
    assert freed == sorted(freed, reverse=True)


def plain_groups(folder: Path, threshold: float) -> dict[str, set[str]]:
    """Compare every picture with every other one, in the order of what is worth keeping."""
    found = []
    for path in folder.iterdir():
        with Image.open(path) as image:
            upright = image.convert("RGB")
            if image.getexif().get(ORIENTATION) == 6:
                upright = upright.transpose(Image.Transpose.ROTATE_270)
        stat = path.stat()
        size = -upright.width * upright.height, -stat.st_size, stat.st_mtime_ns
        found.append((*size, path.name, vector_of(upright), look_of(upright.resize((192, 192)))))
    groups: dict[str, set[str]] = {}
    heads: list[tuple[str, np.ndarray, np.ndarray]] = []
    for *_, name, vector, look in sorted(found, key=lambda row: row[:4]):
        similar = [h for h in heads if h[1] @ vector >= threshold and is_copy(h[2], look)]
        if similar:
            groups[max(similar, key=lambda h: float(h[1] @ vector))[0]].add(name)
        else:
            heads.append((name, vector, look))
            groups[name] = set()
    return {head: copies for head, copies in groups.items() if copies}


@pytest.mark.parametrize("threshold", [0.8, 0.95, 0.98])
def test_groups_are_those_of_comparing_all_with_all(
    indexed: Library, gallery: Path, threshold: float
) -> None:
    assert by_kept(indexed.duplicates(threshold=threshold)) == plain_groups(gallery, threshold)


def test_a_group_is_around_its_kept_picture_and_no_chain(tmp_path: Path) -> None:
    folder = tmp_path / "chain"
    folder.mkdir()
    image = draw(sample_scene(random.Random(5), "held-out"), PIXELS)
    width, height = image.size
    for step in range(8):  # each is a copy of the next, the first of the last no more
        cut = round(0.04 * step * width)
        image.crop((cut, 0, width, height)).save(folder / f"{step}.png")
    with Library.open(tmp_path / "library", encoder="mosaic", model="colours") as library:
        library.allow([folder])
        library.index()
        report = library.duplicates(threshold=0.5)
    assert report.total_groups > 1
    for group in report.groups:
        kept, *copies = (look_of(Image.open(file.path).resize((192, 192))) for file in group.files)
        assert all(is_copy(kept, copy) or is_copy(copy, kept) for copy in copies)


def test_many_copies_of_one_picture_are_one_group(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    image = draw(sample_scene(random.Random(6), "held-out"), 96 * 96)
    for number in range(60):
        image.save(folder / f"{number}.jpg", quality=40 + number)
    with Library.open(tmp_path / "library", encoder="mosaic", model="colours") as library:
        library.allow([folder])
        library.index()
        [group] = library.duplicates().groups
    assert group.copies == 59
    assert len(group.files) == 10


def test_filters_narrow_both_sides_of_a_comparison(indexed: Library) -> None:
    report = indexed.duplicates(filters=Filters(format="JPEG"))
    assert by_kept(report) == {
        f"{n}-turned.jpg": {f"{n}-half.jpg", f"{n}-again.jpg"} for n in range(6)
    }
    assert report.searched_images == 18
    with pytest.raises(RootError, match="outside the roots"):
        indexed.duplicates(filters=Filters(folder="/elsewhere"))


def test_nothing_outside_the_roots_is_compared_or_shown(
    indexed: Library, gallery: Path, tmp_path: Path
) -> None:
    inside = gallery / "inside"
    inside.mkdir()
    for name in ("0.png", "0-half.jpg"):
        shutil.copy(gallery / name, inside / name)
    indexed.index()
    with Library.open(tmp_path / "library", roots=[inside]) as fenced:
        fenced._catalog.remove_roots([str(gallery)])
        report = fenced.duplicates()
    [group] = report.groups
    assert {Path(file.path).parent for file in group.files} == {inside}
    assert report.searched_images == 2


def test_only_some_groups_are_listed_and_all_are_counted(indexed: Library) -> None:
    everything = indexed.duplicates()
    report = indexed.duplicates(top_k=2)
    assert report.groups == everything.groups[:2]
    assert (report.total_groups, report.copies) == (6, 25)


def test_no_file_is_touched(indexed: Library, gallery: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in gallery.iterdir()}
    report = indexed.duplicates()
    assert {path: path.stat().st_mtime_ns for path in gallery.iterdir()} == before
    assert report.note == NOT_DELETED


def test_a_second_run_reads_no_picture(indexed: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    first = indexed.duplicates()

    def unexpected(*_: object) -> bytes:
        raise AssertionError("a picture is read again")

    monkeypatch.setattr(lookbook, "read_known", unexpected)
    assert indexed.duplicates().groups == first.groups


def test_a_read_only_library_is_compared_and_left_as_it_is(indexed: Library) -> None:
    expected = by_kept(indexed.duplicates())
    with indexed._database.write() as tables:
        tables.execute("DELETE FROM looks")
    settings = indexed.settings.model_copy(update={"read_only": True})
    with Library(settings) as library:
        assert by_kept(library.duplicates()) == expected
    with indexed._database.read() as connection:
        assert connection.execute("SELECT COUNT(*) FROM looks").fetchone() == (0,)


def test_a_picture_that_can_not_be_read_any_more_is_left_out_and_counted(
    indexed: Library, gallery: Path
) -> None:
    (gallery / "1-half.jpg").write_bytes(b"no picture any more")
    (gallery / "3-again.jpg").unlink()
    report = indexed.duplicates()
    assert report.unread == 2
    listed = {name for group in report.groups for name in names(group)}
    assert not {"1-half.jpg", "3-again.jpg"} & listed


def test_a_copy_that_is_gone_since_is_not_listed(indexed: Library, gallery: Path) -> None:
    indexed.duplicates()
    for path in gallery.glob("4-*.*"):
        if "miss" not in path.name:
            path.unlink()
    report = indexed.duplicates()
    assert "4.png" not in by_kept(report)
    assert len(report.groups) == 5


@pytest.mark.parametrize("linked", ["file", "folder", "hard"])
def test_a_file_that_is_reached_by_a_link_too_is_no_copy(
    library: Library, tmp_path: Path, linked: str
) -> None:
    """Who deleted the file for a copy of its link would have none left."""
    real = paint(tmp_path / "real" / "x.png", 90)
    link = tmp_path / "links" / "a link.png"
    link.parent.mkdir()
    if linked == "folder":
        link.symlink_to(real.parent)
    elif linked == "file":
        link.symlink_to(real)
    else:
        link.hardlink_to(real)
    library.allow([real.parent, link.parent])
    assert library.index().added == 12
    report = library.duplicates()
    assert (report.groups, report.total_groups) == ([], 0)
    assert (report.copies, report.bytes_freed) == (0, 0)
    shutil.copy(real, real.with_name("y.png"))
    library.index()
    [group] = library.duplicates().groups
    assert names(group) == ["a link.png" if linked == "hard" else "x.png", "y.png"]


def test_a_run_that_is_stopped_keeps_its_looks(
    indexed: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookbook, "_TOGETHER", 4)
    reports = 0

    def stop(_: Progress) -> None:
        nonlocal reports
        reports += 1
        if reports == 20:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        indexed.duplicates(report=stop)
    with indexed._database.read() as connection:
        (kept,) = connection.execute("SELECT COUNT(*) FROM looks").fetchone()
    assert 8 <= kept < 42
    assert len(indexed.duplicates().groups) == 6


def test_what_is_asked_for_is_checked(indexed: Library) -> None:
    with pytest.raises(QueryError, match="threshold is"):
        indexed.duplicates(threshold=0.3)
    with pytest.raises(QueryError, match="top_k is 0"):
        indexed.duplicates(top_k=0)


def test_an_empty_library_has_no_copies(library: Library) -> None:
    report = library.duplicates()
    assert (report.groups, report.searched_images) == ([], 0)


@pytest.fixture
def parted(tmp_path: Path) -> Iterator[Library]:
    """Two equal PDFs and three equal videos, the oldest one second, among others."""
    folder = tmp_path / "parted"
    write_pdf(folder / "a.pdf", [RED, GREEN])
    write_pdf(folder / "other.pdf", [RED, BLUE])
    shutil.copy(folder / "a.pdf", folder / "b.pdf")
    write_video(folder / "a.mp4", [(scene(1), 1.0), (scene(2), 1.0)])
    (folder / "below").mkdir()
    for number, name in enumerate(("b.mp4", "below/c.mp4")):
        shutil.copy(folder / "a.mp4", folder / name)
        os.utime(folder / name, (1_600_000_000 + number, 1_600_000_000 + number))
    with Library.open(tmp_path / "library", encoder="mosaic", model="colours") as library:
        library.allow([folder])
        library.index()
        yield library


def test_documents_and_films_with_the_same_bytes_are_exact_copies(parted: Library) -> None:
    report = parted.duplicates()
    assert by_kept(report) == {"a.pdf": {"b.pdf"}, "b.mp4": {"c.mp4", "a.mp4"}}
    sizes = {Path(f.path).suffix: f.bytes for group in report.groups for f in group.files}
    assert (report.total_groups, report.copies) == (2, 3)
    assert report.bytes_freed == sizes[".pdf"] + 2 * sizes[".mp4"]
    assert report.searched_images == parted.status().images
    for group in report.groups:
        assert [file.kind for file in group.files[1:]] == ["exact"] * group.copies
        assert {file.similarity for file in group.files} == {1.0}
        hit_ids = {file.image_id for file in group.files}
        assert len(hit_ids) == 1
        (shown,) = parted.view([*hit_ids]).images
        assert not shown.error, "its first page or moment can be seen"
        assert shown.name.endswith(("(page=1)", "(t=0)"))


def test_copies_of_documents_pass_the_filters_with_any_of_their_pages(parted: Library) -> None:
    assert set(by_kept(parted.duplicates(filters=Filters(format="pdf")))) == {"a.pdf"}
    assert parted.duplicates(filters=Filters(min_width=9000)).groups == []


def test_a_copy_of_a_film_that_went_is_not_listed(parted: Library, tmp_path: Path) -> None:
    (tmp_path / "parted" / "b.mp4").unlink()
    (tmp_path / "parted" / "b.pdf").unlink()
    assert by_kept(parted.duplicates()) == {"c.mp4": {"a.mp4"}}
