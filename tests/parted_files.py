"""Small PDFs, by hand, and videos of still scenes, to test with."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
SIZE = (96, 64)

Colour = tuple[int, int, int]


def write_pdf(
    path: Path,
    pages: Sequence[Colour | str | None],
    size: tuple[float, float] = (200, 100),
    *,
    info: str = "",
    encrypt: str = "",
) -> Path:
    """Write a PDF with pages of a colour or of drawing commands; None is a page that is missing."""
    kids = [f"{3 + 2 * number} 0 R" for number in range(len(pages))]
    box = f"[0 0 {size[0]} {size[1]}]"
    objects = {
        1: "<< /Type /Catalog /Pages 2 0 R >>",
        2: f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(pages)} >>",
    }
    for number, page in enumerate(pages):
        if page is None:
            continue
        commands = page if isinstance(page, str) else filled(page, size)
        objects[3 + 2 * number] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox {box} /Contents {4 + 2 * number} 0 R >>"
        )
        objects[4 + 2 * number] = f"<< /Length {len(commands)} >>\nstream\n{commands}\nendstream"
    last = 3 + 2 * len(pages)
    objects[last] = f"<< {info} >>"
    trailer = f"<< /Size {last + 1} /Root 1 0 R /Info {last} 0 R"
    trailer += f" /Encrypt << {encrypt} >> /ID [<00> <00>]" if encrypt else ""
    text, places = "%PDF-1.7\n", {}
    for number, body in objects.items():
        places[number] = len(text)
        text += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{number} 1\n{place:010d} 00000 n \n" for number, place in places.items())
    start = len(text)
    text += (
        f"xref\n0 1\n0000000000 65535 f \n{table}trailer\n{trailer} >>\nstartxref\n{start}\n%%EOF"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "latin-1")
    return path


def filled(colour: Colour, size: tuple[float, float]) -> str:
    """Return the commands that fill a page."""
    red, green, blue = (part / 255 for part in colour)
    return f"{red:.3f} {green:.3f} {blue:.3f} rg 0 0 {size[0]} {size[1]} re f"


LOCKED = f"/Filter /Standard /V 1 /R 2 /O <{'41' * 32}> /U <{'42' * 32}> /P -4"
"""What a PDF has that does not open without a password."""


def scene(colours: int | NDArray[np.uint8], size: tuple[int, int] = SIZE) -> Image.Image:
    """Return a picture of 4 × 4 colours, random by a seed or given."""
    if isinstance(colours, int):
        colours = np.random.default_rng(colours).integers(0, 256, (4, 4, 3), np.uint8)
    return Image.fromarray(colours).resize(size, Image.Resampling.NEAREST)


def write_video(
    path: Path,
    scenes: Sequence[tuple[Image.Image, float]],
    *,
    rate: int = 10,
    codec: str = "mpeg4",
    key_frames: int = 12,
    rotation: int = 0,
    taken: datetime | None = None,
) -> Path:
    """Write a video that shows each scene for so many seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        if taken:
            container.metadata["creation_time"] = taken.isoformat()
        quickly = {"deadline": "realtime", "cpu-used": "8"} if codec == "libvpx" else {}
        stream = container.add_stream(codec, rate=rate, options=quickly)
        stream.width, stream.height = scenes[0][0].size
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 2_000_000
        stream.codec_context.gop_size = key_frames
        if rotation:
            stream.set_display_rotation(rotation)
        for picture, seconds in scenes:
            for _ in range(round(seconds * rate)):
                container.mux(stream.encode(av.VideoFrame.from_image(picture)))
        container.mux(stream.encode())
    return path
