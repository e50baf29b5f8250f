"""The form of the filters, and what is filled in there as :class:`Filters`."""

from typing import Any, Final

import gradio as gr
from pydantic import ValidationError

from mcp_vlsearch.errors import QueryError
from mcp_vlsearch.types import Filters
from mcp_vlsearch.webui.calls import Shown
from mcp_vlsearch.wording import in_words

__all__ = ["FilterForm"]

_LABELS: Final = {
    "folder": ("Folder", "/home/me/Pictures/2024"),
    "format": ("Format", "JPEG"),
    "taken_after": ("Taken from", "2024-01-01"),
    "taken_before": ("Taken before", "2025-01-01"),
    "modified_after": ("Changed from", "2024-01-01"),
    "modified_before": ("Changed before", "2025-01-01"),
    "min_width": ("Least width", "1920"),
    "min_height": ("Least height", "1080"),
    "camera": ("Camera", "Fujifilm"),
    "lens": ("Lens", "35mm"),
}
_ROWS: Final = (
    ("folder",),
    ("format", "camera", "lens"),
    ("taken_after", "taken_before"),
    ("modified_after", "modified_before"),
    ("min_width", "min_height"),
)
_SHAPES: Final = ("any", "landscape", "portrait", "square")
_CIRCLE: Final = ("latitude", "longitude", "km")


class FilterForm:
    """A text box for each filter; an empty one filters nothing."""

    def __init__(self) -> None:
        self._boxes: dict[str, gr.Textbox] = {}
        for names in _ROWS:
            with gr.Row():
                for name in names:
                    self._boxes[name] = _box(name)
        self._shape = gr.Dropdown(list(_SHAPES), value="any", label="Shape", elem_id="shape")
        self._near = gr.Textbox(
            label="Near: latitude, longitude, km",
            placeholder="48.86, 2.35, 5",
            max_lines=1,
            elem_id="filter-near",
        )

    @property
    def components(self) -> list[Any]:
        """All that is filled in."""
        return [*self._boxes.values(), self._shape, self._near]

    def read(self, given: Shown) -> Filters:
        """Return what is filled in. Raises :class:`QueryError` that names the wrong field."""
        values: dict[str, Any] = {
            name: text for name, box in self._boxes.items() if (text := (given[box] or "").strip())
        }
        if given[self._shape] not in (None, "", "any"):
            values["orientation"] = given[self._shape]
        if near := (given[self._near] or "").strip():
            values["near"] = _circle(near)
        try:
            return Filters.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0])
            label = _LABELS[name][0] if name in _LABELS else name.capitalize()
            raise QueryError(f"{label}: {in_words(first)} (got {first['input']!r})") from error


def _box(name: str) -> gr.Textbox:
    label, example = _LABELS[name]
    return gr.Textbox(
        label=label,
        placeholder=example,
        max_lines=1,
        min_width=90,
        elem_id=f"filter-{name.replace('_', '-')}",
    )


def _circle(text: str) -> dict[str, str]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != len(_CIRCLE):
        raise QueryError(f"Near: give latitude, longitude, km, such as 48.86, 2.35, 5 ({text!r})")
    return dict(zip(_CIRCLE, parts, strict=True))
