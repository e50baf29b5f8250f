"""The tab that finds copies. It never deletes anything."""

import threading
from collections.abc import Iterator

import gradio as gr

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.progress import Progress
from mcp_vlsearch.types.copies import DuplicateFile, DuplicateGroup, DuplicateReport
from mcp_vlsearch.webui import pieces
from mcp_vlsearch.webui.calls import Shown, follow, telling
from mcp_vlsearch.webui.pictures import small

__all__ = ["DuplicatesTab"]

_WORDS = {"kept": "keep this", "exact": "same bytes", "near": "looks the same"}


class DuplicatesTab:
    """A threshold, and the groups of copies that it gives.

    Each window looks by itself, and cancels its own search only.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._stops: dict[str | None, threading.Event] = {}
        with gr.Row(equal_height=True):
            self._threshold = gr.Slider(
                0.5, 1, value=0.95, step=0.005, label="Least cosine at which pixels are compared"
            )
            self._groups = gr.Slider(1, 100, value=20, step=1, label="Groups at most")
        with gr.Row():
            go = gr.Button("Find duplicates", variant="primary", elem_id="find")
            cancel = gr.Button("Cancel", elem_id="cancel-find")
        self._status = gr.HTML(
            pieces.note("Groups that free most come first. Nothing is ever deleted here."),
            elem_id="duplicates-told",
        )
        self._shown = gr.HTML(elem_id="groups")
        go.click(
            telling(
                lambda text: {self._status: pieces.failed(text)},
                lambda text: {self._status: pieces.note(text)},
            )(self._find),
            {self._threshold, self._groups},
            [self._status, self._shown],
            show_progress="hidden",
            api_visibility="private",
        )
        cancel.click(self._cancel, None, None, show_progress="hidden", api_visibility="private")

    def _find(self, given: Shown, window: gr.Request) -> Iterator[Shown]:
        stop = self._stops[window.session_hash] = threading.Event()
        try:
            yield {self._status: pieces.working(Progress(0, None, "looking for copies"))}
            report: DuplicateReport = yield from follow(
                self._library,
                "duplicates",
                lambda progress: self._library.duplicates(
                    threshold=given[self._threshold],
                    top_k=int(given[self._groups]),
                    report=progress,
                ),
                lambda progress: {self._status: pieces.working(progress)},
                stop,
            )
        finally:
            self._stops.pop(window.session_hash, None)
        files = [file for group in report.groups for file in group.files]
        ids = list(dict.fromkeys(file.image_id for file in files))
        jpegs = dict(zip(ids, small(self._library, ids), strict=True))
        yield {
            self._status: pieces.note(_told(report)),
            self._shown: "".join(_group(group, jpegs) for group in report.groups),
        }

    def _cancel(self, window: gr.Request) -> None:
        if stop := self._stops.get(window.session_hash):
            stop.set()


def _told(report: DuplicateReport) -> str:
    if not report.total_groups:
        return f"No copies among {pieces.counted(report.searched_images, 'image')}."
    freed = pieces.bytes_in_words(report.bytes_freed)
    listed = len(report.groups)
    some = f" ({listed} shown)" if listed < report.total_groups else ""
    return (
        f"{pieces.counted(report.total_groups, 'group')}{some}, {freed} to gain, "
        f"in {report.seconds:.1f} s. {report.note}"
    )


def _group(group: DuplicateGroup, jpegs: dict[str, bytes]) -> str:
    files = "".join(_file(file, jpegs[file.image_id]) for file in group.files)
    copies = f"{group.copies} cop{'y' if group.copies == 1 else 'ies'}"
    gain = pieces.bytes_in_words(group.bytes_freed)
    return f'<section class="group"><h3>{copies} · {gain} to gain</h3><div>{files}</div></section>'


def _file(file: DuplicateFile, jpeg: bytes) -> str:
    similarity = "" if file.kind == "kept" else f" · {file.similarity:.3f}"
    size = f"{file.width} × {file.height} · {file.format} · {pieces.bytes_in_words(file.bytes)}"
    return (
        f'<figure class="{file.kind}">{pieces.picture(jpeg, file.path)}<figcaption>'
        f'<span class="pill {file.kind}">{_WORDS[file.kind]}{similarity}</span>'
        f"<span>{size}</span><code>{pieces.text(file.path)}</code></figcaption></figure>"
    )
