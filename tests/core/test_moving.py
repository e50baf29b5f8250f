"""Vectors go from one library to another through a file, and spare the encoder there."""

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mcp_vlsearch.core import parquet
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.parquet import VectorFile
from mcp_vlsearch.core.progress import Progress
from mcp_vlsearch.errors import CancelledError, LibraryError
from mcp_vlsearch.pins import is_pinned
from mcp_vlsearch.settings import load_settings
from tests.core.conftest import paint
from tests.core.mosaic import MosaicEncoder, vector_of


@pytest.fixture
def file(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The vectors of the photos in a file of several row groups."""
    monkeypatch.setattr(parquet, "_BLOCK_BYTES", 3 * 2 * 49)
    library.index()
    file = tmp_path / "vectors.parquet"
    report = library.cache.export(file)
    assert (report.vectors, report.fingerprint) == (10, "mosaic None")
    assert report.bytes == file.stat().st_size
    MosaicEncoder.encoded.clear()
    return file


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Library]:
    """Another library, with nothing in it."""
    with Library.open(tmp_path / "laptop", encoder="mosaic", model="colours") as opened:
        yield opened


def content(file: Path) -> pa.Table:
    return pq.read_table(file)


def rewritten(file: Path, table: pa.Table) -> Path:
    """Write a table as a file that says the same about itself."""
    other = file.with_name("other.parquet")
    metadata = pq.read_schema(file).metadata
    pq.write_table(table.replace_schema_metadata(metadata), other)
    return other


def changed(file: Path, name: str, values: pa.Array) -> Path:
    """Write a file with another column."""
    table = content(file)
    position = table.column_names.index(name)
    return rewritten(file, table.set_column(position, name, values))


def vectors_of(library: Library, photos: Path) -> dict[str, bytes]:
    found = library.image_vectors(sorted(photos.rglob("*.png")))
    return {image_id: vector.tobytes() for image_id, vector in found.values()}


def test_a_file_has_every_image_with_its_vector_and_what_made_it(
    file: Path, library: Library, photos: Path
) -> None:
    table = content(file)
    assert table.column_names == ["image_id", "fingerprint", "vector"]
    assert set(table["fingerprint"].to_pylist()) == {"mosaic None"}
    assert table.schema.field("vector").type == pa.list_(pa.float16(), 49)
    held = dict(zip(table["image_id"].to_pylist(), table["vector"].to_pylist(), strict=True))
    for path in photos.rglob("*.png"):
        image = library._catalog.records([str(path)])[str(path)].image_id
        assert image is not None
        with Image.open(path) as picture:
            assert np.asarray(held[image], np.float32) @ vector_of(picture) > 0.9999
    described = json.loads(pq.read_schema(file).metadata[b"mcp-vlsearch"])
    assert (described["name"], described["model"], described["dim"]) == ("mosaic", "colours", 49)
    assert pq.read_metadata(file).num_row_groups == 4


def test_pictures_whose_vectors_came_before_them_are_not_encoded(
    file: Path, library: Library, laptop: Library, photos: Path
) -> None:
    report = laptop.cache.import_file(file)
    assert (report.vectors, report.added, report.kept) == (10, 10, 0)
    assert laptop.search_by_text("red").total_images == 0, "their pictures are not here yet"
    laptop.allow([photos])
    done = laptop.index()
    assert (done.added, done.encoded, done.from_cache) == (10, 0, 10)
    assert MosaicEncoder.encoded == []
    assert vectors_of(laptop, photos) == vectors_of(library, photos)
    hit = laptop.search_by_image(str(photos / "0.png")).hits[0]
    assert (hit.path, hit.width, hit.height) == (str(photos / "0.png"), 64, 64)


def test_pictures_that_are_here_are_found_by_what_was_imported_at_once(
    file: Path, laptop: Library, photos: Path, tmp_path: Path
) -> None:
    laptop.allow([photos])
    with Library.open(tmp_path / "laptop", encoder="mosaic", max_pixels=8192) as other:
        other.index()
    laptop.cache.import_file(file)
    assert laptop.search_by_text("red").total_images == 10
    assert laptop.index().encoded == 0


def test_a_new_library_goes_over_to_the_encoder_of_what_it_imports(
    file: Path, photos: Path, tmp_path: Path
) -> None:
    with Library.open(tmp_path / "new") as library:
        library.cache.import_file(file)
        library.allow([photos])
    with Library.open(tmp_path / "new") as library:
        assert (library.settings.encoder, library.settings.model) == ("mosaic", "colours")
        assert library.index().encoded == 0


def of_model(file: Path, model: str) -> Path:
    """Write a file whose vectors were made with a model of this name."""
    table = content(file)
    said = json.loads(pq.read_schema(file).metadata[b"mcp-vlsearch"]) | {"model": model}
    other = file.with_name("other.parquet")
    pq.write_table(table.replace_schema_metadata({"mcp-vlsearch": json.dumps(said)}), other)
    return other


@pytest.mark.parametrize(
    "model", ["/opt/models/mine", "C:\\models\\mine", "D:/mine", "~/mine", "./mine", "..\\mine"]
)
def test_the_folder_of_a_model_on_another_machine_is_not_searched_with_but_told(
    file: Path, photos: Path, tmp_path: Path, model: str
) -> None:
    with Library.open(tmp_path / "new") as library:
        report = library.cache.import_file(of_model(file, model))
        assert (report.added, report.model) == (10, model)
        assert report.advice is not None
        assert model in report.advice
        assert "--model" in report.advice
    with Library.open(tmp_path / "new", encoder="mosaic", model="colours") as library:
        assert not is_pinned(tmp_path / "new")
        library.allow([photos])
        assert library.index().encoded == 0, "the vectors are here"
        assert library.search_by_text("red").total_images == 10
        assert [space.model for space in library.status().spaces] == ["colours"]


def test_a_model_that_is_here_or_has_no_path_is_searched_with(file: Path, tmp_path: Path) -> None:
    for number, model in enumerate((str(tmp_path), "Qwen/Some-Embedding", "storybook")):
        with Library.open(tmp_path / str(number)) as library:
            assert library.cache.import_file(of_model(file, model)).advice is None
        assert load_settings({"library": tmp_path / str(number)}, {}).model == model


def test_a_library_with_pictures_keeps_its_encoder(
    file: Path, photos: Path, tmp_path: Path
) -> None:
    with Library.open(tmp_path / "own", encoder="mosaic", max_pixels=8192) as library:
        library.allow([photos])
        library.index()
        library.cache.import_file(file)
    with Library.open(tmp_path / "own") as library:
        assert library.settings.max_pixels == 8192
        assert [space.state for space in library.status().spaces] == ["searched", "growing"]


def other_vectors(file: Path) -> Path:
    """The same images with vectors that are all the same, and a picture that nobody has."""
    table = content(file)
    row = np.zeros(49, np.float16)
    row[3] = 1
    values = pa.FixedSizeListArray.from_arrays(pa.array(np.tile(row, len(table))), 49)
    return changed(file, "vector", values)


@pytest.mark.parametrize("replace", [False, True])
def test_vectors_that_are_here_stay_unless_they_shall_be_replaced(
    file: Path, library: Library, photos: Path, replace: bool
) -> None:
    before = vectors_of(library, photos)
    report = library.cache.import_file(other_vectors(file), replace=replace)
    assert (report.replaced, report.kept) == ((10, 0) if replace else (0, 10))
    after = vectors_of(library, photos)
    assert (after == before) is not replace
    if replace:
        assert len(set(after.values())) == 1
        hits = library.search_by_image(str(photos / "0.png"), top_k=10).hits
        assert len({hit.score for hit in hits}) == 1, "the index has the new vectors"


def test_an_import_that_breaks_off_goes_on_when_it_is_done_again(
    file: Path, laptop: Library
) -> None:
    def stop(progress: Progress) -> None:
        if progress.message.startswith("importing") and progress.done >= 6:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        laptop.cache.import_file(file, report=stop)
    again = laptop.cache.import_file(file)
    assert (again.added, again.kept) == (4, 6)


def bad(file: Path, what: str) -> Path:
    """Return a file that must be refused."""
    table = content(file)
    if what == "no Parquet":
        file.write_bytes(b"words " * 1000)
    elif what == "torn":
        file.write_bytes(file.read_bytes()[:-200])
    elif what == "foreign":
        pq.write_table(pa.table({"a": [1]}), file)
    elif what == "other columns":
        return rewritten(file, table.drop_columns(["fingerprint"]))
    elif what == "another width":
        narrow = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(len(table) * 8, "f2")), 8)
        return changed(file, "vector", narrow)
    elif what == "not of norm 1":
        wide = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(len(table) * 49, "f2")), 49)
        return changed(file, "vector", wide)
    elif what == "not a number":
        wide = pa.FixedSizeListArray.from_arrays(
            pa.array(np.full(len(table) * 49, np.nan, "f2")), 49
        )
        return changed(file, "vector", wide)
    elif what == "no image ids":
        return changed(file, "image_id", pa.array(["../../x"] * len(table)))
    elif what == "another fingerprint inside":
        return changed(file, "fingerprint", pa.array(["other"] * len(table)).dictionary_encode())
    else:
        return file / what
    return file


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("no Parquet", "can't be read as Parquet"),
        ("torn", "can't be read as Parquet"),
        ("foreign", "it does not say what its vectors are"),
        ("other columns", "its columns are others"),
        ("another width", "its columns are others"),
        ("not of norm 1", "not of norm 1"),
        ("not a number", "not of norm 1"),
        ("no image ids", "no image ids"),
        ("another fingerprint inside", "several fingerprints"),
        ("missing", "can't be read as Parquet|does not exist"),
    ],
)
def test_a_file_that_is_foreign_or_torn_changes_nothing(
    file: Path, laptop: Library, what: str, said: str
) -> None:
    with pytest.raises(LibraryError, match=said) as raised:
        laptop.cache.import_file(bad(file, what))
    assert "\n" not in str(raised.value)
    assert laptop.status().spaces == []


def test_no_flipped_bit_passes_for_a_vector(file: Path) -> None:
    good = file.read_bytes()
    with VectorFile(file) as source:
        expected = {
            image: row.tobytes()
            for block in source.blocks()
            for image, row in zip(*block, strict=True)
        }
    refused = 0
    for position in range(0, len(good), 97):
        file.write_bytes(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
        try:
            with VectorFile(file) as source:
                blocks = list(source.blocks())
        except LibraryError:
            refused += 1
            continue
        assert expected == {
            image: row.tobytes() for block in blocks for image, row in zip(*block, strict=True)
        }
    assert refused > 20


def test_vectors_of_another_width_under_a_known_fingerprint_are_refused(
    file: Path, library: Library
) -> None:
    described = json.loads(pq.read_schema(file).metadata[b"mcp-vlsearch"]) | {"dim": 8}
    rows = np.zeros((10, 8), np.float16)
    rows[:, 0] = 1
    table = content(file)
    narrow = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), 8)
    table = table.set_column(2, "vector", narrow)
    other = file.with_name("narrow.parquet")
    pq.write_table(table.replace_schema_metadata({b"mcp-vlsearch": json.dumps(described)}), other)
    with pytest.raises(LibraryError, match="8 dimensions"):
        library.cache.import_file(other)


def test_an_export_that_breaks_off_leaves_the_file_of_before(file: Path, library: Library) -> None:
    before = file.read_bytes()

    def stop(progress: Progress) -> None:
        if progress.done >= 3:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        library.cache.export(file, report=stop)
    assert file.read_bytes() == before
    assert [f.name for f in file.parent.iterdir() if f.suffix == ".part"] == []


def test_an_export_into_a_folder_that_is_not_there_fails_in_one_line(
    library: Library, tmp_path: Path
) -> None:
    library.index()
    folder = tmp_path / "nowhere"
    with pytest.raises(LibraryError) as raised:
        library.cache.export(folder / "x.parquet")
    assert str(raised.value) == (
        f"{folder / 'x.parquet'} can't be written, {folder} is no folder: make it, or give "
        "another file"
    )


def test_why_an_export_fails_is_told_in_the_words_of_the_system(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "Failed to write to '/x'. Detail: [errno 28]")

    monkeypatch.setattr("mcp_vlsearch.core.moving.write", full)
    with pytest.raises(LibraryError, match=r"can't be written \(No space left on device\): give"):
        library.cache.export(tmp_path / "x.parquet")


def test_an_export_of_an_empty_library_says_to_index_first(laptop: Library, tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="index first"):
        laptop.cache.export(tmp_path / "x.parquet")


def test_a_fingerprint_is_exported_by_its_beginning(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    library.index()
    with Library.open(tmp_path / "library", max_pixels=8192) as other:
        other.index([photos / "trip"])
    report = library.cache.export(tmp_path / "x.parquet", "mosaic 8")
    assert (report.fingerprint, report.vectors) == ("mosaic 8192", 5)
    with pytest.raises(LibraryError, match="several fingerprints begin with 'mosaic'"):
        library.cache.export(tmp_path / "x.parquet", "mosaic")


def test_images_without_files_are_exported_too(library: Library, photos: Path) -> None:
    paint(photos / "gone.png", 70)
    library.index()
    library.remove([photos / "gone.png"])
    assert library.cache.export(photos.parent / "x.parquet").vectors == 11


def described_as(file: Path, **described: object) -> Path:
    """Write a file that says something else of what made it."""
    known = json.loads(pq.read_schema(file).metadata[b"mcp-vlsearch"])
    metadata = {b"mcp-vlsearch": json.dumps(known | described)}
    other = file.with_name("told.parquet")
    pq.write_table(content(file).replace_schema_metadata(metadata), other)
    return other


def test_no_file_says_where_pictures_are_sent(file: Path, laptop: Library) -> None:
    foreign = {"encoder_url": "http://elsewhere.example", "max_pixels": 8192, "roots": ["/"]}
    laptop.cache.import_file(described_as(file, choices=foreign))
    config = (laptop.settings.library / "config.toml").read_text()
    assert "max_pixels = 8192" in config
    assert "elsewhere" not in config
    assert "roots" not in config


def test_choices_that_are_none_change_nothing(file: Path, laptop: Library) -> None:
    with pytest.raises(LibraryError, match="choices that are none; nothing of it was taken"):
        laptop.cache.import_file(described_as(file, choices={"max_pixels": "many"}))
    assert laptop.status().spaces == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_a_pipe_is_neither_replaced_nor_waited_for(library: Library, tmp_path: Path) -> None:
    library.index()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(LibraryError, match="not a regular file"):
        library.cache.export(pipe)
    with pytest.raises(LibraryError, match="not a regular file"):
        library.cache.import_file(pipe)
    assert pipe.is_fifo()


def test_an_export_to_a_link_goes_where_it_leads(library: Library, tmp_path: Path) -> None:
    library.index()
    link, target = tmp_path / "link.parquet", tmp_path / "target.parquet"
    link.symlink_to(target)
    library.cache.export(link)
    assert link.is_symlink()
    assert target.is_file()


def test_an_export_replaces_nothing_but_an_export(file: Path, library: Library) -> None:
    library.cache.export(file)
    picture = file.with_name("holiday.png")
    picture.write_bytes(b"a picture")
    with pytest.raises(LibraryError, match="holds something else: give another file"):
        library.cache.export(picture)
    assert picture.read_bytes() == b"a picture"
    table = file.with_name("sales.parquet")
    pq.write_table(pa.table({"sold": [1, 2]}), table)
    before = table.read_bytes()
    with pytest.raises(LibraryError, match="holds something else: give another file"):
        library.cache.export(table)
    assert table.read_bytes() == before
