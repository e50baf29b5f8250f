"""Hits of a search on a contact sheet."""

from pathlib import Path

import numpy as np
from PIL import Image

from mcp_vlsearch.types import PruneReport, SearchResult

from .conftest import Run


def test_search_writes_the_hits_as_a_sheet_beside_its_result(
    run: Run, indexed: Path, tmp_path: Path
) -> None:
    sheet = tmp_path / "hits.jpg"
    result = run("search", "--image", indexed / "red.png", "-k", "2", "--sheet", sheet, "--json")
    assert SearchResult.model_validate_json(result.out).hits[0].name == "red.png"
    assert f"contact sheet: {sheet}" in result.err
    with Image.open(sheet) as image:
        pixels = np.asarray(image).astype(int)
    red = (np.abs(pixels - (255, 0, 0)) < 40).all(-1)
    assert red.sum() > 500


def test_without_hits_there_is_no_sheet(run: Run, indexed: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "hits.jpg"
    result = run("search", "red", "--min-width", "9000", "--sheet", sheet)
    assert result.code == 0
    assert f"no hits: {sheet} is not written" in result.err
    assert not sheet.exists()
    assert indexed.exists()


def test_a_sheet_that_cannot_be_written_is_told_in_one_line(
    run: Run, indexed: Path, tmp_path: Path
) -> None:
    result = run("search", "red", "--sheet", tmp_path / "no" / "hits.jpg", "--json")
    assert result.code == 2
    assert result.err.splitlines()[-1].startswith("error: --sheet: ")
    assert "No such file" in result.err
    assert indexed.exists()


def test_a_sheet_does_not_replace_a_picture_of_the_library(run: Run, indexed: Path) -> None:
    picture = indexed / "mine.jpg"
    Image.new("RGB", (40, 30), "red").save(picture)
    assert run("index").code == 0
    before = picture.read_bytes()
    for forced in ((), ("--force",)):
        result = run("search", "red", "--sheet", picture, *forced)
        assert result.code == 2
        assert result.err == (
            f"error: --sheet: {picture} is a picture of this library: give another name\n"
        )
    assert picture.read_bytes() == before


def test_a_sheet_replaces_no_file_unless_forced(run: Run, indexed: Path, tmp_path: Path) -> None:
    assert indexed.exists()
    sheet = tmp_path / "hits.jpg"
    sheet.write_text("mine")
    refused = run("search", "red", "--sheet", sheet)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        f"error: --sheet: {sheet} exists: give another name, or --force to replace it\n"
    )
    assert sheet.read_text() == "mine"
    assert run("search", "red", "--sheet", sheet, "--force").code == 0
    with Image.open(sheet) as image:
        assert image.format == "JPEG"


def test_a_link_to_nowhere_is_a_file_that_a_sheet_does_not_replace(
    run: Run, indexed: Path, tmp_path: Path
) -> None:
    assert indexed.exists()
    link = tmp_path / "hits.jpg"
    link.symlink_to(tmp_path / "gone.jpg")
    assert run("search", "red", "--sheet", link).code == 2
    assert link.is_symlink()


def test_small_copies_are_pruned_on_request(run: Run, indexed: Path, tmp_path: Path) -> None:
    assert run("search", "red", "--sheet", tmp_path / "hits.jpg").code == 0
    kept = tmp_path / "library" / "thumbnails"
    assert not list(kept.glob("*/*")), "four pictures are opened in full"
    for number in range(4):
        image = Image.open(indexed / "red.png").resize((41 + number, 31))
        image.save(indexed / f"more-{number}.png")
    run("index")
    assert run("search", "red", "--sheet", tmp_path / "more.jpg").code == 0
    assert len(list(kept.glob("*/*"))) == 8
    said = run("cache", "prune", "--thumbnails", "--dry-run").out
    assert "thumbnails of 8 images" in said
    done = run("cache", "prune", "--thumbnails", "--yes", "--json").out
    assert PruneReport.model_validate_json(done).thumbnails == 8
    assert not list(kept.glob("*/*"))
