"""The tab that shows what the library holds and runs on."""

from collections.abc import Iterator

import gradio as gr

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.types import LibraryStatus
from mcp_vlsearch.webui import pieces
from mcp_vlsearch.webui.calls import Shown, telling

__all__ = ["StatusTab", "headline"]


class StatusTab:
    """Tables that are read anew whenever the tab is opened, which is the event ``read``."""

    def __init__(self, library: Library, tab: gr.Tab) -> None:
        self._library = library
        self._shown = gr.HTML(elem_id="status")
        refresh = gr.Button("Look again", size="sm", elem_id="refresh")
        self.read = gr.on(
            [tab.select, refresh.click],
            telling(lambda text: {self._shown: pieces.failed(text)})(self._show),
            None,
            [self._shown],
            show_progress="hidden",
            api_visibility="private",
        )

    def _show(self) -> Iterator[Shown]:
        status = self._library.status()
        failures = self._library.failures()
        yield {
            self._shown: _tables(status)
            + pieces.table(("File", "Why"), [(one.path, one.error) for one in failures], "Failures")
        }


def headline(status: LibraryStatus) -> str:
    """Return the line that stands at the top of the page, of what needs no model to be told."""
    roots = len(status.roots)
    offline = sum(not root.online for root in status.roots)
    gone = f', <b class="off">{offline} offline</b>' if offline else ""
    return (
        f"<header><h1>mcp-vlsearch</h1><p>{status.images:,} images in "
        f"{roots} folder{'' if roots == 1 else 's'}{gone} · "
        f"{pieces.text(status.encoder.model)}</p></header>"
    )


def _tables(status: LibraryStatus) -> str:
    encoder, index = status.encoder, status.index
    about = pieces.facts(
        [
            ("Library", status.library),
            ("Images", pieces.number(status.images)),
            ("Files", f"{status.files:,}, of which {status.failed:,} failed"),
            ("Encoder", f"{encoder.name} · {encoder.model}"),
            ("Runs", f"{encoder.precision} on {encoder.device}: {encoder.state}"),
            ("Dimension", encoder.dim or "not known yet"),
            ("Index", f"{index.name} · {index.kind} · {index.vectors:,} vectors"),
            ("Database", pieces.bytes_in_words(status.database_bytes)),
            ("Version", status.version),
            *(("Not read", text) for text in status.not_read),
            *((("Next step", status.next_step),) if status.next_step else ()),
        ]
    )
    roots = pieces.table(
        ("Root", "State", "Files"),
        [(root.path, "online" if root.online else "offline", root.files) for root in status.roots],
        "Roots",
    )
    spaces = pieces.table(
        (
            "Model",
            "Precision",
            "Dimension",
            "Prepare",
            "Vectors",
            "Missing",
            "State",
            "Fingerprint",
        ),
        [
            (
                *(s.model, s.precision, s.dim, s.prepare),
                *(s.vectors, s.missing, s.state, s.fingerprint),
            )
            for s in status.spaces
        ],
        "Spaces",
    )
    return f"{about}{roots}{spaces}"
