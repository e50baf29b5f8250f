"""The documentation is a site that builds without a warning and asks no other host for anything."""

import re
from pathlib import Path

import pytest
import yaml

pytest.importorskip("mkdocs")

from mkdocs.commands.build import build
from mkdocs.config import load_config

REPOSITORY = Path(__file__).parents[1]
CONFIG = REPOSITORY / "mkdocs.yml"


def test_the_site_builds_strictly_and_fetches_nothing(tmp_path: Path) -> None:
    build(load_config(str(CONFIG), strict=True, site_dir=str(tmp_path)))
    pages = sorted(tmp_path.glob("*.html"))
    assert len(pages) > 10
    for page in pages:
        text = page.read_text("utf-8")
        assert not re.findall(r"<(?:script|img|iframe)[^>]*src=\"?(?:https?:)?//", text), page.name
        assert not re.findall(r"<link[^>]*stylesheet[^>]*href=\"?(?:https?:)?//", text), page.name
    assert "What is promised" in (tmp_path / "security.html").read_text("utf-8")


def test_every_page_is_in_the_navigation() -> None:
    listed = {
        file
        for entry in yaml.safe_load(CONFIG.read_text("utf-8"))["nav"]
        for file in entry.values()
    }
    assert listed == {page.name for page in (REPOSITORY / "docs").glob("*.md")} | {"security.md"}
