"""What an assistant should do next, and results that cost it few tokens."""

from collections.abc import Iterator
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from mcp_vlsearch.types import Failure, IndexReport, LibraryStatus, RemoveReport, SearchResult
from mcp_vlsearch.wording import shown

__all__ = ["hinted"]

T = TypeVar("T")

_FAILURES: Final = 10
"""Failures that are listed."""
_LONGEST_ERROR: Final = 200

_NOTHING: Final = (
    "nothing is indexed yet: call index_images; where there is no such tool, ask the user to run "
    "`mcp-vlsearch index FOLDER` in a terminal"
)


def hinted(result: T) -> T:
    """Return a tool's result with ``next_step``, and of an index run with few failures, in short.

    What knows its next step already keeps it, and so does what is no result of a library.
    """
    if not isinstance(result, BaseModel):
        return result
    return result.model_copy(update=_updates(result))


def _updates(result: BaseModel) -> dict[str, Any]:
    match result:
        case IndexReport():
            step, failures = _after_index(result), [_short(f) for f in result.failures[:_FAILURES]]
            return {"next_step": step, "failures": failures}
        case SearchResult() | LibraryStatus() | RemoveReport():
            return {"next_step": result.next_step or _next_step(result)}
    return {}


def _next_step(result: SearchResult | LibraryStatus | RemoveReport) -> str:
    match result:
        case SearchResult():
            return _after_search(result)
        case LibraryStatus():
            return "; ".join(_after_status(result))
    if result.unknown:
        return (
            "nothing was known of the paths in `unknown`: check their spelling against paths of "
            "hits, or the roots that library_status names"
        )
    return ""


def _after_index(report: IndexReport) -> str:
    steps = [report.next_step] if report.next_step else []
    if not report.scanned and report.complete and not report.total_images:
        steps.append("ask the user where the pictures are; library_status names the folders")
    if report.failed:
        more = report.failed - _FAILURES
        rest = f"; `mcp-vlsearch index` in a terminal names {more} more" if more > 0 else ""
        steps.append(f"tell the user which files failed and why: see `failures`{rest}")
    return "; ".join(steps)


def _after_search(result: SearchResult) -> str:
    if not result.total_images:
        return _NOTHING
    if not result.searched_images:
        return "no picture passes the filters: loosen or leave out some of them"
    if not result.hits:
        return (
            "no hit is as relevant as asked: call again with other words, or with min_relevance "
            '"any" to see the nearest'
        )
    if all(hit.relevance == "weak" for hit in result.hits):
        return (
            "all hits are weak: look at the first ones with view_images; if none is right, there "
            "is probably no such picture, so try other words once, or tell the user"
        )
    return ""


def _after_status(status: LibraryStatus) -> Iterator[str]:
    if not status.roots:
        yield (
            "no folder is allowed yet: ask the user to add `--root FOLDER` to this server's "
            "arguments, or to run `mcp-vlsearch index FOLDER`"
        )
    elif not status.images:
        yield _NOTHING
    if offline := [root.path for root in status.roots if not root.online]:
        yield (
            f"{len(offline)} of the roots can't be reached: ask the user to connect their drive; "
            "what was indexed there is still found"
        )
    if status.encoder.state == "failed":
        yield "the model failed to load: search once more to hear why, and tell the user"


def _short(failure: Failure) -> Failure:
    return Failure(path=shown(failure.path), error=shown(failure.error, _LONGEST_ERROR))
