"""The plots of the documentation show what benchmarks/results has."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from docs.make_plots import COLOURS, IMAGES, SCHEMES, draw, figures
from docs.plot_data import PLOTS, Lines, Plot

REPOSITORY = Path(__file__).parents[1]
PAGES = "\n".join(page.read_text("utf-8") for page in (REPOSITORY / "docs").glob("*.md"))
DESCRIPTION = "{http://purl.org/dc/elements/1.1/}description"

of_every_plot = pytest.mark.parametrize(("name", "shown"), PLOTS.items(), ids=PLOTS)


@of_every_plot
def test_a_plot_has_the_figures_of_the_results_that_are_kept(
    name: str, shown: Callable[[], Plot]
) -> None:
    drawn = ElementTree.parse(IMAGES / f"plot-{name}.svg")
    (kept,) = (element.text or "" for element in drawn.iter(DESCRIPTION))
    assert json.loads(kept) == json.loads(figures(shown())), "run python -m docs.make_plots"


@of_every_plot
def test_a_plot_is_drawn_alike_each_time_and_without_a_network(
    name: str, shown: Callable[[], Plot]
) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    pins = (REPOSITORY / "constraints.txt").read_text("utf-8").splitlines()
    if f"matplotlib=={matplotlib.__version__}" not in pins:
        pytest.skip("another version of matplotlib than that of constraints.txt")
    assert draw(shown()) == (IMAGES / f"plot-{name}.svg").read_text("utf-8")


def test_a_search_in_a_plot_is_that_of_the_benchmark() -> None:
    kept = json.loads((REPOSITORY / "benchmarks" / "results" / "search_1m.json").read_text("utf-8"))
    (rows,) = (t["rows"] for t in kept["tables"] if t["title"] == "1000000 × 512")
    panel = PLOTS["search"]().panels[0]
    assert isinstance(panel, Lines)
    largest = {line.name: dict(line.points).get(1_000_000) for line in panel.lines}
    assert largest == {row["way"]: row["p50, ms"] for row in rows}


@of_every_plot
def test_pages_show_every_plot_with_words_for_those_who_do_not_see_it(
    name: str, shown: Callable[[], Plot]
) -> None:
    [words] = re.findall(rf"!\[([^\]]+)\]\(images/plot-{name}\.svg\)", PAGES)
    assert len(words) > 60
    assert set(shown().sources) <= set(re.findall(r"benchmarks/results/(\w+)\.md", PAGES))


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_text_and_lines_stand_out_in_both_schemes(scheme: dict[str, str]) -> None:
    assert contrast(scheme["ink"], scheme["paper"]) >= 7
    assert all(contrast(colour, scheme["paper"]) >= 3 for colour in COLOURS)


def test_plots_fetch_nothing() -> None:
    for file in IMAGES.glob("*.svg"):
        drawn = file.read_text("utf-8")
        assert not re.findall(r"(?:href|src)=\"(?!#)|url\((?!#)|<script|@import", drawn), file.name
