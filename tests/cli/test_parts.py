"""Pages and moments on the command line: where a hit is, one a file, and what is missing."""

from pathlib import Path

import pytest

from mcp_vlsearch.core import parted
from mcp_vlsearch.types import SearchResult
from tests.parted_files import BLUE, RED, write_pdf

from .conftest import Run


@pytest.fixture
def book(run: Run, indexed: Path) -> Path:
    """A PDF with three pages, indexed."""
    path = write_pdf(indexed / "book.pdf", [RED, BLUE, (250, 0, 0)])
    assert run("index").code == 0
    return path


def hits(run: Run, *options: str) -> list[tuple[str, str | None]]:
    result = SearchResult.model_validate_json(run("search", "red", "--json", *options).out)
    return [(Path(hit.path).name, hit.part) for hit in result.hits]


def test_a_hit_says_which_page_it_is(run: Run, book: Path) -> None:
    shown = run("search", "red", "-k", "3").out
    assert f"{book} (page=1)" in shown
    assert f"{book} (page=3)" in shown


def test_a_heat_map_of_a_page_is_named_by_it(run: Run, book: Path, tmp_path: Path) -> None:
    assert run("search", "red", "--explain", tmp_path / "maps").code == 0
    pages = sorted(path.name[4:] for path in (tmp_path / "maps").glob(f"*{book.stem}*"))
    assert pages == ["book-page-1.jpg", "book-page-2.jpg", "book-page-3.jpg"]


def test_grouped_hits_are_of_different_files(run: Run, book: Path) -> None:
    plain = [part for name, part in hits(run) if name == book.name]
    assert len(plain) == 3
    grouped = hits(run, "--group")
    assert [part for name, part in grouped if name == book.name] == plain[:1]
    assert len({name for name, _ in grouped}) == len(grouped) == len(hits(run)) - 2


def test_status_says_what_to_install(run: Run, book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "not read" not in run("status").out
    monkeypatch.setattr(parted, "_is_there", lambda _: False)
    shown = run("status").out
    assert "not read  PDF pages: pip install 'mcp-vlsearch[pdf]'" in shown
    assert book.exists()
