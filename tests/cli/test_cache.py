"""``cache``: what its commands print, ask and refuse."""

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from mcp_vlsearch.cache.phrasings import Phrasings
from mcp_vlsearch.types import ExportReport, ImportReport, LibraryStatus, PruneReport, SpaceStatus

from .conftest import COLOURS, Run

pytestmark = pytest.mark.usefixtures("indexed")


@pytest.fixture
def exported(run: Run, tmp_path: Path) -> Path:
    """The vectors of the pictures in a file."""
    file = tmp_path / "vectors.parquet"
    report = ExportReport.model_validate_json(run("cache", "export", file, "--json").out)
    assert (report.vectors, report.file) == (len(COLOURS), str(file))
    return file


@pytest.fixture
def two(run: Run) -> list[SpaceStatus]:
    """Two spaces of the pictures: an old one and the one that is searched."""
    assert run("index", "--encoder", "gated").code == 0
    spaces = LibraryStatus.model_validate_json(run("status", "--json").out).spaces
    assert [space.state for space in spaces] == ["old", "searched"]
    return spaces


def test_vectors_go_through_a_file_into_another_library(
    run: Run, exported: Path, pictures: Path, tmp_path: Path
) -> None:
    other = ("--library", tmp_path / "other")
    result = run("cache", "import", exported, *other, "--json")
    report = ImportReport.model_validate_json(result.out)
    assert (report.added, report.kept) == (len(COLOURS), 0)
    assert "importing" in result.err
    assert "4 from the cache" in run("index", pictures, *other).out
    assert run("cache", "import", exported, *other).out == (
        "4 vectors of rgb-4x4x4: 0 added, 0 replaced, 4 were here\n"
    )
    replaced = run("cache", "import", exported, *other, "--replace").out
    assert "4 replaced, 0 were here" in replaced


def test_export_says_what_it_wrote(run: Run, tmp_path: Path) -> None:
    said = run("cache", "export", tmp_path / "x.parquet").out
    assert said.startswith("4 vectors of ")
    assert run("cache", "export", tmp_path / "x.parquet", "--fingerprint", "nothing").code == 1


def test_a_file_that_is_no_export_is_refused_in_one_line(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    file.write_text("words")
    result = run("cache", "import", file)
    assert (result.code, result.out) == (1, "")
    assert len(result.err.splitlines()) == 1
    assert "can't be read as Parquet" in result.err


def test_an_import_that_cannot_begin_makes_no_library(run: Run, tmp_path: Path) -> None:
    result = run("cache", "import", tmp_path / "typo", "--library", tmp_path / "other")
    assert (result.code, len(result.err.splitlines())) == (1, 1)
    assert "typo does not exist" in result.err
    assert not (tmp_path / "other").exists()


def test_without_pyarrow_the_extra_is_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for module in ("mcp_vlsearch.core.moving", "mcp_vlsearch.core.parquet"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    result = run("cache", "export", tmp_path / "x.parquet")
    assert result.code == 1
    assert "pip install 'mcp-vlsearch[arrow]'" in result.err


def test_status_shows_every_space(run: Run, two: list[SpaceStatus]) -> None:
    said = run("status").out
    assert f"space     {two[0].fingerprint[:16]}: " in said
    assert "dimensions; old, 4 vectors\n" in said
    assert "dimensions; searched, 4 vectors\n" in said


def test_status_tells_which_space_is_of_pictures_that_were_mended_first(
    run: Run, indexed: Path
) -> None:
    pytest.importorskip("cv2")
    assert run("index", indexed, "--prepare", "scans").code == 0
    said = run("status").out
    assert "dimensions; old, 4 vectors\n" in said
    assert "dimensions, prepare scans; searched, 4 vectors\n" in said


def test_prune_deletes_only_when_it_is_told_to(run: Run, two: list[SpaceStatus]) -> None:
    refused = run("cache", "prune", "--old")
    assert refused.code == 2
    assert "give --yes" in refused.err
    planned = PruneReport.model_validate_json(
        run("cache", "prune", "--old", "--dry-run", "--json").out
    )
    assert (planned.dry_run, planned.vectors) == (True, 4)
    said = run("cache", "prune", "--old", "--dry-run").out
    assert said.startswith("would go: 4 vectors with 1 fingerprint, 0 of images without files")
    done = PruneReport.model_validate_json(run("cache", "prune", "--old", "--yes", "--json").out)
    assert (done.dry_run, done.fingerprints) == (False, [two[0].fingerprint])
    assert "0 vectors with 0 fingerprints" in run("cache", "prune", "--old", "--yes").out


def test_prune_says_so_if_no_vectors_are_chosen(run: Run) -> None:
    result = run("cache", "prune", "--yes")
    assert result.code == 0
    assert "no vectors are chosen: add --unused, --old or --fingerprint ID" in result.err
    assert "no vectors are chosen" not in run("cache", "prune", "--unused", "--yes").err


def test_an_empty_fingerprint_is_told_from_an_unknown_one(run: Run) -> None:
    for command in (("use", ""), ("export", "x.parquet", "--fingerprint", "")):
        result = run("cache", *command)
        assert result.code == 1
        assert "the fingerprint is empty: give one that `mcp-vlsearch status` lists" in result.err


@pytest.mark.parametrize("answer", [True, False])
def test_prune_asks_on_a_terminal(
    run: Run, indexed: Path, monkeypatch: pytest.MonkeyPatch, answer: bool
) -> None:
    (indexed / "red.png").unlink()
    run("index")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: answer)
    result = run("cache", "prune", "--unused")
    assert result.code == (0 if answer else 1)
    assert "would go: 0 vectors with 0 fingerprints, 1 of images without files" in result.err
    assert result.out.startswith("deleted: ") is answer
    assert result.err.endswith("nothing was deleted\n") is not answer


@pytest.mark.usefixtures("indexed")
def test_prune_forgets_what_rewriters_wrote_on_request(run: Run, tmp_path: Path) -> None:
    known = Phrasings(tmp_path / "library")
    known.keep("rewriter", "cat", ["A cat."])
    assert "0 of images without files, 0 old" in run("cache", "prune", "--yes").out
    planned = run("cache", "prune", "--phrasings", "--dry-run")
    assert "phrasings of 1 queries, " in planned.out
    assert known.count() == 1
    done = run("cache", "prune", "--phrasings", "--yes", "--json")
    assert PruneReport.model_validate_json(done.out).phrasings == 1
    assert known.count() == 0


def test_what_is_searched_is_not_pruned(run: Run, two: list[SpaceStatus]) -> None:
    result = run("cache", "prune", "--fingerprint", two[1].fingerprint, "--yes")
    assert result.code == 1
    assert "is what is searched" in result.err


def test_use_goes_back_and_says_what_is_missing(
    run: Run, two: list[SpaceStatus], indexed: Path
) -> None:
    Image.new("RGB", (9, 9), "black").save(indexed / "black.png")
    run("index")
    result = run("cache", "use", two[0].fingerprint)
    assert result.out == "searched from now on: rgb-4x4x4 in fp32\n"
    assert "1 images are not in it" in result.err
    used = json.loads(run("cache", "use", two[0].fingerprint, "--json").out)
    assert SpaceStatus.model_validate(used).state == "searched"
    assert json.loads(run("status", "--json").out)["encoder"]["name"] == "colours"
