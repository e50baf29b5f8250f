"""Make the plots of the documentation anew, in docs/images: python -m docs.make_plots.

They show what benchmarks/results has; run it after a benchmark has written there. Each plot keeps
its figures in itself, as JSON in the description of the SVG.
"""

import argparse
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from docs.plot_data import PLOTS, Bars, Line, Lines, Plot

IMAGES: Final = Path(__file__).parent / "images"
INK: Final = "#123456"
PAPER: Final = "#654321"
GRID: Final = "#345612"
"""Colours that stand for what a page decides: :data:`SCHEMES` has them for light and dark."""
SCHEMES: Final = {
    "light": {"ink": "#1f2328", "paper": "#ffffff", "grid": "#d8dbe0"},
    "dark": {"ink": "#e3e6ea", "paper": "#1c1f26", "grid": "#3a3f4a"},
}
COLOURS: Final = (
    *("#1f77d0", "#d9591c", "#1b9a59", "#b34fc4"),
    *("#b8860b", "#7a7f87", "#e0457b", "#0f98a8"),
)
"""One for each line, seen well on both papers."""
OTHERS: Final = COLOURS[5]
"""The colour of bars that are not ours."""
MARKERS: Final = "osD^vPXp"
STYLE: Final[Mapping[str, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "mcp-vlsearch",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.facecolor": PAPER,
    "axes.titlesize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": PAPER,
    "figure.titlesize": 12,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": GRID,
    "legend.frameon": False,
    "lines.markersize": 5,
}


def draw(plot: Plot) -> str:
    """Return a plot as SVG: the same bytes for the same figures and versions."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({**mpl.rcParamsDefault, **STYLE}):
        figure = Figure(figsize=(9.2, 4.3), layout="constrained")
        figure.suptitle(plot.title)
        for axes, panel in zip(figure.subplots(1, len(plot.panels)), plot.panels, strict=True):
            axes.set_title(panel.title)
            axes.set_xlabel(panel.x)
            axes.set_axisbelow(True)
            if isinstance(panel, Bars):
                draw_bars(axes, panel)
            else:
                draw_lines(axes, panel)
        add_legends(figure, plot.panels)
        file = io.StringIO()
        described = {"Date": None, "Creator": None, "Description": figures(plot)}
        figure.savefig(file, format="svg", metadata=described)
    return in_both_schemes(file.getvalue())


def draw_lines(axes: Any, panel: Lines) -> None:
    """Draw lines with markers, the first in front of the others."""
    axes.set_ylabel(panel.y)
    axes.grid(linewidth=0.6)
    for number, line in enumerate(panel.lines):
        axes.plot(
            *zip(*line.points, strict=True),
            label=line.name,
            color=COLOURS[number],
            marker=MARKERS[number],
            linewidth=1.6,
            zorder=10 - number,
        )
        annotate(axes, line)
    set_scales(axes, panel)


def set_scales(axes: Any, panel: Lines) -> None:
    """Make axes logarithmic where asked for, and write their numbers as people do."""
    from matplotlib.ticker import EngFormatter, FuncFormatter, NullFormatter

    for letter, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        if letter in panel.log:
            axes.set(**{f"{letter}scale": "log"})
            axis.set_minor_formatter(NullFormatter())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if panel.ticks:
        axes.set_xticks(*zip(*panel.ticks, strict=True))
        axes.minorticks_off()
    elif max(x for line in panel.lines for x, _ in line.points) >= 10_000:
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    if panel.least is not None:
        axes.set_ylim(bottom=panel.least)


def annotate(axes: Any, line: Line) -> None:
    """Write the labels of points below them, those of one place together."""
    labelled = zip(line.points, line.labels, strict=False)
    for _, some in groupby(labelled, key=lambda pair: f"{pair[0][0]:.3g}"):
        points, labels = zip(*some, strict=True)
        where: dict[str, Any] = {"xytext": (5, -13), "textcoords": "offset points"}
        axes.annotate(", ".join(labels), points[0], **where)
        axes.margins(0.1)


def draw_bars(axes: Any, panel: Bars) -> None:
    """Draw bars from above to below, each with its figure at its end; ours stand out."""
    colours = [COLOURS[0] if name.startswith("ours") else OTHERS for name in panel.bars]
    bars = axes.barh(list(panel.bars), list(panel.bars.values()), color=colours, height=0.6)
    axes.bar_label(bars, fmt="%.1f", padding=4)
    axes.invert_yaxis()
    axes.margins(x=0.15)


def add_legends(figure: Any, panels: Sequence[Lines | Bars]) -> None:
    """Name the lines: once for all panels if they are the same, else below each panel."""
    named = [
        [line.name for line in panel.lines] if isinstance(panel, Lines) else [] for panel in panels
    ]
    if named[0] and all(names == named[0] for names in named):
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
    elif named[0]:
        for axes in figure.axes:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=3)


def figures(plot: Plot) -> str:
    """Return what a plot shows as JSON, as its SVG keeps it."""
    return json.dumps(asdict(plot), ensure_ascii=False)


def in_both_schemes(svg: str) -> str:
    """Leave ink, paper and grid to the scheme that whoever looks at it prefers."""
    rules = {
        scheme: "svg{" + "".join(f"--{name}:{value};" for name, value in colours.items()) + "}"
        for scheme, colours in SCHEMES.items()
    }
    style = f"{rules['light']}@media(prefers-color-scheme:dark){{{rules['dark']}}}"
    for colour, name in ((INK, "ink"), (PAPER, "paper"), (GRID, "grid")):
        svg = svg.replace(colour, f"var(--{name})")
    head, metadata, rest = svg.partition(" <metadata>")
    return (
        "\n".join(
            line.rstrip()
            for line in f"{head} <style>{style}</style>\n{metadata}{rest}".splitlines()
        )
        + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PLOTS)}")
    names = parser.parse_args().names or list(PLOTS)
    if unknown := set(names) - set(PLOTS):
        parser.error(f"no plot is called {unknown.pop()!r}")
    for name in names:
        shown: Callable[[], Plot] = PLOTS[name]
        file = IMAGES / f"plot-{name}.svg"
        file.write_text(draw(shown()), "utf-8")
        print(f"{file.relative_to(IMAGES.parent)}: {file.stat().st_size // 1000} KB")


if __name__ == "__main__":
    main()
