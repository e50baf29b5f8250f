"""What stands around a library: Python and packages, memory, the model's files."""

import json
import os
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from mcp_vlsearch.core.health.check import Check, error, ok, warning
from mcp_vlsearch.core.parted import not_read
from mcp_vlsearch.memory import free_main_memory
from mcp_vlsearch.settings import BUILT_IN_MODEL, DEFAULT_ENCODER, Settings
from mcp_vlsearch.version import VERSION

__all__ = ["checkpoint", "extras", "memory", "packages", "python", "threads"]

_PACKAGES: Final = ("mcp", "numpy", "pillow", "torch", "transformers", "faiss-cpu", "faiss-gpu")
_NEEDED: Final = {
    ("encoder", DEFAULT_ENCODER): ("torch", "transformers"),
    ("index", "faiss"): ("faiss",),
    ("index", "milvus"): ("pymilvus",),
}
_EXTRA: Final = {"pymilvus": "milvus"}
_DOWNLOADS: Final = {
    "Qwen/Qwen3-VL-Embedding-2B": 4.3e9,
    "Qwen/Qwen3-VL-Embedding-8B": 16e9,
}
"""Bytes that the hub has of a model, as docs/models.md says them."""
_LITTLE: Final = 2**30
"""Bytes of free memory with which no model of two thousand million weights is loaded."""


def python() -> Check:
    """Say what runs this."""
    return ok("python", f"{platform.python_version()} on {platform.platform()}, {VERSION}")


def threads() -> Check:
    """Say how many cores there are, and whether a variable keeps the encoder from them."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given) < cores:
        said = f"OMP_NUM_THREADS={given} lets a CPU encode with {given} of its {cores} cores"
        return warning("threads", said, "unset OMP_NUM_THREADS where the program is started")
    return ok("threads", f"{cores} cores")


def packages(settings: Settings) -> Check:
    """Say which versions are installed, and what the settings need and is not."""
    name = "packages"
    needed = {
        module
        for (setting, plugin), modules in _NEEDED.items()
        if getattr(settings, setting) == plugin
        for module in modules
    }
    missing = sorted(module for module in needed if find_spec(module) is None)
    found = ", ".join(_versions())
    if missing:
        extras = sorted({_EXTRA.get(module, "cpu") for module in missing})
        mend = f"pip install 'mcp-vlsearch[{','.join(extras)}]'"
        return error(name, f"{', '.join(missing)} missing; there are {found}", mend)
    return ok(name, found)


def extras() -> Check:
    """Say which kinds of files can't be read for want of a package."""
    missing = not_read()
    if not missing:
        return ok("extras", "pages of PDFs and moments of videos can be read")
    return warning(
        "extras", "not every kind of file can be read", "; ".join(missing) + ", if you have such"
    )


def memory() -> Check:
    """Say how much main memory is free."""
    free = free_main_memory()
    if free is None:
        return ok("memory", "the system does not say how much is free")
    message = f"{free / 2**30:.1f} GiB free"
    if free < _LITTLE:
        return warning("memory", message, "end other programs before a large model is loaded")
    return ok("memory", message)


def checkpoint(settings: Settings) -> Check:
    """Say whether the model's files are on this machine; no network is used."""
    name = "model"
    if settings.encoder != DEFAULT_ENCODER:
        return ok(name, f"{settings.model}, of the encoder {settings.encoder}")
    if settings.model == BUILT_IN_MODEL:
        return ok(name, f"{settings.model}, built in")
    if Path(settings.model).is_dir():
        if _is_whole(Path(settings.model)):
            return ok(name, f"in {settings.model}")
        return error(name, f"{settings.model} lacks files", "copy the checkpoint again")
    snapshots = _hub_cache() / f"models--{settings.model.replace('/', '--')}" / "snapshots"
    if any(_is_whole(folder) for folder in _folders(snapshots)):
        return ok(name, f"{settings.model}, in {_hub_cache()}")
    state = "here only in part" if any(_folders(snapshots)) else "not on this machine yet"
    return _to_be_fetched(settings.model, state)


def _to_be_fetched(model: str, state: str) -> Check:
    """Say how much will be fetched, and whether there is room for it."""
    size, cache = _DOWNLOADS.get(model), _hub_cache()
    free = shutil.disk_usage(next(f for f in (cache, *cache.parents) if f.is_dir())).free
    said = f"{model} is {state}" + (f": about {size / 1e9:.1f} GB to download" if size else "")
    if size and free < size:
        said += f", and {cache} has room for {free / 1e9:.1f} GB"
        return error("model", said, "free space there, or set HF_HOME to a folder on a larger disk")
    return warning(
        "model",
        said,
        "connect to a network: the next `mcp-vlsearch index` fetches it; or give --model a folder",
    )


def _versions() -> Iterator[str]:
    for package in _PACKAGES:
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            continue


def _hub_cache() -> Path:
    """Return where the hub's client keeps models, by the variables that it documents."""
    if given := os.environ.get("HF_HUB_CACHE"):
        return Path(given).expanduser()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(os.environ.get("HF_HOME") or cache).expanduser() / "hub"


def _folders(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _is_whole(folder: Path) -> bool:
    """Say whether config and all weights are there; a link to a blob that is not there is none."""
    index = folder / "model.safetensors.index.json"
    try:
        names = {"model.safetensors"}
        if index.is_file():
            names = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return all((folder / name).is_file() for name in ("config.json", *names))
