"""How much memory is free just now, on the GPU and in the machine."""

import os
from pathlib import Path
from typing import Final

import torch

__all__ = ["free_memory"]

_MEMINFO: Final = Path("/proc/meminfo")
_CONTAINER: Final = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""What a container may use, in the second and the first version of control groups."""


def free_memory(device: str) -> int | None:
    """Return how many bytes can be had now on ``cuda``, ``mps`` or ``cpu``; None if nobody tells.

    Main memory that only caches files counts as free. macOS does not say what is free: all there
    is stands for it. Windows says nothing, and neither does Apple's GPU.
    """
    if device == "cuda":
        free, _ = torch.cuda.mem_get_info()
        return int(free)
    if device == "mps":
        return None
    known = [_available(), *map(_limit, _CONTAINER)]
    return min((figure for figure in known if figure is not None), default=None)


def _available() -> int | None:
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:
        return _physical()
    kibibytes = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(kibibytes[0]) * 1024 if kibibytes else _physical()


def _physical() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _limit(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # no control groups, or "max"
        return None
