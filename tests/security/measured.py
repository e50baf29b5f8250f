"""Decodes files in a process of its own and prints, as JSON, what came of each and its memory.

``python -m tests.security.measured FOLDER LIMIT SMALLER``: the process may take so many bytes more
than it has when it begins. What is stated of pixels and memory is made so many times smaller.
"""

import ctypes
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from mcp_vlsearch.core import decode as decoding
from mcp_vlsearch.core import pdf, pillow, video
from mcp_vlsearch.core.decode import decode, open_upright
from mcp_vlsearch.core.pdf import PdfFile
from mcp_vlsearch.core.video import VideoFile
from mcp_vlsearch.errors import ImageError
from tests.pictures import encoded, picture

_STATUS = Path("/proc/self/status")


def memory(name: str) -> int:
    """Return a line of the process's status in bytes: VmSize, VmRSS, VmHWM."""
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def measured(path: Path) -> dict[str, object]:
    """Decode a file in all ways; say what it took, beside the file."""
    data = path.read_bytes()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before, began, error, pixels = memory("VmRSS"), time.monotonic(), "", 0
    try:
        pixels = parted(path) if path.suffix in PARTED else whole(data)
    except ImageError as failure:
        error = str(failure)
    return {
        "error": error,
        "pixels": pixels,
        "bytes": memory("VmHWM") - before,
        "seconds": time.monotonic() - began,
    }


def whole(data: bytes) -> int:
    """Decode a picture in full and small; return its pixels."""
    found = open_upright(data)
    pixels = found.width * found.height
    del found
    decode(data, lambda width, height: (min(width, 64), min(height, 64)))
    return pixels


def parted(path: Path) -> int:
    """Decode the parts of a file in full; return the pixels of the largest one."""
    with path.open("rb") as file:
        opened = PARTED[path.suffix](file)
        try:
            images = (opened.picture(part).image for part in opened.parts(5))
            return max(image.width * image.height for image in images)
        finally:
            opened.close()


PARTED: dict[str, Callable[[BinaryIO], PdfFile | VideoFile]] = {
    ".pdf": PdfFile,
    ".webm": lambda file: VideoFile(file, "WEBM"),
}


def lower(smaller: int) -> None:
    """Lower all limits, so that what is near them is decoded quickly."""
    for module, name in (
        (pillow, "MAX_DECODING_BYTES"),
        (pillow, "MAX_DECODED_PIXELS"),
        (decoding, "MAX_DECODED_PIXELS"),
        (pdf, "MAX_PAGE_PIXELS"),
        (video, "MAX_FRAME_PIXELS"),
    ):
        setattr(module, name, getattr(module, name) // smaller)


def main(folder: Path, limit: int, smaller: int = 1) -> None:
    """Measure every file of a folder."""
    for kind in ("PNG", "JPEG", "WEBP", "AVIF", "HEIF", "JPEG2000", "TIFF"):
        open_upright(encoded(picture(), kind))  # what libraries take once is not the file's
    lower(smaller)
    most = memory("VmSize") + limit
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    found = {path.name: measured(path) for path in sorted(folder.iterdir())}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
