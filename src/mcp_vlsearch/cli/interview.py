"""The demo's questions, put to a server over a real MCP stdio session."""

import base64
import io
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mcp_vlsearch.core.progress import Progress, ProgressCallback
from mcp_vlsearch.errors import VLSearchError

if TYPE_CHECKING:
    from mcp import Client

    from mcp_vlsearch.types import Hit

__all__ = ["Answer", "Kind", "Question", "interview"]

Kind = Literal["English", "Chinese", "picture"]

_HITS = 5


@dataclass(frozen=True)
class Question:
    """A full caption, or a copy of a picture, and the picture that must come first."""

    kind: Kind
    right: Path
    text: str = ""


@dataclass(frozen=True)
class Answer:
    """The hits of a question, best first."""

    question: Question
    hits: "list[Hit]"

    @property
    def right(self) -> bool:
        """Whether the picture that was asked for comes first."""
        return bool(self.hits) and self.hits[0].name == self.question.right.name


async def interview(
    arguments: Sequence[str],
    pictures: Path,
    questions: Sequence[Question],
    report: ProgressCallback,
) -> list[Answer]:
    """Start ``mcp-vlsearch serve`` with arguments, let it index the pictures, and ask.

    Raises :class:`VLSearchError` with what a tool said when it failed, or if the server ended.
    """
    from mcp import Client, MCPError, StdioServerParameters

    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "mcp_vlsearch", "serve", *arguments],
        # Without the user's own settings, whose roots are no business of a demo.
        env={k: v for k, v in os.environ.items() if not k.startswith("MCP_VLSEARCH_")},
    )
    answers: list[Answer] = []
    given = {"paths": [str(pictures.absolute())]}
    try:
        async with Client(server) as client:
            while not (run := await _call(client, "index_images", given, report))["complete"]:
                pass  # a call answers before its client may give up, and the work goes on
            count = run["scanned"]
            report(Progress(count, count, f"indexing {count} of {count}"))  # servers may skip it
            answers += [await _ask(client, question, report) for question in questions]
    except Exception as error:
        first = _first_of(error)
        if isinstance(first, MCPError):
            raise VLSearchError(
                f"the demo's server does not answer ({first}): look at what it says above"
            ) from error
        raise first from None
    return answers


def _first_of(error: Exception) -> Exception:
    """Take an error out of the groups that a session's tasks wrap it in."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


async def _ask(client: "Client", question: Question, report: ProgressCallback) -> Answer:
    from mcp_vlsearch.types import SearchResult

    if question.kind == "picture":
        given = {"image": _small_copy(question.right), "top_k": _HITS}
        found = await _call(client, "search_by_image", given, report)
    else:
        given = {"query": question.text, "top_k": _HITS}
        found = await _call(client, "search_by_text", given, report)
    return Answer(question, SearchResult.model_validate(found).hits)


async def _call(
    client: "Client", tool: str, arguments: dict[str, Any], report: ProgressCallback
) -> Any:
    async def show(progress: float, total: float | None, message: str | None) -> None:
        whole = None if total is None else int(total)
        report(Progress(int(progress), whole, message or tool))

    result = await client.call_tool(tool, arguments, progress_callback=show)
    if result.is_error:
        texts = (getattr(content, "text", "") for content in result.content)
        raise VLSearchError(f"{tool}: {' '.join(texts)}")
    return result.structured_content


def _small_copy(picture: Path) -> str:
    """Return a JPEG of half the size, in base64: other bytes, so the server has to look at it."""
    from PIL import Image

    with Image.open(picture) as image:
        copy = image.convert("RGB").reduce(2)
    data = io.BytesIO()
    copy.save(data, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()
