"""Pictures that ``search`` writes beside its result. What is there already stays, unless forced."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_vlsearch.cli.frame import UsageError, counted, note
from mcp_vlsearch.core.progress import Progress, ProgressCallback
from mcp_vlsearch.errors import ImageError
from mcp_vlsearch.files import write_whole

if TYPE_CHECKING:
    from mcp_vlsearch.core.library import Library
    from mcp_vlsearch.types import Hit, SearchResult

__all__ = ["Written", "write_heat_maps", "write_sheet"]


@dataclass(frozen=True)
class Written:
    """What may be written: with ``force`` also over other files, but never over the library's."""

    library: "Library"
    force: bool

    def check(self, file: Path, flag: str) -> None:
        """Raise :class:`UsageError` if a file must stay as it is."""
        if not os.path.lexists(file):
            return
        if self.library.knows(file):
            raise UsageError(f"{flag}: {file} is a picture of this library: give another name")
        if not self.force:
            raise UsageError(f"{flag}: {file} exists: give another name, or --force to replace it")


def write_sheet(written: Written, result: "SearchResult", file: Path) -> None:
    """Write the first hits as a contact sheet. Raises :class:`UsageError` if that can't be done."""
    hits = result.hits[:50]
    if not hits:
        note(f"no hits: {file} is not written")
        return
    remarks = [f"{hit.score:.3f} · {hit.relevance}" for hit in hits]
    view = written.library.view([hit.image_id for hit in hits], remarks=remarks)
    written.check(file, "--sheet")
    try:
        write_whole(file, view.sheet)
    except OSError as error:
        raise UsageError(
            f"--sheet: {file} can't be written ({error.strerror}): give another file"
        ) from error
    note(f"contact sheet: {file}")


def write_heat_maps(
    written: Written, text: str, result: "SearchResult", folder: Path, report: ProgressCallback
) -> None:
    """Write a heat map for each hit, named by its rank and file.

    Raises :class:`UsageError` before the first one if one of the names is taken.
    """
    files = [folder / _name(hit) for hit in result.hits]
    for file in files:
        written.check(file, "--explain")
    done = 0
    for hit, file in zip(result.hits, files, strict=True):
        report(Progress(hit.rank, len(files), f"explaining hit {hit.rank}"))
        try:
            found = written.library.explain_match(hit.image_id, text, report=report)
        except ImageError as error:
            note(f"hit {hit.rank} is not explained: {error}")
            continue
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(file, found.jpeg)
        except OSError as error:
            raise UsageError(
                f"--explain: {folder} can't be written into ({error.strerror}): give another folder"
            ) from error
        done += 1
    note(f"{counted(done, 'heat map')} written to {folder}")


def _name(hit: "Hit") -> str:
    return f"{hit.rank:03d}-{_beginning(Path(hit.path).stem)}{_part(hit.part)}.jpg"


def _part(part: str | None) -> str:
    """Return what tells a page or a moment in a file's name, on every system."""
    return f"-{part.replace('=', '-')}" if part else ""


def _beginning(name: str, limit: int = 200) -> str:
    """Return what fits into so many bytes; a file's name may have 255, with all that is added."""
    return os.fsencode(name)[:limit].decode(errors="ignore")
