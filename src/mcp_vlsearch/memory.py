"""How much of the machine's memory is free just now, and that a server gives back what it freed."""

import ctypes
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["free_main_memory", "give_memory_back", "keep_pools_few"]

_MEMINFO: Final = Path("/proc/meminfo")
_CONTAINER: Final = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"),
)
"""Where control groups, second and first version, say what a container may use and uses."""
_CACHES: Final = ("active_file", "inactive_file")
"""Parts of what a container uses that are given back when something else needs them."""

_M_ARENA_MAX: Final = -8
"""From glibc's malloc.h."""
_POOLS: Final = 2


def free_main_memory() -> int | None:
    """Return how many bytes can be had now; None if nobody tells.

    Memory that only caches files counts as free. macOS does not say what is free: all there is
    stands for it. Windows says nothing.
    """
    known = [_available(), *(_left(*names) for names in _CONTAINER)]
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


def _left(group: Path, limit: str, usage: str) -> int | None:
    try:
        most, used = (int((group / name).read_text()) for name in (limit, usage))
        parts = map(str.split, (group / "memory.stat").read_text().splitlines())
        cached = sum(int(size) for name, size in parts if name in _CACHES)
    except (OSError, ValueError):  # no control groups, or "max"
        return None
    return max(0, most - max(0, used - cached))


def keep_pools_few(environment: Mapping[str, str] = os.environ) -> None:
    """Have the C library of this process keep two pools of freed memory, not eight for each core.

    Each new thread takes another pool, and what one has freed no other one takes: a server of many
    threads grew by hundreds of MiB. Only glibc has them, and ``MALLOC_ARENA_MAX`` goes before.
    """
    if "MALLOC_ARENA_MAX" in environment:
        return
    with suppress(OSError, AttributeError, TypeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _POOLS)


def give_memory_back() -> None:
    """Have the C library give the system what it holds of freed memory, which takes about 20 ms.

    By itself glibc gives back what lies at the end of a pool alone: after some work the rest is
    full of gaps, tens of MiB of them. Other C libraries are left to themselves.
    """
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
