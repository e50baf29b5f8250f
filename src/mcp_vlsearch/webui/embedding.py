"""The tab that shows one vector, as numbers, as a picture and as files."""

import io
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import gradio as gr
import numpy as np
from gradio.processing_utils import save_bytes_to_cache

from mcp_vlsearch.core.embedding import Embedding
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.progress import Progress
from mcp_vlsearch.webui import pieces
from mcp_vlsearch.webui.calls import Shown, follow, telling
from mcp_vlsearch.webui.pictures import asked, uploaded

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Vectors

__all__ = ["EmbeddingTab"]

_FIRST: Final = 16
_BARS: Final = 256
_HEIGHT: Final = 96


class EmbeddingTab:
    """A text, a picture or both on the left, their vector on the right."""

    def __init__(self, library: Library) -> None:
        self._library = library
        with gr.Row(elem_classes="split"):
            with gr.Column(scale=2, min_width=300, elem_classes="asking"):
                self._text = gr.Textbox(
                    label="Text", max_lines=1, placeholder="两只猫", elem_id="embedding-text"
                )
                self._picture = asked("embedding-picture")
                go = gr.Button("Embed", variant="primary", elem_id="embed")
            with gr.Column(scale=5, min_width=320):
                self._status = gr.HTML(
                    pieces.note("A text, a picture, or both together, as one vector."),
                    elem_id="embedding-told",
                )
                self._about = gr.HTML(elem_id="embedding")
                self._whole = gr.Textbox(
                    label="The whole vector",
                    lines=3,
                    max_lines=3,
                    buttons=["copy"],
                    visible=False,
                    elem_id="whole",
                )
                self._files = gr.File(
                    label="As files",
                    file_count="multiple",
                    interactive=False,
                    visible=False,
                    elem_id="files",
                )
        guarded = telling(lambda text: {self._status: pieces.failed(text)})
        gr.on(
            [go.click, self._text.submit],
            guarded(self._embed),
            {self._text, self._picture},
            [self._status, self._about, self._whole, self._files],
            show_progress="hidden",
            api_visibility="private",
            preprocess=False,
            trigger_mode="always_last",
        )

    def _embed(self, given: Shown) -> Iterator[Shown]:
        text, image = given[self._text] or "", uploaded(given[self._picture])
        yield {self._status: pieces.working(Progress(0, None, "encoding"))}
        made: Embedding = yield from follow(
            self._library,
            "embed",
            lambda report: self._library.embed(text, image=image, report=report),
            lambda progress: {self._status: pieces.working(progress)},
        )
        what = [*(["the text"] if text.strip() else []), *(["the picture"] if image else [])]
        yield {
            self._status: pieces.note(f"The vector of {' and '.join(what)}"),
            self._about: _about(made),
            self._whole: gr.Textbox(json.dumps(made.vector.tolist()), visible=True),
            self._files: gr.File(self._written(made), visible=True),
        }

    def _written(self, made: Embedding) -> list[str]:
        """Write the files that are offered; they go with what was uploaded."""
        array = io.BytesIO()
        np.save(array, made.vector)
        fields = {
            "vector": made.vector.tolist(),
            "fingerprint": made.fingerprint,
            "encoder": made.encoder,
            "model": made.model,
            "precision": made.precision,
        }
        files = {"embedding.npy": array.getvalue(), "embedding.json": json.dumps(fields).encode()}
        cache = self._files.GRADIO_CACHE
        return [save_bytes_to_cache(data, name, cache) for name, data in files.items()]


def _about(made: Embedding) -> str:
    vector = made.vector
    first = ", ".join(f"{value:.4f}" for value in vector[:_FIRST].tolist())
    pairs = [
        ("Dimension", len(vector)),
        ("Norm", f"{float(np.linalg.norm(vector)):.6f}"),
        ("Encoder", f"{made.encoder} · {made.precision} on {made.device}"),
        ("Model", made.model),
        ("Fingerprint", made.fingerprint),
        ("First values", f"{first}, …"),
    ]
    return f'<div class="vector">{_bars(vector)}{pieces.facts(pairs)}</div>'


def _bars(vector: "Vectors") -> str:
    """Draw a vector as bars up and down from the middle, of several values each if it is long."""
    groups = np.array_split(vector, min(_BARS, len(vector)))
    heights = np.array([group[np.abs(group).argmax()] for group in groups])
    heights = heights / max(float(np.abs(heights).max()), 1e-12) * (_HEIGHT / 2)
    middle = _HEIGHT / 2
    bars = "".join(
        f'<rect x="{place}" y="{middle - max(height, 0):.1f}" width=".8" '
        f'height="{abs(height):.1f}" class="{"up" if height >= 0 else "down"}"/>'
        for place, height in enumerate(heights.tolist())
    )
    return (
        f'<svg class="bars" viewBox="0 0 {len(groups)} {_HEIGHT}" preserveAspectRatio="none" '
        f'role="img" aria-label="the vector’s values as bars">{bars}</svg>'
    )
