"""On what machine a benchmark runs, and how much memory its processes take."""

from __future__ import annotations

import os
import platform
import resource
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

__all__ = ["cores", "describe", "forget_peak", "peak_memory", "synchronise"]

PACKAGES: Final = (
    *("mcp-vlsearch", "torch", "transformers", "numpy", "pillow", "bitsandbytes", "faiss-cpu"),
    *("faiss-gpu", "sentence-transformers", "mcp"),
    *("pymilvus", "milvus-lite", "qdrant-client", "chromadb", "lancedb", "usearch"),
)
MIB: Final = 2**20


def describe(device: str = "cpu", threads: int | None = None) -> dict[str, Any]:
    """Return what decides how fast this machine is, and the versions of what runs on it."""
    found: dict[str, Any] = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_model(),
        "cores": cores(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: number for name in PACKAGES if (number := _version(name))},
    }
    if threads is not None:
        found["threads"] = threads
    if device == "cuda":
        import torch

        properties = torch.cuda.get_device_properties(0)
        found |= {"gpu": properties.name, "gpu_gib": round(properties.total_memory / 2**30, 1)}
    return found


def cores() -> int:
    """Return on how many cores this process may run."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def synchronise(device: str) -> None:
    """Wait until the device has done what it was given."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def forget_peak(device: str) -> None:
    """Let :func:`peak_memory` count from now on, where the system can."""
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
    elif sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory(device: str) -> float:
    """Return this process's peak in MiB: of the GPU's memory, or else of resident memory."""
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated() / MIB
    if sys.platform == "linux":  # where getrusage also counts what the parent had when it forked
        return _kib("/proc/self/status", "VmHWM:") / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB


def _kib(file: str, name: str) -> int:
    """Return a figure in KiB from one of the kernel's files."""
    lines = Path(file).read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def _cpu_model() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
