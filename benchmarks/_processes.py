"""Other processes of this machine, as Linux tells of them in /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Memory", "children", "cpu_seconds", "memory", "with_argument"]


@dataclass(frozen=True)
class Memory:
    """MiB of resident memory.

    ``rss`` is all of it, in ``pss`` what is shared is divided by its sharers, and ``own`` is what
    no file backs: the rest are pages of mapped files, which the system takes back when it needs to.
    """

    rss: float
    pss: float
    own: float

    def __add__(self, other: Memory) -> Memory:
        return Memory(self.rss + other.rss, self.pss + other.pss, self.own + other.own)


def memory(process: int) -> Memory:
    """Return the memory of a process. Raises OSError if there is none."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return Memory(kib["Rss"] / 1024, kib["Pss"] / 1024, kib["Anonymous"] / 1024)


def cpu_seconds(process: int) -> float:
    """Return the processor time that a process has had. Raises OSError if there is none."""
    stat = Path(f"/proc/{process}/stat").read_text()
    user, system = stat.rpartition(")")[2].split()[11:13]  # the name before may hold anything
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def children() -> set[int]:
    """Return the processes that this one has started and that still run."""
    own = os.getpid()
    return {process for process in _all() if _parent(process) == own}


def with_argument(text: str) -> set[int]:
    """Return the processes that have an argument with this text in it, but for this one."""
    found = {process for process in _all() if text in _arguments(process)}
    return found - {os.getpid()}


def _all() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _parent(process: int) -> int | None:
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:  # it has ended meanwhile
        return None
    state, parent = stat.rpartition(")")[2].split()[:2]  # the name before may hold anything
    return None if state == "Z" else int(parent)


def _arguments(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""
