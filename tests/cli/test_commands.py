"""What the commands do with a library, and what they print."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from PIL import Image

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.stages import Stages
from mcp_vlsearch.errors import CancelledError
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.types import (
    IndexReport,
    LibraryStatus,
    Profile,
    RemoveReport,
    SearchResult,
    StageName,
)
from mcp_vlsearch.types.copies import DuplicateReport

from .conftest import COLOURS, REPOSITORY, Run

pytestmark = pytest.mark.end_to_end


def search(run: Run, *arguments: str | Path) -> SearchResult:
    result = run("search", *arguments, "--json")
    assert result.code == 0, result.err
    return SearchResult.model_validate_json(result.out)


def test_index_prints_the_report_as_json_and_the_progress_elsewhere(
    run: Run, pictures: Path
) -> None:
    result = run("index", pictures, "--encoder", "colours", "--json")
    report = IndexReport.model_validate_json(result.out)
    assert (result.code, report.added, report.encoded) == (0, len(COLOURS), len(COLOURS))
    assert "indexing" in result.err


def test_index_says_in_words_what_it_did_and_what_failed(run: Run, pictures: Path) -> None:
    (pictures / "broken.png").write_bytes(b"not a picture")
    result = run("index", pictures, "--encoder", "colours")
    assert result.code == 0
    assert "4 added, 1 failed" in result.out
    assert result.out.splitlines()[-1] == "encoder: rgb-4x4x4 in fp32 on cpu"
    assert f"failed: {pictures.resolve() / 'broken.png'}: " in result.err


def test_an_unknown_path_is_one_line_whatever_its_name(run: Run, indexed: Path) -> None:
    said = run("remove", indexed / "red.png", indexed / "two\nlines.png").err
    assert said.splitlines() == [f"nothing was known at or below {indexed}{os.sep}two\\nlines.png"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_a_failure_is_one_line_whatever_the_name_of_its_file(run: Run, pictures: Path) -> None:
    (pictures / "two\nlines\x1b[2J.png").write_bytes(b"not a picture")
    said = run("index", pictures, "--encoder", "colours").err.splitlines()
    [line] = [line for line in said if "two" in line]
    assert line.startswith(f"failed: {pictures.resolve()}/two\\nlines\\x1b[2J.png: ")


def test_index_fails_where_nothing_could_be_indexed(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "broken.png").write_bytes(b"not a picture")
    assert run("index", folder, "--encoder", "colours").code == 1


def test_index_of_an_empty_folder_is_done(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert run("index", tmp_path / "empty", "--encoder", "colours").code == 0


def test_index_of_a_folder_without_pictures_says_what_is_read_and_what_was_there(
    run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "texts"
    (folder / "more").mkdir(parents=True)
    for name in ("a.txt", "b.docx", ".hidden", "more/c.txt"):
        (folder / name).write_text("words")
    result = run("index", folder, "--encoder", "colours")
    assert result.out.startswith("0 files scanned")
    hint = "no file was found that can be read, only 3 of other kinds: give a folder that has "
    assert f"{hint}pictures (.jpg, .png, " in result.err
    report = json.loads(run("index", folder, "--json").out)
    assert report["next_step"].startswith(hint)


def test_index_that_finds_its_pictures_as_they_were_gives_no_hint(run: Run, indexed: Path) -> None:
    assert json.loads(run("index", indexed, "--json").out)["next_step"] == ""


def test_index_without_paths_takes_every_root(run: Run, indexed: Path) -> None:
    Image.new("RGB", (9, 9), "black").save(indexed / "black.png")
    result = run("index", "--json")
    report = IndexReport.model_validate_json(result.out)
    assert (report.added, report.unchanged) == (1, len(COLOURS))


def test_index_without_paths_or_roots_says_how_to_allow_one(run: Run) -> None:
    result = run("index", "--encoder", "colours")
    assert result.code == 1
    assert result.err.startswith("error: no library at ")
    assert result.err.endswith("with `mcp-vlsearch index FOLDER`\n")
    assert len(result.err.splitlines()) == 1


def test_index_of_a_path_that_is_not_there_fails_in_one_line(run: Run, tmp_path: Path) -> None:
    result = run("index", tmp_path / "nowhere", "--encoder", "colours")
    assert result.code == 1
    assert "nowhere does not exist" in result.err.splitlines()[-1]


def test_index_leaves_subfolders_out_on_request(run: Run, pictures: Path) -> None:
    (pictures / "deep").mkdir()
    (pictures / "red.png").rename(pictures / "deep" / "red.png")
    result = run("index", pictures, "--no-recursive", "--encoder", "colours", "--json")
    assert IndexReport.model_validate_json(result.out).added == len(COLOURS) - 1


def test_index_encodes_again_what_is_known_only_by_force(run: Run, indexed: Path) -> None:
    again = IndexReport.model_validate_json(run("index", indexed, "--json").out)
    forced = IndexReport.model_validate_json(run("index", indexed, "--force", "--json").out)
    assert (again.encoded, forced.encoded) == (0, len(COLOURS))


def test_index_says_on_request_where_the_time_went(run: Run, pictures: Path) -> None:
    result = run("index", pictures, "--encoder", "colours", "--profile")
    _, _, _, head, *rows, last = result.out.splitlines()
    assert head.split() == ["stage", "seconds", "threads", "share", "%"]
    assert {row.split()[0] for row in rows} == set(get_args(StageName))
    assert all(re.fullmatch(r"\w+ +\d+\.\d\d +\d +\d+", row) for row in rows)
    assert re.fullmatch(r"\d+\.\d s in all; .+: .+", last)
    assert "stage" not in run("index", pictures).out


def test_index_adds_the_profile_to_the_report_as_json(run: Run, pictures: Path) -> None:
    command = ("index", pictures, "--encoder", "colours", "--force", "--json")
    plain, profiled = json.loads(run(*command).out), json.loads(run(*command, "--profile").out)
    assert list(plain) == list(IndexReport.model_fields)
    profile = Profile.model_validate(profiled.pop("profile"))
    assert list(profiled) == list(plain)
    assert "encoding" in {stage.name for stage in profile.stages}


@pytest.mark.parametrize("form", ["table", "json"])
def test_index_that_is_stopped_says_where_the_time_went_so_far(
    run: Run, indexed: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    def stop(*_: object, stages: Stages, **__: object) -> None:
        with stages("reading"):
            raise CancelledError("stopped")

    monkeypatch.setattr(Library, "index", stop)
    result = run("index", indexed, "--profile", *(["--json"] if form == "json" else []))
    assert result.code == 130
    if form == "json":
        assert list(json.loads(result.out)) == ["profile"]
    else:
        assert result.out.splitlines()[1].startswith("reading ")
    assert run("index", indexed).out == ""


@pytest.mark.usefixtures("indexed")
@pytest.mark.parametrize("colour", COLOURS)
def test_search_by_text_finds_the_picture(run: Run, colour: str) -> None:
    found = search(run, colour)
    assert found.queries == [colour]
    assert found.hits[0].name == f"{colour}.png"


@pytest.mark.usefixtures("indexed")
def test_search_prints_a_table_with_the_paths_in_full(run: Run, pictures: Path) -> None:
    result = run("search", "red", "-k", "2")
    head, first, *rest = result.out.splitlines()
    assert head.split() == ["rank", "score", "relevance", "path"]
    assert first.split()[0] == "1"
    assert first.split()[-1] == str(pictures.resolve() / "red.png")
    assert len(rest) == 1


def test_search_by_picture_and_by_both_together(run: Run, indexed: Path) -> None:
    assert search(run, "--image", indexed / "blue.png").hits[0].name == "blue.png"
    composed = search(run, "red", "--image", indexed / "blue.png")
    names = [hit.name for hit in composed.hits]
    assert names[0] == "red.png"
    assert "blue.png" not in names, "the given picture is no answer"
    assert 0.6 < composed.hits[0].score < 0.8


@pytest.mark.usefixtures("indexed")
def test_search_refuses_a_picture_outside_the_roots(run: Run, tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "outside.png")
    result = run("search", "--image", tmp_path / "outside.png")
    assert result.code == 1
    assert "outside the roots" in result.err


@pytest.mark.usefixtures("indexed")
def test_search_takes_other_phrasings_exclusions_and_a_rewriter(run: Run) -> None:
    found = search(run, "red", "--alternative", "crimson", "--exclude", "blue", "-k", "1")
    assert (found.queries, found.hits[0].name) == (["red", "crimson"], "red.png")
    rewritten = search(run, "red", "--rewrite", "template")
    assert rewritten.queries[0] == "red"
    assert len(rewritten.queries) > 1


@pytest.mark.usefixtures("indexed")
def test_search_with_a_rewriter_that_can_not_be_had_says_so_in_one_line(run: Run) -> None:
    result = run("search", "red", "--rewrite", "model", "--rewrite-model", "./nowhere")
    assert result.code == 1
    assert "there is no directory './nowhere': give --rewrite-model" in result.err.splitlines()[-1]


@pytest.mark.usefixtures("indexed")
def test_search_writes_a_heat_map_for_each_hit(run: Run, tmp_path: Path) -> None:
    result = run("search", "red", "-k", "3", "--explain", tmp_path / "maps" / "red")
    assert result.code == 0, result.err
    assert f"3 heat maps written to {tmp_path / 'maps' / 'red'}" in result.err
    written = sorted((tmp_path / "maps" / "red").iterdir())
    assert [path.name[:3] for path in written] == ["001", "002", "003"]
    assert written[0].name == "001-red.jpg"
    for path in written:
        with Image.open(path) as image:
            assert image.format == "JPEG"


@pytest.mark.usefixtures("indexed")
def test_heat_maps_replace_no_file_unless_forced(run: Run, tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    maps.mkdir()
    (maps / "001-red.jpg").write_text("mine")
    command = ("search", "red", "-k", "2", "--explain", maps)
    result = run(*command)
    assert (result.code, result.out) == (2, "")
    assert result.err.splitlines()[-1] == (
        f"error: --explain: {maps / '001-red.jpg'} exists: give another name, or --force to "
        "replace it"
    )
    assert [path.read_bytes() for path in maps.iterdir()] == [b"mine"]
    assert run(*command, "--force").code == 0
    assert len(list(maps.iterdir())) == 2
    with Image.open(maps / "001-red.jpg") as image:
        assert image.format == "JPEG"


def test_a_heat_map_of_a_file_with_a_long_name_has_its_beginning(
    run: Run, indexed: Path, tmp_path: Path
) -> None:
    (indexed / "red.png").rename(indexed / f"{'é' * 124}.png")
    assert run("index").code == 0
    result = run("search", "red", "-k", "1", "--explain", tmp_path / "maps")
    assert result.code == 0, result.err
    assert [path.name for path in (tmp_path / "maps").iterdir()] == [f"001-{'é' * 100}.jpg"]


@pytest.mark.usefixtures("indexed")
def test_heat_maps_that_cannot_be_written_are_told_in_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, _: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("mcp_vlsearch.cli.written.write_whole", full)
    result = run("search", "red", "--explain", tmp_path / "maps")
    assert result.code == 2
    assert result.err.splitlines()[-1] == (
        f"error: --explain: {tmp_path / 'maps'} can't be written into (No space left on device): "
        "give another folder"
    )


@pytest.mark.usefixtures("indexed")
def test_search_explains_texts_only_and_into_folders_only(run: Run, pictures: Path) -> None:
    refused = run("search", "--image", pictures / "red.png", "--explain", pictures / "maps")
    assert (refused.code, "--explain goes with TEXT alone" in refused.err) == (2, True)
    assert run("search", "red", "--explain", pictures / "red.png").code == 2


def test_duplicates_says_which_file_to_keep_and_deletes_none(run: Run, pictures: Path) -> None:
    Image.new("RGB", (80, 60), "red").save(pictures / "large.png")
    (pictures / "same.png").write_bytes((pictures / "white.png").read_bytes())
    run("index", pictures, "--encoder", "colours")
    result = run("duplicates")
    assert result.code == 0
    blocks = [block.splitlines() for block in result.out.strip().split("\n\n")]
    found = {tuple(line.split()[0] for line in block): block for block in blocks}
    assert set(found) == {("kept", "near"), ("kept", "exact")}
    assert found["kept", "near"][0].endswith("large.png")
    assert "80 × 60" in found["kept", "near"][0]
    assert "2 copies among 5 images" in result.err
    assert "Nothing was deleted" in result.err
    assert (pictures / "same.png").exists()
    report = DuplicateReport.model_validate_json(run("duplicates", "--json").out)
    assert (report.total_groups, report.copies) == (2, 2)
    narrow = run("duplicates", "--min-width", "50", "--threshold", "0.9", "-k", "1", "--json")
    assert DuplicateReport.model_validate_json(narrow.out).searched_images == 1
    assert run("duplicates", "--threshold", "0.2").code == 2


def test_search_takes_filters(run: Run, indexed: Path) -> None:
    (indexed / "deep").mkdir()
    Image.new("RGB", (20, 60), "red").save(indexed / "deep" / "tall.jpg")
    run("index")
    assert [h.name for h in search(run, "red", "--format", "jpeg").hits] == ["tall.jpg"]
    assert [h.name for h in search(run, "red", "--orientation", "portrait").hits] == ["tall.jpg"]
    assert [h.name for h in search(run, "red", "--folder", indexed / "deep").hits] == ["tall.jpg"]
    assert search(run, "red", "--min-width", "42").searched_images == 2
    assert search(run, "red", "--modified-before", "2001-01-01").hits == []
    assert search(run, "red", "--near", "48.86,2.35,5").hits == []


def test_filters_take_a_folder_relative_to_where_the_user_is(
    run: Run, indexed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(indexed.parent)
    assert search(run, "red", "--folder", indexed.name).searched_images == len(COLOURS)


@pytest.mark.usefixtures("indexed")
def test_no_hit_is_said_and_is_no_failure(run: Run) -> None:
    result = run("search", "red", "--camera", "none")
    assert (result.code, result.out) == (0, "")
    assert "none of 4 images passes the filters" in result.err
    weak = run("search", "purple", "--min-relevance", "strong")
    assert (weak.code, weak.out) == (0, "")
    assert "no hit among 4 images" in weak.err


def test_search_refuses_a_folder_outside_the_roots(run: Run, indexed: Path) -> None:
    result = run("search", "red", "--folder", indexed.with_name("picutres"))
    assert (result.code, result.out) == (1, "")
    assert f"picutres' lies outside the roots ({indexed.resolve()})" in result.err
    for folder in (indexed.parent, indexed, indexed / "no-such"):
        assert run("search", "red", "--folder", folder).code == 0


def test_status_says_what_the_library_holds(run: Run, indexed: Path) -> None:
    status = LibraryStatus.model_validate_json(run("status", "--json").out)
    assert (status.images, status.encoder.name) == (len(COLOURS), "colours")
    assert [root.path for root in status.roots] == [str(indexed.resolve())]
    words = run("status").out
    assert "4 images in 4 files, 0 failed" in words
    assert f"{indexed.resolve()} (4 files)" in words


def test_status_of_a_library_without_roots_says_how_to_begin(run: Run, indexed: Path) -> None:
    run("remove", indexed)
    result = run("status")
    assert result.code == 0
    assert "mcp-vlsearch index FOLDER" in result.out


@pytest.mark.parametrize(
    "command",
    [("search", "red"), ("status",), ("eval", "captions.jsonl"), ("remove", "x")],
    ids=" ".join,
)
def test_a_command_that_only_reads_makes_no_library(
    run: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    mistyped = tmp_path / "libary"
    result = run(*command, "--library", mistyped)
    assert (result.code, result.out) == (1, "")
    assert result.err == (
        f"error: no library at {mistyped}: index pictures into it first with "
        f"`mcp-vlsearch index FOLDER --library {mistyped}`\n"
    )
    assert run(*command).err.endswith("with `mcp-vlsearch index FOLDER`\n")
    spaced = run(*command, "--library", tmp_path / "a library").err
    assert spaced.endswith(f" --library '{tmp_path / 'a library'}'`\n"), "it can be pasted"
    assert list(tmp_path.iterdir()) == []


def test_remove_forgets_but_deletes_nothing(run: Run, indexed: Path) -> None:
    result = run("remove", indexed / "red.png", "--json")
    report = RemoveReport.model_validate_json(result.out)
    assert report == RemoveReport(removed=1, unknown=[], total_images=3)
    assert (indexed / "red.png").exists()
    assert "1 file forgotten, 2 images left" in run("remove", indexed / "blue.png").out
    assert "1 file forgotten, 1 image left" in run("remove", indexed / "lime.png").out
    assert "1 image in 1 file, 0 failed" in run("status").out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("-k", "1000"), "--top-k: give at most 100 (got '1000')"),
        (("-k", "many"), "--top-k: give a whole number (got 'many')"),
        (("--min-relevance", "most"), "--min-relevance: 'most' is not one of"),
    ],
)
def test_a_wrong_value_is_told_as_what_to_give(run: Run, given: tuple[str, ...], said: str) -> None:
    result = run("search", "red", *given)
    assert result.code == 2
    assert result.err.startswith(f"error: {said}")


def test_a_search_says_how_many_hits_there_are_among_how_many_images(
    run: Run, indexed: Path
) -> None:
    assert "2 hits among 4 images, in " in run("search", "red", "-k", "2").err
    os.utime(indexed / "red.png", (0, 0))
    run("index")
    filtered = run("search", "red", "--modified-before", "2000")
    assert "1 hit among 1 of 4 images, in " in filtered.err


def test_remove_names_what_was_not_known_and_fails_where_nothing_was(
    run: Run, indexed: Path, tmp_path: Path
) -> None:
    one = run("remove", indexed / "red.png", tmp_path / "typo")
    assert (one.code, one.err) == (0, f"nothing was known at or below {tmp_path / 'typo'}\n")
    again = run("remove", indexed / "red.png", "--json")
    assert again.code == 1
    assert RemoveReport.model_validate_json(again.out).unknown == [str(indexed / "red.png")]


def test_removing_a_root_without_pictures_is_done(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    run("index", tmp_path / "empty", "--encoder", "colours")
    assert run("remove", tmp_path / "empty").code == 0
    assert run("remove", tmp_path / "empty").code == 1


@pytest.mark.parametrize("name", ["notes.txt", "README", "song.mp3"])
def test_index_refuses_a_file_that_is_no_picture_and_makes_it_no_root(
    run: Run, pictures: Path, name: str
) -> None:
    (pictures / name).write_text("words")
    result = run("index", pictures, pictures / name, "--encoder", "colours")
    assert result.code == 1
    assert (
        f"{name} is no picture by its name: give a folder, or a file that ends in .jpg"
        in (result.err.splitlines()[-1])
    )
    assert run("index", "--encoder", "colours").err.startswith("error: no library at ")


def test_serve_refuses_a_root_that_index_would_refuse_by_the_same_words(
    run: Run, pictures: Path, served: list[Settings]
) -> None:
    note = pictures / "notes.txt"
    note.write_text("words")
    expected = run("index", note, "--encoder", "colours")
    refused = run("serve", "--root", pictures, "--root", note)
    assert (refused.code, refused.err) == (expected.code, expected.err)
    assert (expected.code, served) == (1, [])
    assert run("serve", "--root", pictures / "red.png").code == 0


def test_search_in_an_empty_library_says_so_before_a_model_is_loaded(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "none").mkdir()
    run("index", tmp_path / "none", "--encoder", "colours")
    result = run("search", "red", "--encoder", "broken")
    assert (result.code, result.out) == (0, "")
    assert result.err == "the library is empty: run `mcp-vlsearch index FOLDER` first\n"


@pytest.mark.usefixtures("indexed")
def test_search_refuses_to_exclude_what_is_searched(run: Run) -> None:
    result = run("search", "red", "--exclude", "red")
    assert result.code == 1
    assert result.err.endswith(
        "asks for what it excludes, so nothing is left of it: change one of them\n"
    )


@pytest.mark.parametrize("command", [("storybook",), ("demo", "--out")], ids=lambda c: c[0])
@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_a_gallery_is_not_drawn_where_a_file_is(
    run: Run, tmp_path: Path, command: tuple[str, ...], below: str
) -> None:
    (tmp_path / "taken").write_text("mine")
    result = run(*command, tmp_path / "taken" / below)
    assert result.code == 2
    assert f"{tmp_path / 'taken'} is a file; give a folder" in result.err
    assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize("name", ["python_api.py", "stdio_client.py", "http_client.py"])
def test_an_example_without_arguments_says_what_it_takes(name: str) -> None:
    command = [sys.executable, str(REPOSITORY / "examples" / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch(rf"usage: python {name} [A-Z ]+\n", done.stderr)


def test_plugins_lists_names_and_owners(run: Run) -> None:
    found = json.loads(run("plugins", "--json").out)
    assert {
        "group": "encoders",
        "name": "colours",
        "owner": "test-encoders",
        "target": "mcp_vlsearch_colours:ColourEncoder",
    } in found
    assert "mcp_vlsearch.indexes.faiss:FaissIndex" in run("plugins").out


def test_serve_passes_settings_roots_and_address_on(
    run: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[tuple[Any, ...]] = []
    monkeypatch.setattr("mcp_vlsearch.server.serve_stdio", lambda *a: served.append(a))
    monkeypatch.setattr("mcp_vlsearch.server.serve_http", lambda *a: served.append(a))
    monkeypatch.setenv("MCP_VLSEARCH_ROOTS", str(pictures.parent))
    assert run("serve", "--root", pictures, "--read-only", "--model", "storybook").code == 0
    assert run("serve", "--transport", "http", "--port", "0", "--token", "secret").code == 0
    (stdio,), (http, *address) = served
    assert isinstance(stdio, Settings)
    assert stdio.roots == (pictures.parent, pictures)
    assert (stdio.read_only, stdio.model) == (True, "storybook")
    assert (http.token, http.read_only, address) == ("secret", False, ["127.0.0.1", 0])


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings of every server that a command would have run."""
    calls: list[Settings] = []
    monkeypatch.setattr("mcp_vlsearch.server.serve_stdio", calls.append)
    return calls


def test_serve_refuses_a_root_that_is_not_there(
    run: Run, pictures: Path, served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = pictures / "typo"
    line = (
        f"error: the root {missing} does not exist: give a folder that does, or connect its drive"
    )
    for before in ("no library", "a library"):
        result = run("serve", "--root", pictures, "--root", missing)
        assert (result.code, result.err) == (2, f"{line}\n"), before
        run("index", pictures, "--encoder", "colours")
    monkeypatch.setenv("MCP_VLSEARCH_ROOTS", str(missing))
    assert run("serve").err == f"{line}\n"
    assert served == []


def test_serve_warns_of_a_root_whose_drive_is_not_there_and_goes_on(
    run: Run, indexed: Path, served: list[Settings]
) -> None:
    indexed.rename(indexed.with_name("unplugged"))
    result = run("serve", "--root", indexed)
    assert result.code == 0
    assert result.err == f"the root {indexed} is offline: what was indexed below it is kept\n"
    assert [settings.roots for settings in served] == [(indexed,)]


def test_serve_knows_an_offline_root_by_the_files_that_a_server_indexed(
    run: Run, pictures: Path, served: list[Settings], tmp_path: Path
) -> None:
    with Library.open(tmp_path / "library", encoder="colours", roots=[pictures]) as library:
        library.index()
    pictures.rename(tmp_path / "unplugged")
    assert run("serve", "--root", pictures).code == 0
    assert len(served) == 1


def test_eval_prints_exactly_the_figures_of_the_contract(run: Run, indexed: Path) -> None:
    captions = indexed / "captions.jsonl"
    lines = [{"image": f"{colour}.png", "caption": colour} for colour in COLOURS]
    lines.append({"image": "red.png", "caption": "blue"})
    captions.write_text("\n".join(map(json.dumps, lines)))
    figures = json.loads(run("eval", captions, "--json").out)
    assert list(figures) == ["images", "queries", "recall@1", "recall@5", "recall@10", "mrr"]
    assert (figures["images"], figures["queries"]) == (4, 5)
    assert (figures["recall@1"], figures["recall@5"]) == (0.8, 1.0)
    assert "recall@1   0.800" in run("eval", captions).out


def test_eval_with_a_rewriter_says_what_it_gains_or_loses(run: Run, indexed: Path) -> None:
    captions = indexed / "captions.jsonl"
    lines = [{"image": f"{colour}.png", "caption": colour} for colour in COLOURS]
    captions.write_text("\n".join(map(json.dumps, lines)))
    figures = json.loads(run("eval", captions, "--json", "--rewrite", "template").out)
    assert list(figures)[-4:] == ["rewrite", "rewritten", "off", "gain"]
    assert (figures["rewrite"], figures["queries"]) == ("template", 4)
    assert figures["gain"]["mrr"] == figures["mrr"] - figures["off"]["mrr"]
    shown = run("eval", captions, "--rewrite", "template").out.splitlines()
    assert shown[1] == f"queries    4, {figures['rewritten']} of them rewritten"
    assert shown[2].split() == ["off", "template", "gain"]
    assert shown[3].split() == [
        "recall@1",
        f"{figures['off']['recall@1']:.3f}",
        f"{figures['recall@1']:.3f}",
        f"{figures['gain']['recall@1']:+.3f}",
    ]


def test_eval_with_a_rewriter_that_fails_says_so(run: Run, indexed: Path) -> None:
    captions = indexed / "captions.jsonl"
    captions.write_text(json.dumps({"image": "red.png", "caption": "red"}))
    result = run("eval", captions, "--rewrite", "openai")
    assert result.code == 2
    assert "rewriter 'openai' needs the address of a server" in result.err.splitlines()[-1]


def test_eval_of_pictures_that_are_not_indexed_says_to_index_first(run: Run, indexed: Path) -> None:
    captions = indexed / "captions.jsonl"
    captions.write_text(json.dumps({"image": "green.png", "caption": "green"}))
    result = run("eval", captions)
    assert result.code == 1
    assert f"mcp-vlsearch index {indexed}" in result.err


def test_the_python_example_indexes_and_searches(pictures: Path) -> None:
    script = str(REPOSITORY / "examples/python_api.py")
    command = [sys.executable, script, str(pictures), "red"]
    environment = {**os.environ, "MCP_VLSEARCH_ENCODER": "colours"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.splitlines()[0] == "4 images, 4 of them encoded now"
    assert done.stdout.splitlines()[1].endswith("red.png")


@pytest.mark.usefixtures("indexed")
@pytest.mark.parametrize(
    "arguments",
    [
        ("index", ""),
        ("remove", ""),
        ("serve", "--root", ""),
        ("search", "cat", "--folder", " "),
        ("status", "--library", ""),
        ("storybook", ""),
    ],
    ids=lambda arguments: arguments[0],
)
def test_an_empty_path_is_refused_rather_than_taken_as_the_working_directory(
    run: Run, arguments: tuple[str, ...]
) -> None:
    result = run(*arguments)
    assert result.code == 2
    assert "the path is empty" in result.err
    assert run("status").code == 0


def test_an_index_that_finds_nothing_to_read_makes_no_library(run: Run, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("no picture")
    place = tmp_path / "mistyped"
    for paths in ((tmp_path / "nowhere",), (note,), ()):
        result = run("index", *paths, "--library", place)
        assert result.code != 0
        assert result.err.startswith("error: ")
        assert not place.exists()


@pytest.mark.parametrize("flags", [["caf\udce9"], ["red", "--exclude", "caf\udce9"]])
def test_a_query_that_is_not_utf_8_is_refused_in_words(
    run: Run, pictures: Path, flags: list[str]
) -> None:
    run("index", pictures, "--encoder", "colours")
    result = run("search", *flags)
    assert result.code == 1
    assert result.err.splitlines()[-1].startswith("error: a text is not valid UTF-8: ")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_a_pipe_by_the_name_of_a_picture_becomes_no_root(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    result = run("index", tmp_path / "pipe.png", "--encoder", "colours")
    assert result.code == 1
    assert "is neither a folder nor a regular file" in result.err
    assert run("index", "--encoder", "colours").err.startswith("error: no library at ")


def test_a_name_that_would_break_its_line_is_shown_with_escapes(run: Run, pictures: Path) -> None:
    odd = pictures / "new\nline \x1b[31m.png"
    odd.write_bytes(next(pictures.glob("*.png")).read_bytes())
    run("index", pictures, "--encoder", "colours")
    shown = f"{pictures}/new\\nline \\x1b[31m.png"
    assert shown in run("duplicates").out
    odd.write_bytes((pictures / odd).read_bytes() + b" ")
    run("index")
    assert shown in run("search", "red", "-k", "100").out


def test_a_disk_that_is_full_under_the_output_is_told_in_words(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mcp_vlsearch.plugins.available", fail)
    result = run("plugins")
    assert (result.code, result.err) == (
        1,
        "error: the disk is full: free some space, then run it again\n",
    )
