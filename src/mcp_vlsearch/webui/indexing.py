"""The tab that indexes a folder, with live progress."""

import threading
from collections.abc import Iterator
from pathlib import Path

import gradio as gr

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.progress import Progress, ProgressCallback
from mcp_vlsearch.core.roots import new_root
from mcp_vlsearch.errors import LibraryBusyError
from mcp_vlsearch.types import IndexReport
from mcp_vlsearch.webui import pieces
from mcp_vlsearch.webui.calls import Shown, follow, telling

__all__ = ["IndexTab"]


class IndexTab:
    """A folder, how far its indexing is, and the report.

    With ``may_allow``, a folder becomes a root, as with the command ``index``; else it must lie
    below one. One run at a time goes through the page, whoever looks at it. ``ended`` is the
    event of a run's end, also of one that failed.
    """

    def __init__(self, library: Library, *, may_allow: bool) -> None:
        self._library = library
        self._may_allow = may_allow
        self._turn = threading.Lock()
        self._stop = threading.Event()
        allowed = "becomes a root of the library" if may_allow else "at or below a root"
        self._folder = gr.Textbox(
            label=f"Folder ({allowed})",
            placeholder="~/Pictures, on the server’s machine; empty: every root",
            max_lines=1,
            elem_id="folder",
        )
        with gr.Row():
            self._recursive = gr.Checkbox(value=True, label="Go into subfolders")
            self._force = gr.Checkbox(label="Encode again what is known")
        with gr.Row():
            go = gr.Button("Index", variant="primary", elem_id="index")
            cancel = gr.Button("Cancel", elem_id="cancel")
        self._status = gr.HTML(
            pieces.note("What is known already is neither read nor encoded again."),
            elem_id="index-told",
        )
        self._report = gr.HTML(elem_id="report")
        guarded = telling(
            lambda text: {self._status: pieces.failed(text)},
            lambda text: {self._status: pieces.note(text)},
        )
        self.ended = gr.on(
            [go.click, self._folder.submit],
            guarded(self._index),
            {self._folder, self._recursive, self._force},
            [self._status, self._report],
            show_progress="hidden",
            api_visibility="private",
            trigger_mode="once",
        )
        cancel.click(self._cancel, None, None, show_progress="hidden", api_visibility="private")

    def _index(self, given: Shown) -> Iterator[Shown]:
        folder = (given[self._folder] or "").strip()
        if not self._turn.acquire(blocking=False):
            raise LibraryBusyError("pictures are being indexed here: wait, or cancel that first")
        try:
            # One that is left goes on to its next report: it must not take up this one's.
            stop = self._stop = threading.Event()
            yield {self._status: pieces.working(Progress(0, None, "beginning")), self._report: ""}

            def work(report: ProgressCallback) -> IndexReport:
                paths: list[str | Path] = [folder] if folder else []
                if self._may_allow and folder:
                    self._library.allow([new_root(folder)])
                return self._library.index(
                    paths,
                    recursive=bool(given[self._recursive]),
                    force=bool(given[self._force]),
                    report=report,
                )

            report: IndexReport = yield from follow(
                self._library, "index", work, self._working, stop
            )
        finally:
            self._turn.release()
        yield {self._status: pieces.note(_told(report)), self._report: _shown(report)}

    def _cancel(self) -> None:
        self._stop.set()

    def _working(self, progress: Progress) -> Shown:
        return {self._status: pieces.working(progress)}


def _told(report: IndexReport) -> str:
    rate = report.encoded / max(report.seconds, 1e-3)
    speed = f", {rate:.1f} encoded a second" if report.encoded else ""
    done = f"Done in {report.seconds:.1f} s{speed}: {report.total_images:,} images in the library"
    return f"{done}; {report.next_step}" if report.next_step else done


def _shown(report: IndexReport) -> str:
    names = ("scanned", "added", "updated", "moved", "unchanged", "removed", "failed")
    counts = [(name, getattr(report, name)) for name in (*names, "encoded", "from_cache")]
    tiles = "".join(
        f'<div class="tile"><b>{value:,}</b><span>{name.replace("_", " ")}</span></div>'
        for name, value in counts
    )
    failures = pieces.table(
        ("File", "Why"), [(one.path, one.error) for one in report.failures], "Failures"
    )
    return f'<div class="tiles">{tiles}</div>{failures}'
