"""Pictures on their way: uploads as the library takes them, the library's as small JPEGs."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import gradio as gr

from mcp_vlsearch.core.library import Library
from mcp_vlsearch.errors import ImageError
from mcp_vlsearch.webui.fencing import MAX_UPLOAD

__all__ = ["asked", "large", "small", "uploaded"]

_TOGETHER: Final = 12
"""Pictures of one look: each gets its share of the bytes that a look has, some 60 KB."""


def asked(element: str) -> gr.Image:
    """Return the field in which people give a picture, with the id that its element has."""
    return gr.Image(
        label="Picture",
        sources=["upload", "clipboard"],
        type="filepath",
        image_mode=None,
        height=190,
        buttons=[],
        elem_id=element,
    )


def small(library: Library, images: Sequence[str]) -> list[bytes]:
    """Return JPEGs of at most 640 pixels an edge; an empty one for an image that can't be shown."""
    jpegs: list[bytes] = []
    for start in range(0, len(images), _TOGETHER):
        some = images[start : start + _TOGETHER]
        try:
            jpegs += [image.jpeg for image in library.view(some, layout="single").images]
        except ImageError:  # none of them can be shown: their root is offline
            jpegs += [b""] * len(some)
    return jpegs


def large(library: Library, image: str) -> bytes:
    """Return a JPEG of an image that fills the page, or an empty one."""
    try:
        return library.view([image], layout="single").images[0].jpeg
    except ImageError:
        return b""


def uploaded(given: Mapping[str, Any] | None) -> str:
    """Return an uploaded picture in base64; empty if there is none.

    That it lies among the uploads was checked when the request came (see :class:`Fence`). Raises
    :class:`ImageError`.
    """
    if not given or not given.get("path"):
        return ""
    try:
        data = Path(given["path"]).read_bytes()
    except OSError as error:
        raise ImageError("the uploaded picture is gone by now: give it again") from error
    if len(data) > MAX_UPLOAD:
        raise ImageError(f"the picture has over {MAX_UPLOAD // 2**20} MiB: give a smaller one")
    return f"data:;base64,{base64.b64encode(data).decode()}"
