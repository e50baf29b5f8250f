"""``eval``: retrieval quality on any folder with captions."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcp_vlsearch.cli.frame import opened, print_json
from mcp_vlsearch.cli.options import ENCODING, REWRITING, WithJson, given_path, only, takes
from mcp_vlsearch.cli.progress import working

if TYPE_CHECKING:
    from mcp_vlsearch.core.evaluation import Comparison

__all__ = ["evaluate"]


@takes(flags=only(*ENCODING, *REWRITING))
def evaluate(
    captions: Annotated[
        Path,
        typer.Argument(
            metavar="CAPTIONS.jsonl",
            help='A line per query: {"image": FILE, "caption": TEXT}.',
            parser=given_path,
        ),
    ],
    *,
    field: Annotated[
        str, typer.Option(help="Which text to search by, such as caption_zh.")
    ] = "caption",
    json: WithJson = False,
    flags: dict[str, Any],
) -> int:
    """Search for every captioned picture by its caption and say how often it comes first.

    With a rewriter, also what it gains or loses.
    """
    from mcp_vlsearch.core.evaluation import Comparison, Evaluation, compare
    from mcp_vlsearch.core.evaluation import evaluate as measure

    result: Evaluation
    with opened(flags) as library, working() as report:
        rewrite = library.settings.rewrite
        if rewrite == "off":
            result = measure(library, captions, field, report)
        else:
            result = compare(library, captions, rewrite, field, report)
    if json:
        print_json(result)
    elif isinstance(result, Comparison):
        _show_gain(result)
    else:
        for name, value in result.model_dump(by_alias=True).items():
            typer.echo(
                f"{name:<10} {value:.3f}" if isinstance(value, float) else f"{name:<10} {value}"
            )
    return 0


def _show_gain(result: "Comparison") -> None:
    typer.echo(f"{'images':<10} {result.images}")
    typer.echo(f"{'queries':<10} {result.queries}, {result.rewritten} of them rewritten")
    width = max(len(result.rewrite), 5)
    typer.echo(f"{'':<10} {'off':<5} {result.rewrite:<{width}} gain")
    values = result.model_dump(by_alias=True)
    for name, gain in values["gain"].items():
        off, now = values["off"][name], values[name]
        typer.echo(f"{name:<10} {off:.3f} {now:<{width}.3f} {gain:+.3f}")
