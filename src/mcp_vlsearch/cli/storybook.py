"""``storybook``: draw scenes with captions, for trying the system out and for measuring it."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from mcp_vlsearch.cli.frame import counted, print_json
from mcp_vlsearch.cli.options import WithJson, given_folder, only, takes
from mcp_vlsearch.cli.progress import working
from mcp_vlsearch.core.progress import Meter

__all__ = ["PairChoice", "storybook"]


class PairChoice(StrEnum):
    """Which object-colour pairs scenes have."""

    ALL = "all"
    TRAINING = "training"
    HELD_OUT = "held-out"


@takes(flags=only("library"))
def storybook(
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="Folder to draw into.", parser=given_folder)
    ],
    *,
    count: Annotated[int, typer.Option(help="How many scenes.", min=1, max=1_000_000)] = 48,
    seed: Annotated[int, typer.Option(help="The same seed draws the same scenes.")] = 1,
    pairs: Annotated[
        PairChoice,
        typer.Option(help="Object-colour pairs: any, only trained ones, or held-out ones."),
    ] = PairChoice.ALL,
    json: WithJson = False,
    flags: dict[str, Any],
) -> int:
    """Draw storybook scenes as PNG, with captions.jsonl in English and Chinese."""
    del flags  # accepted by every command
    from mcp_vlsearch.storybook import draw_gallery

    with working() as report:
        meter = Meter(report, count, "drawing")
        captions = draw_gallery(
            out, count, seed, pairs.value, meter.advance, workers=os.cpu_count() or 1
        )
    if json:
        print_json({"images": count, "captions": str(captions)})
    else:
        typer.echo(f"{counted(count, 'scene')} in {out}, captions in {captions}")
    return 0
