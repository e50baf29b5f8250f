"""Decodes files in a process of its own and prints, as JSON, what came of each and its memory.

``python -m tests.security.measured FOLDER LIMIT``: the process may take so many bytes more than it
has when it begins.
"""

import ctypes
import json
import resource
import sys
import time
from pathlib import Path

from mcp_vlsearch.core.decode import decode, open_upright
from mcp_vlsearch.errors import ImageError
from tests.pictures import encoded, picture

_STATUS = Path("/proc/self/status")


def memory(name: str) -> int:
    """Return a line of the process's status in bytes: VmSize, VmRSS, VmHWM."""
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def measured(data: bytes) -> dict[str, object]:
    """Decode a file both ways; say what it took, beside the file."""
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before, began, error, pixels = memory("VmRSS"), time.monotonic(), "", 0
    try:
        found = open_upright(data)
        pixels = found.width * found.height
        del found
        decode(data, lambda width, height: (min(width, 64), min(height, 64)))
    except ImageError as failure:
        error = str(failure)
    return {
        "error": error,
        "pixels": pixels,
        "bytes": memory("VmHWM") - before,
        "seconds": time.monotonic() - began,
    }


def main(folder: Path, limit: int) -> None:
    """Measure every file of a folder."""
    for kind in ("PNG", "JPEG", "WEBP", "AVIF", "HEIF", "JPEG2000", "TIFF"):
        open_upright(encoded(picture(), kind))  # what libraries take once is not the file's
    most = memory("VmSize") + limit
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    found = {path.name: measured(path.read_bytes()) for path in sorted(folder.iterdir())}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
