"""Indexing knows new, changed, moved, unchanged and gone files, and forgets nothing by accident."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from mcp_vlsearch.core import intake
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.progress import Progress
from mcp_vlsearch.errors import (
    CancelledError,
    EncoderError,
    ImageError,
    LibraryError,
    RootError,
)
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.types import IndexReport
from tests import pictures
from tests.core.conftest import paint
from tests.core.mosaic import MosaicEncoder, vector_of

pytestmark = pytest.mark.end_to_end

REPOSITORY = Path(__file__).parents[2]


def changes(report: IndexReport) -> dict[str, int]:
    """Return the counts that are not zero."""
    names = ("added", "updated", "moved", "unchanged", "removed", "failed", "encoded", "from_cache")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def state(library: Library) -> list[tuple[str, str, bytes]]:
    """Return everything that can be found: path, image and its nearest vectors' scores."""
    found = []
    for path, record in sorted(library._catalog.known("/").items()):
        image = record.image_id or ""
        vector = library.search_by_image(image, top_k=3).model_dump_json(exclude={"seconds"})
        found.append((path, image, vector.encode()))
    return found


def before_listing(monkeypatch: pytest.MonkeyPatch, happen: Callable[[Path], None]) -> None:
    """Let something happen before a folder is opened."""
    open_file = os.open

    def late(path: str, flags: int, *mode: int, **more: int) -> int:
        if Path(path).is_dir():
            happen(Path(path))
        return open_file(path, flags, *mode, **more)

    monkeypatch.setattr(os, "open", late)


def refuse_to_list(monkeypatch: pytest.MonkeyPatch, refused: Path) -> None:
    def refuse(folder: Path) -> None:
        if folder == refused:
            raise PermissionError(13, "Permission denied")

    before_listing(monkeypatch, refuse)


def test_a_first_run_encodes_every_picture_once(library: Library) -> None:
    report = library.index()
    assert changes(report) == {"added": 10, "encoded": 10}
    assert (report.scanned, report.total_images) == (10, 10)


def test_a_second_run_reads_no_file(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    library.index()

    def refuse(path: str) -> bytes:
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(intake, "read_file", refuse)
    assert changes(library.index()) == {"unchanged": 10}


def test_a_run_that_encoded_gives_memory_back_to_the_system_at_its_end(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[bool] = []
    monkeypatch.setattr("mcp_vlsearch.core.library.give_memory_back", lambda: given.append(True))
    library.index()
    assert given == [True]
    library.index()
    assert given == [True], "there was nothing to free"


def test_a_renamed_folder_encodes_nothing(library: Library, photos: Path) -> None:
    library.index()
    (photos / "trip").rename(photos / "journey")
    assert changes(library.index()) == {"moved": 5, "unchanged": 5, "from_cache": 5}
    hit = library.search_by_image(str(photos / "journey" / "3.png")).hits[0]
    assert (hit.path, hit.other_paths) == (str(photos / "journey" / "3.png"), [])


def test_a_file_that_moves_to_another_root_is_moved(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    library.index()
    attic = tmp_path / "attic"
    attic.mkdir()
    (photos / "0.png").rename(attic / "0.png")
    library.allow([attic])
    assert changes(library.index([attic])) == {"moved": 1, "from_cache": 1}
    assert changes(library.index()) == {"unchanged": 10}


def test_a_changed_file_is_encoded_again(library: Library, photos: Path) -> None:
    library.index()
    paint(photos / "0.png", 100)
    os.utime(photos / "0.png", ns=(1, 1))
    assert changes(library.index()) == {"updated": 1, "unchanged": 9, "encoded": 1}
    assert library.status().images == 10


def test_a_touched_file_is_read_and_not_encoded(library: Library, photos: Path) -> None:
    library.index()
    os.utime(photos / "0.png", ns=(1, 1))
    assert changes(library.index()) == {"unchanged": 10, "from_cache": 1}
    assert changes(library.index()) == {"unchanged": 10}


def test_a_deleted_file_is_forgotten_and_costs_nothing_when_it_comes_back(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    library.index()
    shutil.move(photos / "0.png", tmp_path / "kept.png")
    assert changes(library.index()) == {"unchanged": 9, "removed": 1}
    assert library.search_by_text("red", top_k=100).total_images == 9
    shutil.move(tmp_path / "kept.png", photos / "0.png")
    assert changes(library.index()) == {"added": 1, "unchanged": 9, "from_cache": 1}
    assert library.search_by_image(str(photos / "0.png")).hits[0].path == str(photos / "0.png")


def test_two_copies_are_one_image_with_two_paths(library: Library, photos: Path) -> None:
    shutil.copy(photos / "0.png", photos / "copy.png")
    assert changes(library.index()) == {"added": 11, "encoded": 10}
    hit = library.search_by_image(str(photos / "0.png")).hits[0]
    assert [hit.path, *hit.other_paths] == [str(photos / "0.png"), str(photos / "copy.png")]


@pytest.mark.parametrize("leave", ["nothing", "an empty folder"])
def test_a_root_that_is_offline_loses_nothing(
    library: Library, photos: Path, tmp_path: Path, leave: str
) -> None:
    library.index()
    photos.rename(tmp_path / "unmounted")
    if leave == "an empty folder":
        photos.mkdir()
    report = library.index()
    assert report.removed == 0
    assert "offline" in report.failures[0].error
    assert report.total_images == 10
    if leave == "an empty folder":
        photos.rmdir()
    (tmp_path / "unmounted").rename(photos)
    assert changes(library.index()) == {"unchanged": 10}


def test_a_folder_that_cannot_be_read_loses_nothing(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index()
    (photos / "trip" / "3.png").unlink()
    refuse_to_list(monkeypatch, photos / "trip")
    report = library.index()
    assert report.removed == 0
    assert report.total_images == 10
    assert [failure.path for failure in report.failures] == [str(photos / "trip")]


def test_a_root_within_a_folder_that_cannot_be_read_is_indexed(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint(photos / "trip" / "day" / "new.png", 60)
    library.allow([photos / "trip" / "day"])
    refuse_to_list(monkeypatch, photos / "trip")
    assert changes(library.index()) == {"added": 6, "failed": 1, "encoded": 6}


def test_a_root_that_goes_away_during_the_scan_loses_nothing(
    library: Library, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index()

    def unplug(folder: Path) -> None:
        if folder == photos / "trip":
            photos.rename(tmp_path / "unplugged")

    before_listing(monkeypatch, unplug)
    report = library.index()
    assert (report.removed, report.total_images) == (0, 10)


def test_a_file_that_becomes_a_folder_is_gone_and_what_is_in_the_folder_is_found(
    library: Library, photos: Path
) -> None:
    library.index()
    (photos / "0.png").unlink()
    paint(photos / "0.png" / "inside.png", 80)
    assert changes(library.index()) == {"added": 1, "unchanged": 9, "removed": 1, "encoded": 1}
    assert changes(library.index()) == {"unchanged": 10}


def test_a_file_that_is_renamed_in_case_only_is_known_by_its_new_name_only(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the file system finds it by the old name, too."""
    paint(photos / "flower.png", 60)
    library.index()
    (photos / "flower.png").rename(photos / "Flower.PNG")
    status = os.lstat

    def in_any_case(path: str | Path) -> os.stat_result:
        names = {there.name.casefold(): there for there in Path(path).parent.iterdir()}
        return status(names.get(Path(path).name.casefold(), path))

    monkeypatch.setattr(os, "lstat", in_any_case)
    library.index()
    assert sorted(library._catalog.known(str(photos), recursive=False)) == sorted(
        str(path) for path in photos.iterdir() if path.name != "trip"
    )
    assert changes(library.index()) == {"unchanged": 11}


def test_a_folder_that_becomes_a_file_is_that_file(library: Library, photos: Path) -> None:
    paint(photos / "album.png" / "a.png", 80)
    library.index()
    shutil.rmtree(photos / "album.png")
    paint(photos / "album.png", 81)
    assert changes(library.index()) == {"added": 1, "unchanged": 10, "removed": 1, "encoded": 1}


def test_a_file_that_becomes_something_else_is_gone_and_named(
    library: Library, photos: Path
) -> None:
    library.index()
    (photos / "0.png").unlink()
    os.mkfifo(photos / "0.png")
    assert changes(library.index()) == {"unchanged": 9, "removed": 1, "failed": 1}


def test_files_behind_links_are_known_again(library: Library, photos: Path, tmp_path: Path) -> None:
    """They come last in the scan, and in the order of their paths in the catalog."""
    paint(tmp_path / "album" / "a.png", 90)
    paint(tmp_path / "album" / "b.png", 91)
    library.allow([tmp_path / "album"])
    (photos / "0-album").symlink_to(tmp_path / "album")
    (photos / "z-album").symlink_to(tmp_path / "album")
    assert changes(library.index([photos])) == {"added": 12, "encoded": 12}
    assert changes(library.index([photos])) == {"unchanged": 12}
    (tmp_path / "album" / "a.png").unlink()
    assert changes(library.index([photos])) == {"unchanged": 11, "removed": 1}


def test_a_file_below_two_roots_is_forgotten_once(library: Library, photos: Path) -> None:
    hidden = paint(photos / ".private" / "x.png", 70)
    paint(photos / ".private" / "y.png", 71)
    library.allow([hidden.parent, photos / "trip"])
    library.index()
    hidden.unlink()
    (photos / "trip" / "1.png").unlink()
    assert changes(library.index()) == {"unchanged": 10, "removed": 2}


def test_names_that_are_not_utf_8_are_told_and_stop_nothing(library: Library, photos: Path) -> None:
    paint(photos / os.fsdecode(b"caf\xe9.png"), 70)
    paint(photos / os.fsdecode(b"f\xfcr") / "x.png", 71)
    paint(photos / "two\nlines\x1b.png", 72)
    for _ in range(2):
        report = library.index()
        told = [f["path"] for f in json.loads(report.model_dump_json().encode())["failures"]]
        assert told == [str(photos / "caf\\udce9.png"), str(photos / "f\\udcfcr")]
    assert (report.unchanged, report.scanned) == (11, 13)
    assert [one.path for one in library.failures()] == told
    assert library.status().failed == 2
    (photos / os.fsdecode(b"caf\xe9.png")).rename(photos / "café.png")
    report = library.index()
    assert (report.added, report.failed) == (1, 1)
    assert [one.path for one in library.failures()] == told[1:]


def test_links_that_lead_to_no_picture_are_failures_that_are_kept_until_they_do(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    paint(tmp_path / "elsewhere.png", 70)
    (photos / "out.png").symlink_to(tmp_path / "elsewhere.png")
    (photos / "away.png").symlink_to(photos / "nothing.png")
    for _ in range(2):
        report = library.index()
        kept = {Path(one.path).name: one.error for one in library.failures()}
        assert kept == {Path(one.path).name: one.error for one in report.failures}
        assert set(kept) == {"out.png", "away.png"}
    assert (library.status().files, library.status().failed) == (12, 2)
    paint(photos / "nothing.png", 71)
    assert changes(library.index()) == {"added": 2, "unchanged": 10, "failed": 1, "encoded": 1}
    (photos / "out.png").unlink()
    library.index()
    assert library.failures() == []


def test_a_known_picture_that_is_away_for_now_is_no_failure_but_stays(
    library: Library, photos: Path
) -> None:
    (photos / "link.png").symlink_to(photos / "trip" / "far.png")
    paint(photos / "trip" / "far.png", 70)
    library.index()
    (photos / "trip" / "far.png").unlink()
    library.index()
    with library._database.read() as connection:
        query = "SELECT image_id IS NOT NULL FROM files WHERE path = ?"
        assert connection.execute(query, (str(photos / "link.png"),)).fetchone() == (1,)


def test_a_path_that_is_not_utf_8_is_refused_with_what_to_do(
    library: Library, photos: Path
) -> None:
    paint(photos / os.fsdecode(b"f\xfcr") / "x.png", 71)
    folder = photos / os.fsdecode(b"f\xfcr")
    (photos / "link").symlink_to(folder)
    for path in (folder, photos / "link", folder / "x.png"):
        for refuse in (library.allow, library.index, library.remove):
            with pytest.raises(RootError, match="is not UTF-8: rename it") as error:
                refuse([path])
            str(error.value).encode()


def test_files_outside_the_named_paths_stay_as_they_are(library: Library, photos: Path) -> None:
    library.index()
    (photos / "0.png").unlink()
    assert changes(library.index([photos / "trip"])) == {"unchanged": 5}
    assert changes(library.index([photos / "0.png"])) == {"removed": 1}


def test_without_recursion_folders_below_are_left_alone(library: Library) -> None:
    assert changes(library.index(recursive=False)) == {"added": 5, "encoded": 5}
    library.index()
    assert changes(library.index(recursive=False)) == {"unchanged": 5}


def test_force_encodes_everything_again_and_finds_the_same(library: Library) -> None:
    library.index()
    before = state(library)
    assert changes(library.index(force=True)) == {"unchanged": 10, "encoded": 10}
    assert state(library) == before
    assert library.status().index.vectors == 10


def test_another_fingerprint_encodes_again_beside_the_first(
    library: Library, tmp_path: Path
) -> None:
    library.index()
    with Library.open(tmp_path / "library", max_pixels=8192) as other:
        assert changes(other.index()) == {"unchanged": 10, "encoded": 10}
        assert other.search_by_text("red").total_images == 10
    assert changes(library.index()) == {"unchanged": 10}
    assert library.search_by_text("red").total_images == 10


def test_every_good_picture_is_indexed_and_every_bad_file_is_named(
    library: Library, photos: Path
) -> None:
    bad = {str(p) for p in pictures.write_files(photos / "bad", pictures.broken_files())}
    report = library.index()
    assert {failure.path for failure in report.failures} == bad
    assert (report.added, report.failed) == (10, len(bad))
    assert all(failure.error and "\n" not in failure.error for failure in report.failures)
    again = library.index()
    assert (again.unchanged, again.failed, again.encoded) == (10, len(bad), 0)


def sum_of(report: IndexReport) -> int:
    return report.added + report.updated + report.moved + report.unchanged + report.failed


def test_what_was_scanned_is_what_was_indexed_and_what_failed(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    (photos / "broken.png").write_bytes(b"no picture")
    (photos / "trip" / "way-out.png").symlink_to(paint(tmp_path / "private" / "x.png", 1))
    (photos / "trip" / os.fsdecode(b"caf\xe9.png")).write_bytes(b"")
    os.mkfifo(photos / "fifo.png")
    pictures.write_files(photos / "bad", pictures.broken_files())
    unplugged = paint(tmp_path / "drive" / "y.png", 2).parent
    library.allow([unplugged])
    library.index()
    unplugged.rename(tmp_path / "unplugged")
    (photos / "0.png").rename(photos / "moved.png")
    (photos / "2.png").unlink()
    paint(photos / "4.png", 100)
    os.utime(photos / "4.png", ns=(1, 1))
    paint(photos / "new.png", 101)
    offline, failing = 1, 4 + len(pictures.broken_files())
    for force in (False, True):
        report = library.index([photos, photos / "trip", unplugged], force=force)
        assert report.scanned == sum_of(report) == 10 + failing + offline
        assert report.failed == len(report.failures) == failing + offline
        assert len({failure.path for failure in report.failures}) == report.failed
    assert (report.unchanged, report.removed) == (10, 0)


def test_a_folder_that_cannot_be_listed_is_counted_as_scanned_and_failed(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_list(monkeypatch, photos / "trip")
    report = library.index()
    assert (report.scanned, report.added, report.failed) == (6, 5, 1)


def test_a_cancelled_run_keeps_finished_batches_and_goes_on(library: Library) -> None:
    def stop(progress: Progress) -> None:
        if progress.total and progress.done >= 4:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        library.index(report=stop)
    assert library.status().images == 4
    assert changes(library.index()) == {"added": 6, "unchanged": 4, "encoded": 6}


def index_in_a_process(library: Path, photos: Path, model: str) -> subprocess.CompletedProcess[str]:
    """Index in a process of its own; print how many pictures it encoded."""
    script = f"""
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.plugins import BUILT_IN
from tests.core.mosaic import MosaicEncoder

BUILT_IN["encoders"]["mosaic"] = "tests.core.mosaic:MosaicEncoder"
with Library.open({str(library)!r}, encoder="mosaic", model={model!r}) as library:
    library.allow([{str(photos)!r}])
    library.index()
print(sum(MosaicEncoder.encoded))
"""
    path = os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY)])
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False
    )


def test_a_killed_run_goes_on_to_the_state_of_an_undisturbed_one(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    killed = index_in_a_process(tmp_path / "killed", photos, "dies:2")
    assert killed.returncode == -9, killed.stderr
    again = index_in_a_process(tmp_path / "killed", photos, "colours")
    assert again.returncode == 0, again.stderr
    assert int(again.stdout) == 2, "two batches of four were finished before"
    library.index()
    with Library.open(tmp_path / "killed", encoder="mosaic", model="colours") as survivor:
        assert state(survivor) == state(library)


def test_what_another_process_indexes_is_found_at_the_next_search(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    library.index()
    assert library.search_by_text("red").total_images == 10
    new = paint(photos / "new.png", 50)
    (photos / "0.png").unlink()
    done = index_in_a_process(tmp_path / "library", photos, "colours")
    assert done.returncode == 0, done.stderr
    assert library.search_by_image(str(new)).hits[0].path == str(new)
    assert library.search_by_text("red", top_k=100).total_images == 10


def test_a_picture_is_never_paired_with_the_vector_of_another(
    library: Library, photos: Path
) -> None:
    library.index()
    for path in photos.rglob("*.png"):
        image = library._catalog.records([str(path)])[str(path)].image_id
        assert image is not None
        cached = library._spaces.current(lambda _: None).embeddings.vector(image)
        assert cached is not None
        assert float(cached @ vector_of(Image.open(path))) > 0.9999


def test_a_path_outside_the_roots_is_refused(library: Library, tmp_path: Path) -> None:
    outside = paint(tmp_path / "private" / "x.png", 1)
    (tmp_path / "photos" / "way-out").symlink_to(outside.parent)
    for path in (
        outside,
        tmp_path / "photos" / ".." / "private",
        tmp_path / "photos/way-out/x.png",
    ):
        with pytest.raises(RootError, match="outside the roots"):
            library.index([path])
    assert library.index().added == 10, "links that lead out of the roots are not followed"


def test_a_root_that_was_a_single_picture_and_is_gone_does_not_stop_the_others(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    alone = paint(tmp_path / "alone.png", 71)
    library.allow([alone])
    assert library.index().failed == 0
    alone.unlink()
    assert library.index().removed == 1
    paint(photos / "new.png", 72)
    assert library.index().added == 1
    paint(alone, 73)
    assert library.index().added == 1


def test_a_link_out_of_the_roots_is_no_failure_any_more_once_its_place_is_allowed(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    outside = paint(tmp_path / "private" / "x.png", 1).parent
    (photos / "way-out").symlink_to(outside)
    assert library.index().failed == 1
    assert library.index().failed == library.status().failed == 1
    library.allow([outside])
    assert library.index().failed == library.status().failed == 0
    assert library.failures() == []


def test_indexing_without_any_root_says_how_to_allow_one(tmp_path: Path) -> None:
    with (
        Library.open(tmp_path / "empty", encoder="mosaic") as library,
        pytest.raises(RootError, match="mcp-vlsearch index FOLDER"),
    ):
        library.index()


def test_a_read_only_library_is_searched_and_not_changed(library: Library, tmp_path: Path) -> None:
    library.index()
    with Library.open(tmp_path / "library", read_only=True) as reader:
        assert reader.search_by_text("red").total_images == 10
        with pytest.raises(LibraryError, match="read-only"):
            reader.index()
        with pytest.raises(LibraryError, match="read-only"):
            reader.remove(["x"])


def test_the_first_run_pins_encoder_and_model_for_later_ones(
    library: Library, tmp_path: Path
) -> None:
    library.index()
    with Library.open(tmp_path / "library") as later:
        assert (later.settings.encoder, later.settings.model) == ("mosaic", "colours")


def test_removed_files_are_forgotten_and_stay_on_disk(library: Library, photos: Path) -> None:
    library.index()
    report = library.remove([photos / "trip", photos / "0.png", photos / "no-such.png"])
    assert (report.removed, report.total_images) == (6, 4)
    assert len(list(photos.rglob("*.png"))) == 10
    assert library.search_by_text("red", top_k=100).total_images == 4
    assert changes(library.index())["added"] == 6
    assert sum(MosaicEncoder.encoded) == 10


def test_a_root_inside_another_that_goes_offline_loses_nothing(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    library.allow([photos / "trip"])
    library.index()
    (photos / "trip").rename(tmp_path / "unplugged")
    report = library.index()
    assert (report.removed, report.total_images) == (0, 10)
    online = {root.path: root.online for root in library.status().roots}
    assert online == {str(photos): True, str(photos / "trip"): False}


def test_a_hidden_folder_that_is_a_root_of_its_own_is_kept(library: Library, photos: Path) -> None:
    hidden = paint(photos / ".private" / "x.png", 70).parent
    library.allow([hidden])
    assert library.index().added == 11
    assert changes(library.index()) == {"unchanged": 11}


def test_every_named_folder_is_looked_at_even_inside_another(
    library: Library, photos: Path
) -> None:
    report = library.index([photos, photos / "trip"], recursive=False)
    assert report.added == 10
    assert changes(library.index([photos, photos / "trip"])) == {"unchanged": 10}


def test_a_single_file_that_is_allowed_allows_nothing_beside_it(
    tmp_path: Path, photos: Path
) -> None:
    with Library.open(tmp_path / "single", encoder="mosaic") as library:
        library.allow([photos / "0.png"])
        assert changes(library.index()) == {"added": 1, "encoded": 1}
        with pytest.raises(RootError, match="outside the roots"):
            library.index([photos / "2.png"])
        (photos / "0.png").unlink()
        assert changes(library.index()) == {"removed": 1}


def test_a_file_that_cannot_be_read_for_now_keeps_its_image(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index()
    before = state(library)

    def fail(path: str, _allows: object) -> bytes:
        raise ImageError(f"{Path(path).name} is on a disk that dropped out", retry=True)

    monkeypatch.setattr(intake, "read_file", fail)
    report = library.index(force=True)
    assert (report.failed, report.total_images) == (10, 10)
    assert state(library) == before


def test_a_renamed_root_that_only_the_settings_name_is_moved(tmp_path: Path, photos: Path) -> None:
    with Library.open(tmp_path / "shared", encoder="mosaic", roots=[photos]) as library:
        library.index()
    renamed = photos.rename(tmp_path / "pictures")
    with Library.open(tmp_path / "shared", roots=[renamed]) as library:
        assert changes(library.index()) == {"moved": 10, "from_cache": 10}


def test_a_link_is_removed_by_its_own_path(library: Library, photos: Path) -> None:
    link = photos / "link.png"
    link.symlink_to(photos / "trip" / "3.png")
    library.index()
    assert library.remove([link]).removed == 1
    target = str(photos / "trip" / "3.png")
    assert set(library._catalog.records([str(link), target])) == {target}


def test_a_server_on_an_empty_library_follows_what_the_first_index_pins(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    with Library.open(tmp_path / "library") as server:
        library.index()
        assert server.search_by_image(str(photos / "0.png")).total_images == 10
        assert server.status().encoder.name == "mosaic"


def test_what_vectors_depend_on_is_pinned_with_the_model(tmp_path: Path, photos: Path) -> None:
    with Library.open(tmp_path / "tiny", encoder="mosaic", max_pixels=8192) as library:
        library.allow([photos])
        library.index()
    with Library.open(tmp_path / "tiny") as later:
        assert later.settings.max_pixels == 8192
        assert later.search_by_text("red").total_images == 10


def test_searching_under_other_settings_says_what_was_indexed_with(
    library: Library, tmp_path: Path
) -> None:
    library.index()
    with (
        Library.open(tmp_path / "library", max_pixels=8192) as other,
        pytest.raises(LibraryError, match="colours, fp32, 49 dimensions"),
    ):
        other.search_by_text("red")


def test_an_encoder_that_was_replaced_after_a_failure_uses_its_own_fingerprint(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: MosaicEncoder) -> None:
        raise EncoderError("damaged: download it again")

    with monkeypatch.context() as patch:
        patch.setattr(MosaicEncoder, "load", fail)
        with pytest.raises(EncoderError, match="damaged"):
            library.index()
    original = MosaicEncoder.__init__

    def renamed(self: MosaicEncoder, settings: Settings) -> None:
        original(self, settings)
        self.fingerprint = "mended"

    monkeypatch.setattr(MosaicEncoder, "__init__", renamed)
    library.index()
    assert library._spaces.current(lambda _: None).embeddings.fingerprint == "mended"
    assert library.search_by_text("red").total_images == 10


def test_a_file_that_fails_the_first_time_is_allowed_no_more(
    library: Library, tmp_path: Path
) -> None:
    library.index()
    broken, good = tmp_path / "broken.png", paint(tmp_path / "good.png", 77)
    broken.write_bytes(b"no picture")
    roots = library.roots()
    library.allow([broken, good])
    report = library.index([broken, good])
    assert [Path(failure.path).name for failure in report.failures] == ["broken.png"]
    assert (report.added, report.failed) == (1, 1)
    assert library.roots() == sorted([*roots, str(good)])
    assert library.status().failed == 0
    good.write_bytes(b"no picture any more")
    assert library.index([good]).failed == 1
    assert str(good) in library.roots(), "it was indexed before"
