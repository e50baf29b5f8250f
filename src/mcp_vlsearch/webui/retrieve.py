"""The tab that searches: by words, by a picture, or by both."""

from collections.abc import Iterator
from typing import Any, Final

import gradio as gr

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.progress import Progress, ProgressCallback
from mcp_vlsearch.errors import QueryError
from mcp_vlsearch.types import Hit, SearchResult
from mcp_vlsearch.webui import pieces
from mcp_vlsearch.webui.calls import Shown, follow, telling
from mcp_vlsearch.webui.filtering import FilterForm
from mcp_vlsearch.webui.pictures import asked, large, small, uploaded

__all__ = ["RetrieveTab"]

_START: Final = "Describe a picture in English or 中文, or give one that looks like what you want."

_LOOK_AT: Final = "() => document.getElementById('{}')?.scrollIntoView({{block: 'nearest'}})"
"""In a narrow window hits lie below the form, and a hit opens above those that come after it."""


class RetrieveTab:
    """A form on the left, hits on the right, and one hit at a time large above them."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._result = gr.State(None)
        self._chosen = gr.State("")
        with gr.Row(elem_classes="split"):
            with gr.Column(scale=2, min_width=300, elem_classes="asking"):
                self._build_form()
            with gr.Column(scale=5, min_width=320):
                self._build_hits()
        self._connect()

    def _build_form(self) -> None:
        self.text = gr.Textbox(
            label="Text",
            placeholder="a red bus · 雪地里的两只猫",
            lines=1,
            max_lines=1,
            autofocus=True,
            elem_id="text",
        )
        self.picture = asked("picture")
        self.go = gr.Button("Search", variant="primary", elem_id="search")
        self.top_k = gr.Slider(
            1, 100, value=24, step=1, label="Hits at most", buttons=[], elem_id="top-k"
        )
        self.least = gr.Radio(
            ["any", "likely", "strong"], value="any", label="Least relevance", elem_id="least"
        )
        with gr.Accordion("More words", open=False):
            self.exclude = gr.Textbox(label="Must not show", max_lines=1, elem_id="exclude")
            self.alternatives = gr.Textbox(
                label="The same in other words, one a line", lines=2, elem_id="alternatives"
            )
            usual = self._library.settings.rewrite
            self.rewrite = gr.Radio(
                list(dict.fromkeys(("off", "template", "model", usual))),
                value=usual,
                label="Rewrite the text",
                elem_id="rewrite",
            )
        with gr.Accordion("Filters", open=False, elem_id="filters"):
            self.filters = FilterForm()
        self.group = gr.Checkbox(label="Only the best page or moment of each file")

    def _build_hits(self) -> None:
        self.status = gr.HTML(pieces.note(_START), elem_id="told")
        with gr.Column(visible=False, elem_id="chosen") as self.panel:
            self.detail = gr.HTML(elem_id="detail")
            with gr.Row():
                self.alike = gr.Button("More like this", size="sm", elem_id="alike")
                self.heat = gr.Button("Heat map", size="sm", elem_id="heat")
                self.close = gr.Button("Close", size="sm", elem_id="close")
        self.hits = gr.HTML(js_on_load=pieces.CLICKS, elem_id="hits")

    def _connect(self) -> None:
        form = {
            *(self.text, self.picture, self.exclude, self.alternatives, self.rewrite),
            *(self.top_k, self.least, self.group, self._chosen, self._result),
            *self.filters.components,
        }
        shown = [self.status, self.hits, self.panel, self.detail, self._result, self._chosen]
        # Raw values: Gradio would open an upload by itself, and tell its errors in its own way.
        quiet: dict[str, Any] = {
            "show_progress": "hidden",
            "api_visibility": "private",
            "preprocess": False,
        }
        guarded = telling(lambda text: {self.status: pieces.failed(text)})
        searched = gr.on(
            [self.text.submit, self.exclude.submit, self.go.click],
            guarded(self._search),
            form,
            shown,
            trigger_mode="always_last",
            **quiet,
        )
        searched.then(None, js=_LOOK_AT.format("told"))
        chosen = self.hits.click(guarded(self._choose), [self._result], shown, **quiet)
        chosen.then(None, js=_LOOK_AT.format("chosen"))
        self.alike.click(guarded(self._more_like), form, shown, **quiet)
        self.heat.click(guarded(self._heat), form, shown, **quiet)
        self.close.click(lambda: gr.Column(visible=False), None, self.panel, **quiet)

    def _search(self, given: Shown) -> Iterator[Shown]:
        text = (given[self.text] or "").strip()
        image = uploaded(given[self.picture])
        if not (text or image):
            raise QueryError("nothing to search for: give a text, a picture, or both")
        common = self._common(given)
        if image:
            about = "the picture changed as the text says" if text else "pictures like the given"
            if (given[self.exclude] or "").strip() or (given[self.alternatives] or "").strip():
                gr.Warning("“Must not show” and other words go with a text alone.", duration=6)

            def work(report: ProgressCallback) -> SearchResult:
                return self._library.search_by_image(image, text=text, report=report, **common)

        else:
            about = ""

            def work(report: ProgressCallback) -> SearchResult:
                return self._library.search_by_text(
                    text,
                    alternatives=[
                        *filter(str.strip, (given[self.alternatives] or "").splitlines())
                    ],
                    exclude=given[self.exclude] or "",
                    rewrite=given[self.rewrite],
                    report=report,
                    **common,
                )

        yield from self._run("search_by_image" if image else "search_by_text", work, about)

    def _more_like(self, given: Shown) -> Iterator[Shown]:
        hit = _hit(given[self._result], given[self._chosen])
        common = self._common(given)
        yield from self._run(
            "search_by_image",
            lambda report: self._library.search_by_image(hit.image_id, report=report, **common),
            f"pictures like {hit.name}",
        )

    def _common(self, given: Shown) -> dict[str, Any]:
        return {
            "top_k": int(given[self.top_k] or 0),
            "min_relevance": given[self.least],
            "group_by_file": bool(given[self.group]),
            "filters": self.filters.read(given),
        }

    def _run(self, name: str, work: Any, about: str) -> Iterator[Shown]:
        """Search, and show the hits with their pictures."""
        yield {self.status: pieces.working(Progress(0, None, "searching"))}
        result: SearchResult = yield from follow(self._library, name, work, self._working)
        jpegs = small(self._library, [hit.image_id for hit in result.hits])
        yield {
            self.status: _told(result, about, self._library.settings.read_only),
            self.hits: pieces.cards(result.hits, jpegs),
            self.panel: gr.Column(visible=False),
            self._result: result,
        }

    def _choose(self, result: SearchResult | None, event: gr.EventData) -> Iterator[Shown]:
        hit = _hit(result, str(event._data.get("image", "")))
        yield {
            self.detail: _detail(hit, large(self._library, hit.image_id)),
            self.panel: gr.Column(visible=True),
            self._chosen: hit.image_id,
        }

    def _heat(self, given: Shown) -> Iterator[Shown]:
        hit = _hit(given[self._result], given[self._chosen])
        text = (given[self.text] or "").strip()
        if not text:
            raise QueryError("a heat map shows what matches a text: give one first")
        yield {self.status: pieces.working(Progress(0, None, "looking at each part"))}
        found = yield from follow(
            self._library,
            "explain_match",
            lambda report: self._library.explain_match(hit.image_id, text, report=report),
            self._working,
        )
        yield {
            self.status: pieces.note(f"What of {hit.name} matches “{text}”: the brighter the more"),
            self.detail: _detail(hit, found.jpeg),
        }

    def _working(self, progress: Progress) -> Shown:
        return {self.status: pieces.working(progress)}


def _hit(result: SearchResult | None, image_id: str) -> Hit:
    hits = result.hits if result else []
    hit = next((hit for hit in hits if hit.image_id == image_id), None)
    if hit is None:
        raise QueryError("this hit is of an earlier search: search again")
    return hit


def _told(result: SearchResult, about: str, is_read_only: bool) -> str:
    """Say what was searched and found, or what to do where there is nothing."""
    if not result.total_images:
        step = "run `mcp-vlsearch index FOLDER`" if is_read_only else "add a folder under Index"
        return pieces.note(f"The library is empty: {step}.")
    if not result.searched_images:
        return pieces.note(
            f"None of {result.total_images:,} images passes the filters: loosen or clear them."
        )
    if not result.hits:
        return pieces.note(
            f"No hit among {result.searched_images:,} images: ask for less relevance, or say it "
            "in other words."
        )
    said = f"{len(result.hits)} of {result.searched_images:,} images, best first"
    if result.searched_images < result.total_images:
        said += f" ({result.total_images:,} without filters)"
    line = pieces.note(f"{said}, in {result.seconds:.2f} s{f' · {about}' if about else ''}")
    if len(result.queries) > 1:
        line += pieces.phrasings(result.queries)
    return line


def _detail(hit: Hit, jpeg: bytes) -> str:
    pairs: list[tuple[str, object]] = [
        ("Rank", hit.rank),
        ("Relevance", hit.relevance),
        ("Cosine", f"{hit.score:.4f}"),
        ("Path", hit.path),
        *(("Also at", path) for path in hit.other_paths),
        *((("Part", hit.part),) if hit.part else ()),
        ("Size", f"{hit.width} × {hit.height} · {hit.format} · {pieces.bytes_in_words(hit.bytes)}"),
        ("Taken", hit.taken_at or "not known"),
        ("Image id", hit.image_id),
    ]
    return (
        f'<div class="detail">{pieces.picture(jpeg, hit.name, "big")}'
        f'<div class="about"><h3>{pieces.text(hit.name)}</h3>{pieces.facts(pairs)}</div></div>'
    )
