"""The options that commands share: one per setting, one per search filter, each written once.

A command takes those it names with :func:`takes` and gets the values as dictionaries.
"""

import functools
import inspect
import os
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Annotated, Any, Final, get_args

import typer

from mcp_vlsearch.wording import shown

__all__ = [
    "ENCODING",
    "FILTERS",
    "INDEXING",
    "OF_CALLS",
    "PARTS",
    "REWRITING",
    "SETTINGS",
    "SETTINGS_PANEL",
    "ServedRoots",
    "WithJson",
    "WithNoResult",
    "given_folder",
    "given_path",
    "only",
    "takes",
]

SETTINGS_PANEL: Final = "Settings"
"""Under which the help lists the flags of settings."""

WithJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
WithNoResult = Annotated[
    bool, typer.Option("--json", help="Accepted by every command; a server prints no result.")
]


def given_path(text: str | Path) -> Path:
    """Return a path as given. An empty one is refused: it would mean the working directory."""
    if not str(text).strip():
        raise typer.BadParameter("the path is empty; is a variable of the shell not set?")
    try:
        os.lstat(text)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise typer.BadParameter(
            f"{shown(str(text))} is no path ({reason}); give another"
        ) from error
    return Path(text)


ServedRoots = Annotated[
    list[Path] | None,
    typer.Option(
        help="Allow a folder, besides the library's own; once per folder.",
        metavar="DIR",
        parser=given_path,
    ),
]


def given_folder(text: str | Path) -> Path:
    """Return the path of a folder that may have to be made; it can't be where a file is."""
    path = given_path(text)
    for place in (path, *path.parents):
        if place.exists() and not place.is_dir():
            raise typer.BadParameter(f"{place} is a file; give a folder")
    return path


def _option(kind: object, flag: str, text: str, panel: str, metavar: str | None = None) -> object:
    option = typer.Option(
        flag,
        help=text,
        rich_help_panel=panel,
        metavar=metavar,
        show_default=False,
        parser=given_path if kind is Path else None,
    )
    return Annotated[kind | None, option]  # type: ignore[operator]


def _setting(kind: object, flag: str, text: str, metavar: str) -> object:
    return _option(kind, flag, text, SETTINGS_PANEL, metavar)


def _filter(kind: object, flag: str, text: str, metavar: str) -> object:
    return _option(kind, flag, text, "Filters", metavar)


SETTINGS: Final[dict[str, object]] = {
    "library": _setting(Path, "--library", "Library directory.", "DIR"),
    "encoder": _setting(str, "--encoder", "Encoder plugin.", "NAME"),
    "model": _setting(
        str, "--model", "Checkpoint: a hub id, a local directory, or storybook.", "ID"
    ),
    "precision": _setting(
        str,
        "--precision",
        "Number format of the weights: auto, fp32, bf16, fp16, int8, nf4.",
        "NAME",
    ),
    "device": _setting(str, "--device", "Where the encoder runs: auto, cuda, mps, cpu.", "NAME"),
    "dim": _setting(int, "--dim", "Matryoshka truncation of the vectors.", "N"),
    "max_pixels": _setting(int, "--max-pixels", "Pixel budget per image for the encoder.", "N"),
    "pooling": _setting(
        str, "--pooling", "How token states become a vector: auto, last, mean.", "NAME"
    ),
    "query_instruction": _setting(
        str, "--query-instruction", "Instruction that queries carry.", "TEXT"
    ),
    "image_instruction": _setting(
        str, "--image-instruction", "Instruction that images carry.", "TEXT"
    ),
    "prepare": _setting(
        str,
        "--prepare",
        "What is done to pictures before they are encoded: off, scans.",
        "NAME",
    ),
    "pdf_pages": _setting(int, "--pdf-pages", "Pages per PDF at most, from the first on.", "N"),
    "video_moments": _setting(int, "--video-moments", "Moments per video at most.", "N"),
    "batch_size": _setting(int, "--batch-size", "Images per encoder call.", "N"),
    "encoder_url": _setting(
        str, "--encoder-url", "Address of the server that the encoder remote asks.", "URL"
    ),
    "encoder_token": _setting(str, "--encoder-token", "Bearer token for that server.", "TOKEN"),
    "share": _setting(
        str,
        "--share",
        "Whether stdio servers hold the model together, in one process: auto, off.",
        "NAME",
    ),
    "index": _setting(str, "--index", "Index plugin.", "NAME"),
    "index_kind": _setting(
        str,
        "--index-kind",
        "How the index faiss searches: auto, exact, ivf, ivfflat, hnsw, rabitq, or a factory "
        "string.",
        "NAME",
    ),
    "milvus_uri": _setting(
        str,
        "--milvus-uri",
        "Milvus server of the index milvus; without, a file in the library.",
        "URI",
    ),
    "milvus_token": _setting(
        str, "--milvus-token", "Token for that server, such as user:password.", "TOKEN"
    ),
    "rewrite": _setting(str, "--rewrite", "Rewriter of queries, or off.", "NAME"),
    "rewrite_model": _setting(
        str,
        "--rewrite-model",
        "Checkpoint that the rewriter model runs, or that openai asks for.",
        "ID",
    ),
    "rewrite_seconds": _setting(
        float, "--rewrite-seconds", "Time that one rewriting may take.", "SECONDS"
    ),
    "rewrite_url": _setting(
        str, "--rewrite-url", "Address of the server that the rewriter openai asks.", "URL"
    ),
    "rewrite_token": _setting(
        str, "--rewrite-token", "Bearer token for the server of that rewriter.", "TOKEN"
    ),
    "token": _setting(str, "--token", "Bearer token for HTTP.", "TOKEN"),
    "read_only": _setting(bool, "--read-only/--no-read-only", "No tool that writes.", ""),
    "watch": _setting(bool, "--watch/--no-watch", "Index what changes below the roots.", ""),
    "rescan_seconds": _setting(
        float, "--rescan-seconds", "Rescan watched roots, too, with so many seconds between.", "N"
    ),
    "call_seconds": _setting(
        float, "--call-seconds", "Seconds after which a tool answers, though its work goes on.", "N"
    ),
    "slow_call_seconds": _setting(
        float, "--slow-call-seconds", "Seconds from which on a tool call is logged as slow.", "N"
    ),
}
"""Flag by setting. Values are checked where settings are, so that every source is held alike."""

OF_CALLS: Final = ("call_seconds", "slow_call_seconds")
"""The settings that calls of tools alone look at."""

INDEXING: Final = ("index", "index_kind", "milvus_uri", "milvus_token")
"""The settings that decide how vectors are found."""

PARTS: Final = ("pdf_pages", "video_moments")
"""The settings that bound how many images one file gives."""

ENCODING: Final = (
    "library",
    "encoder",
    "model",
    "precision",
    "device",
    "dim",
    "max_pixels",
    "pooling",
    "query_instruction",
    "image_instruction",
    "prepare",
    "batch_size",
    "encoder_url",
    "encoder_token",
    *INDEXING,
)
"""The settings that decide what vectors are made, and how they are found."""

REWRITING: Final = (
    "rewrite",
    "rewrite_model",
    "rewrite_seconds",
    "rewrite_url",
    "rewrite_token",
)
"""The settings that decide whether and how queries are rewritten."""

FILTERS: Final[dict[str, object]] = {
    "folder": _filter(Path, "--folder", "Only pictures below this folder.", "DIR"),
    "format": _filter(str, "--format", "File format, such as JPEG or PNG.", "NAME"),
    "taken_after": _filter(str, "--taken-after", "Taken at or after this time.", "DATE"),
    "taken_before": _filter(str, "--taken-before", "Taken before this time.", "DATE"),
    "modified_after": _filter(
        str, "--modified-after", "File changed at or after this time.", "DATE"
    ),
    "modified_before": _filter(str, "--modified-before", "File changed before this time.", "DATE"),
    "min_width": _filter(int, "--min-width", "Least width in pixels.", "N"),
    "min_height": _filter(int, "--min-height", "Least height in pixels.", "N"),
    "orientation": _filter(
        str, "--orientation", "Shape as seen upright: landscape, portrait, square.", "SHAPE"
    ),
    "camera": _filter(str, "--camera", "Part of the camera's make or model.", "TEXT"),
    "lens": _filter(str, "--lens", "Part of the lens's name.", "TEXT"),
    "near": _filter(str, "--near", "Taken within this circle.", "LAT,LON,KM"),
}
"""Option by filter."""


def takes(**groups: dict[str, object]) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Give a command more options: each keyword is a parameter of it that gets their values.

    Each group maps option names to annotated types; the command gets a dictionary of them, with
    None for an option that was not given.
    """

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        own = inspect.signature(command, eval_str=True).parameters.values()
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
            for options in groups.values()
            for name, kind in options.items()
        ]

        @functools.wraps(command)
        def run(**given: Any) -> int:
            for group, options in groups.items():
                given[group] = {name: given.pop(name) for name in options}
            return command(**given)

        parameters = [*(p for p in own if p.name not in groups), *added]
        run.__signature__ = inspect.Signature(parameters, return_annotation=int)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate


def only(*names: str, **defaults: str) -> dict[str, object]:
    """Return some of the settings' options; ``defaults`` are a command's own, for its help."""
    own = {name: _with_default(SETTINGS[name], text) for name, text in defaults.items()}
    return {name: SETTINGS[name] for name in names} | own


def _with_default(option: object, text: str) -> object:
    kind, info = get_args(option)
    info = copy(info)
    info.show_default = text
    return Annotated[kind, info]
