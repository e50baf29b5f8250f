"""The whole page: a headline and the tabs."""

from pathlib import Path
from typing import Final

import gradio as gr

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.webui.duplicates import DuplicatesTab
from mcp_vlsearch.webui.embedding import EmbeddingTab
from mcp_vlsearch.webui.indexing import IndexTab
from mcp_vlsearch.webui.retrieve import RetrieveTab
from mcp_vlsearch.webui.status import StatusTab, headline

__all__ = ["HEAD", "STYLE", "THEME", "build_page"]

STYLE: Final = Path(__file__).with_name("page.css").read_text("utf-8")

_ICON: Final = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E"
    "%3Crect width='32' height='32' rx='8' fill='%230f766e'/%3E"
    "%3Ccircle cx='14' cy='14' r='7' fill='none' stroke='white' stroke-width='3'/%3E"
    "%3Cpath d='M19 19l7 7' stroke='white' stroke-width='3' stroke-linecap='round'/%3E%3C/svg%3E"
)
# Gradio turns dark with the system; the page is drawn for light.
HEAD: Final = f"""<link rel="icon" href="{_ICON}">
<meta name="color-scheme" content="light">
<script>new MutationObserver(() => document.body?.classList.remove('dark'))
.observe(document.documentElement, {{subtree: true, attributes: true, attributeFilter: ['class']}})
</script>"""

_FONT: Final = (
    *("ui-sans-serif", "system-ui", "Segoe UI", "Roboto", "Noto Sans", "PingFang SC"),
    *("Microsoft YaHei", "Noto Sans CJK SC", "WenQuanYi Zen Hei", "sans-serif"),
)

THEME: Final = gr.themes.Base(
    primary_hue="teal",
    secondary_hue="teal",
    neutral_hue="slate",
    radius_size="lg",
    font=_FONT,
    font_mono=("ui-monospace", "Consolas", "DejaVu Sans Mono", "monospace"),
).set(
    body_background_fill="#f6f7f9",
    block_background_fill="white",
    block_border_width="1px",
    block_border_color="#e4e8ee",
    block_label_background_fill="white",
    block_title_text_weight="600",
    block_title_text_size="0.8rem",
    button_primary_background_fill="#0f766e",
    button_primary_background_fill_hover="#115e59",
    button_primary_text_color="white",
    input_background_fill="#fbfcfd",
    input_border_color="#d9dfe7",
    input_border_color_focus="#0f766e",
    slider_color="#0f766e",
    button_secondary_background_fill="#eef1f5",
    button_secondary_background_fill_hover="#e2e8f0",
    checkbox_background_color_selected="#0f766e",
    checkbox_border_color_selected="#0f766e",
    checkbox_label_background_fill="#f1f5f9",
    checkbox_label_background_fill_selected="#e3f4f1",
)
_AT_ONCE: Final = 8
"""Calls of one kind that go on at the same time, such as searches of several windows."""
_SWEEP: Final = (300, 3600)
"""Seconds between two looks for uploads that are deleted, and after which they are."""


def build_page(library: Library, *, may_allow: bool) -> gr.Blocks:
    """Return the page of a library; with ``may_allow``, folders may become roots there.

    Nothing of it waits for the model, which is loaded in the background once somebody looks at the
    page of a library that has pictures.
    """
    page = gr.Blocks(
        title="mcp-vlsearch", analytics_enabled=False, fill_width=True, delete_cache=_SWEEP
    )
    changes: list[gr.events.Dependency] = []
    with page:
        head = gr.HTML(elem_id="headline")
        with gr.Tabs():
            with gr.Tab("Retrieve"):
                RetrieveTab(library)
            with gr.Tab("Embedding"):
                EmbeddingTab(library)
            if not library.settings.read_only:
                with gr.Tab("Index"):
                    changes.append(IndexTab(library, may_allow=may_allow).ended)
            with gr.Tab("Library") as tab:
                changes.append(StatusTab(library, tab).read)
            with gr.Tab("Duplicates"):
                DuplicatesTab(library)
        page.load(
            lambda: _opened(library),
            None,
            head,
            show_progress="hidden",
            api_visibility="private",
        )
        for change in changes:
            change.then(
                lambda: headline(library.status()),
                None,
                head,
                show_progress="hidden",
                api_visibility="private",
            )
    page.queue(default_concurrency_limit=_AT_ONCE, api_open=False)
    return page


def _opened(library: Library) -> str:
    """Have the model loaded, where there is something to search, and return the headline."""
    status = library.status()
    if status.images:
        library.warm_up()
    return headline(status)
