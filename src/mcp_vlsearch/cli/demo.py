"""``demo``: the whole system in one command, over a real MCP stdio session, with no download."""

import asyncio
import json as jsonlib
import os
import random
from collections.abc import Mapping, Sequence
from os.path import lexists
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from mcp_vlsearch.cli.frame import UsageError, print_json, settings_from
from mcp_vlsearch.cli.interview import Answer, Kind, Question, interview
from mcp_vlsearch.cli.options import ENCODING, WithJson, given_folder, only, takes
from mcp_vlsearch.cli.progress import shown
from mcp_vlsearch.core.progress import Meter

__all__ = ["demo"]

BUILT_IN: Final = "storybook"
"""The model of the demo, unless another encoder or model is asked for."""

_KINDS: Final[tuple[Kind, ...]] = (
    "English", "English", "English", "Chinese", "Chinese", "picture", "picture",
)  # fmt: skip


@takes(flags=only(*ENCODING, model=BUILT_IN, library="library, in the folder of --out"))
def demo(
    *,
    out: Annotated[
        Path,
        typer.Option(
            help="Folder for pictures, library and contact sheet.",
            metavar="DIR",
            parser=given_folder,
        ),
    ] = Path("demo"),
    count: Annotated[int, typer.Option(help="How many scenes.", min=len(_KINDS), max=10_000)] = 48,
    seed: Annotated[int, typer.Option(help="The same seed draws the same scenes.")] = 1,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a contact-sheet.png that no demo has drawn.")
    ] = False,
    json: WithJson = False,
    flags: dict[str, Any],
) -> int:
    """Draw a gallery, index it, search it over MCP, and say if the right pictures come first."""
    from mcp_vlsearch.cli.contact_sheet import draw_sheet, is_sheet
    from mcp_vlsearch.storybook import draw_gallery

    given = _given(out, flags)
    settings_from(given, environment={})  # what is wrong with them is best said before drawing
    pictures, sheet = out / "pictures", out / "contact-sheet.png"
    if lexists(sheet) and not force and not is_sheet(sheet):
        raise UsageError(
            f"--out: {sheet} is not from an earlier demo: give another folder, or --force to "
            "replace it"
        )
    with shown() as report:
        meter = Meter(report, count, "drawing")
        workers = os.cpu_count() or 1
        captions = _read(draw_gallery(pictures, count, seed, "all", meter.advance, workers))
        questions = _questions(captions, pictures, random.Random(f"demo {seed}"))
        arguments = _serve_arguments(pictures, given)
        answers = asyncio.run(interview(arguments, pictures, questions, report))
    draw_sheet(answers, {name: line["caption"] for name, line in captions.items()}, sheet)
    if json:
        print_json(_summary(answers, count, sheet))
    else:
        _show(answers, count, sheet)
    return 0 if all(answer.right for answer in answers) else 1


def _read(captions: Path) -> dict[str, dict[str, str]]:
    lines = map(jsonlib.loads, captions.read_text("utf-8").splitlines())
    return {line["image"]: line for line in lines}


def _questions(
    captions: Mapping[str, Mapping[str, str]], pictures: Path, rng: random.Random
) -> list[Question]:
    """Choose pictures, and ask for each by its full caption or with a copy of itself."""
    questions = []
    for kind, name in zip(_KINDS, rng.sample(sorted(captions), len(_KINDS)), strict=True):
        field = {"English": "caption", "Chinese": "caption_zh"}.get(kind)
        text = captions[name][field] if field else ""
        questions.append(Question(kind, pictures / name, text))
    return questions


def _given(out: Path, flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the demo's library: those of the flags, and its own defaults."""
    given = {name: value for name, value in flags.items() if value is not None}
    if "encoder" not in given:
        given.setdefault("model", BUILT_IN)
    given.setdefault("library", out / "library")
    given["share"] = "off"  # nothing is left running
    return given


def _serve_arguments(root: Path, given: Mapping[str, Any]) -> list[str]:
    settings = (f"--{name.replace('_', '-')}={value}" for name, value in given.items())
    return [f"--root={root}", *settings]


def _summary(answers: Sequence[Answer], count: int, sheet: Path) -> dict[str, Any]:
    return {
        "images": count,
        "queries": len(answers),
        "right": sum(answer.right for answer in answers),
        "answers": [
            {
                "kind": answer.question.kind,
                "query": answer.question.text or str(answer.question.right),
                "wanted": str(answer.question.right),
                "right": answer.right,
                "hits": answer.hits,
            }
            for answer in answers
        ],
        "contact_sheet": str(sheet),
    }


def _show(answers: Sequence[Answer], count: int, sheet: Path) -> None:
    for answer in answers:
        question = answer.question
        typer.echo(f"{question.kind}: {question.text or f'a small copy of {question.right.name}'}")
        for hit in answer.hits[:3]:
            mark = "  <- the picture asked for" if hit.name == question.right.name else ""
            typer.echo(f"  {hit.rank}. {hit.name}  {hit.score:.3f}  {hit.relevance:<6}{mark}")
        typer.echo(f"  {'right' if answer.right else 'WRONG: another picture comes first'}\n")
    right = sum(answer.right for answer in answers)
    typer.echo(
        f"{right} of {len(answers)} queries over MCP found their picture first, among {count}"
    )
    typer.echo("relevance is judged against this library's own look-alikes, not by the score alone")
    typer.echo(f"contact sheet: {sheet}")
