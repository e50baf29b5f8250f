"""``eval``: retrieval quality on any folder with captions."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mcp_vlsearch.cli.frame import opened, print_json
from mcp_vlsearch.cli.options import ENCODING, WithJson, given_path, only, takes
from mcp_vlsearch.cli.progress import working

__all__ = ["evaluate"]


@takes(flags=only(*ENCODING, "rewrite"))
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
    """Search for every captioned picture by its caption and say how often it comes first."""
    from mcp_vlsearch.core.evaluation import evaluate as measure

    with opened(flags) as library, working() as report:
        result = measure(library, captions, field, report)
    if json:
        print_json(result)
    else:
        for name, value in result.model_dump(by_alias=True).items():
            typer.echo(
                f"{name:<10} {value:.3f}" if isinstance(value, float) else f"{name:<10} {value}"
            )
    return 0
